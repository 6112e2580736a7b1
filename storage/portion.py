"""How much is read at a time, where each row holds an event of up to a megabyte."""

PORTION = 16 * 1024 * 1024
"""Bytes; the last event may begin below and end beyond."""


def portion(columns: str, rows: str, order: str) -> str:
    """A query for the first of `rows` (a query with a `body`) in this order: at least one, at most a portion."""
    return f"""
SELECT {columns} FROM (
  SELECT *, sum(octet_length(body)) OVER (ORDER BY {order}) - octet_length(body) AS begins_at FROM ({rows}) AS found
) AS placed WHERE begins_at < {PORTION} ORDER BY {order}"""
