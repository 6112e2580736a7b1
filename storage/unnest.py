"""Bulk statements: rows go to Postgres as one array a column (UNNEST), whatever their number.

Measured against multi-row VALUES: three times the rate, and one prepared plan for every batch size (perf.md 2).
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, SmallInteger, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

Value = object
Row = tuple[Value, ...]

_ARRAYS = {
    BigInteger: "bigint[]",
    SmallInteger: "smallint[]",
    Integer: "integer[]",
    Double: "float8[]",
    Boolean: "boolean[]",
    Text: "text[]",
    JSONB: "text[]",
    Uuid: "uuid[]",
    TIMESTAMP: "timestamptz[]",
    LargeBinary: "bytea[]",
}


def columns_of(table: Table, *, without: Iterable[str] = ()) -> tuple[str, ...]:
    """The column names of a table in order."""
    left_out = set(without)
    return tuple(column.name for column in table.columns if column.name not in left_out)


class Rows:
    """The rows of one table as a source in a statement: parameters from `first` on, one array a column."""

    def __init__(self, table: Table, names: Sequence[str], first: int) -> None:
        columns: list[Column[object]] = [table.c[name] for name in names]
        self.names = tuple(names)
        self.next = first + len(columns)
        places = ", ".join(f"${first + i}::{_array_of(column)}" for i, column in enumerate(columns))
        self.source = f"unnest({places}) AS u({', '.join(self.names)})"
        self.values = ", ".join(_value_of(column) for column in columns)

    def select(self) -> str:
        """`SELECT … FROM unnest(…)`, each value in its column's type."""
        return f"SELECT {self.values} FROM {self.source}"


def _array_of(column: Column[object]) -> str:
    return next(array for kind, array in _ARRAYS.items() if isinstance(column.type, kind))


def _value_of(column: Column[object]) -> str:
    cast = "::jsonb" if isinstance(column.type, JSONB) else ""
    return f"u.{column.name}{cast}"
