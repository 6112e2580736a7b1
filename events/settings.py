"""What is wrong with the environment, in words for whoever set it."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

_FIELD = re.compile(r'value for field "([^"]+)"')


@contextmanager
def settings_explained() -> Iterator[None]:
    """Ends the process with one line when settings are wrong: which variable and why, without a value or traceback."""
    try:
        yield
    except ValidationError as error:
        kind = next((kind for kind in BaseSettings.__subclasses__() if kind.__name__ == error.title), None)
        if kind is None:
            raise
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        prefix = kind.model_config.get("env_prefix", "")
        raise SystemExit("; ".join(f"{_variable(fault['loc'], prefix)}: {fault['msg']}" for fault in faults)) from None
    except SettingsError as error:
        raise SystemExit(_unreadable(error)) from None


def _variable(place: tuple[int | str, ...], prefix: str) -> str:
    """The variable of a setting: an alias as it is, else the class's prefix and the field's name."""
    if not place:
        return "settings"
    name = str(place[0])
    return name if name.isupper() else f"{prefix}{name}".upper()


def _unreadable(error: SettingsError) -> str:
    """What to say of a value that ought to be JSON: the library names the field, and not whose it is."""
    named = _FIELD.search(str(error))
    if named is None:
        return str(error)
    fields = [(kind, kind.model_fields.get(named[1])) for kind in BaseSettings.__subclasses__()]
    names = {
        _variable(
            (field.validation_alias if isinstance(field.validation_alias, str) else named[1],),
            kind.model_config.get("env_prefix", ""),
        )
        for kind, field in fields
        if field is not None
    }
    given = {name.upper(): value for name, value in os.environ.items()}
    wrong = sorted(name for name in names if name in given and not _is_json(given[name]))
    return "; ".join(f"{name}: it is not the JSON that it ought to be" for name in wrong) or str(error)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
