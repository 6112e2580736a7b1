"""Values in requests: whole numbers, versions and moments, as JSON and RFC 3339 write them."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field


def _in_utc(moment: datetime) -> datetime:
    """The years 1 and 9999 do not exist in every time zone."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie within the years 1 to 9999 in UTC") from None


def _whole(value: object) -> object:
    """JSON has one kind of number: 3.0 is the integer 3 (JSON Schema, 6.1.1)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _not_a_timestamp(value: object) -> object:
    """RFC 3339 only; a bare number would be taken for seconds since 1970."""
    if not isinstance(value, str) or "-" not in value[1:]:
        raise ValueError("must be an RFC 3339 date and time")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Version = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
"""The version of a thing, as its answer showed it."""
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_not_a_timestamp), AfterValidator(_in_utc)]
"""An RFC 3339 date and time with its offset, brought to UTC."""
