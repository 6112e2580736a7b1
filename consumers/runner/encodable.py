"""What an agent hands over, as an event can carry it: no UTF-8 exists for a lone surrogate."""

from pydantic import JsonValue

from events.base import JsonObject


def utf8(text: str) -> str:
    """The text with lone surrogates replaced by question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def encodable(value: JsonObject) -> JsonObject:
    """The same for every text in a JSON object, keys included."""
    return {utf8(key): _clean(item) for key, item in value.items()}


def _clean(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {utf8(str(key)): _clean(item) for key, item in value.items()}
    return value
