"""JSON answers, encoded once and not validated again."""

from starlette.responses import Response

from gateway.encoding import to_json


def json_answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Any JSON value; UUIDs and datetimes are understood."""
    return Response(to_json(value), status, headers, "application/json")
