"""What each tenant uses of its quota."""

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from storage.models.base import metadata

tenant_usage = Table(
    "tenant_usage",
    metadata,
    Column("id", Text, primary_key=True, comment="the tenant"),
    Column("sessions", Integer, nullable=False, comment="sessions that have begun and not ended"),
    Column("month", Text, nullable=False, comment="2026-01, in UTC; empty before anything was spent"),
    Column("tokens", BigInteger, nullable=False, comment="spent by runs that ended in that month"),
)
