"""The file of quotas: what it may say, and whose they are."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.tenants.quotas import next_month
from gateway.tenants.settings import NO_QUOTA, Quota, QuotaFile, QuotaFileError, QuotaSettings

ROOT = Path(__file__).parents[3]


def test_without_a_file_nobody_has_a_quota() -> None:
    assert QuotaSettings(quotas=None).read().of("anybody") == NO_QUOTA


def test_the_example_has_the_documents_figures() -> None:
    """Requirements 002.1, 3.3.TEN."""
    file = QuotaSettings(quotas=ROOT / "examples" / "quotas.yaml").read()
    assert file.of("anybody") == Quota(concurrent_sessions=10, tokens_per_month=1_000_000)
    assert file.of("research") == Quota(concurrent_sessions=50, tokens_per_month=None)


def test_the_shipped_schema_is_the_one_of_the_code() -> None:
    shipped = json.loads((ROOT / "gateway" / "tenants" / "quotas.schema.json").read_text())
    shipped.pop("$schema")
    assert shipped == QuotaFile.model_json_schema()


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("default: {sessions: 1}", "default.sessions"),
        ("default: {tokens_per_month: -1}", "default.tokens_per_month"),
        ("default: {tokens_per_month: 1.5}", "default.tokens_per_month"),
        ("tenants: {a b: {}}", "tenants.a b"),
        ("tenants: {acme: {}, acme: {}}", "is there twice"),
        ("- 1", "valid dictionary"),
        ("default: [", "line 2"),
    ],
)
def test_a_file_that_says_something_else_is_refused_and_says_where(tmp_path: Path, said: str, fault: str) -> None:
    path = tmp_path / "quotas.yaml"
    path.write_text(said)
    with pytest.raises(QuotaFileError, match=r"quotas\.yaml") as told:
        QuotaSettings(quotas=path).read()
    assert fault in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(QuotaFileError, match=r"nowhere\.yaml"):
        QuotaSettings(quotas=tmp_path / "nowhere.yaml").read()


MONTHS = [((2026, 1, 31, 23), (2026, 2, 1)), ((2026, 12, 1, 0), (2027, 1, 1)), ((2028, 2, 29, 1), (2028, 3, 1))]


@pytest.mark.parametrize(("now", "then"), MONTHS)
def test_tokens_are_forgotten_when_the_month_ends(now: tuple[int, ...], then: tuple[int, int, int]) -> None:
    assert next_month(datetime(*now, tzinfo=UTC)) == datetime(*then, tzinfo=UTC)  # type: ignore[misc,arg-type]  # as listed
