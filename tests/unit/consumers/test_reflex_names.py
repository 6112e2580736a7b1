"""What a reflex service elsewhere calls things is bounded before anybody counts, keeps or reads it."""

from collections.abc import AsyncGenerator

import orjson
import pytest
from prometheus_client import REGISTRY

from consumers.reflex import Reflex
from consumers.reflex.engine import RemoteEngine
from consumers.reflex.remote import RemoteReflex
from events.base import Event
from events.ids import new_id
from events.task import TaskChecked, TaskSpec, TaskSubmitted
from screening import Policy
from screening.cached import CachedScreener
from screening.settings import ScreeningSettings
from tests.support.reflex_service import ReflexService, reflex_service

TEXT = "Call 5551234 at once, said the parrot."


@pytest.fixture
async def service() -> AsyncGenerator[ReflexService]:
    async with reflex_service() as running:
        yield running


@pytest.fixture
async def remote(service: ReflexService) -> AsyncGenerator[RemoteReflex]:
    async with RemoteReflex(service.url, longest_wait=0.01) as client:
        yield client


@pytest.fixture(scope="module")
def builtin() -> CachedScreener:
    return CachedScreener(ScreeningSettings().screener())


def attack(family: str | None, kind: str = "Whatever", severity: str = "High") -> dict[str, object]:
    return {"injection_type": kind, "family": family, "severity": severity, "start": 0, "end": 4}


def answering(
    *, pii: list[dict[str, object]] | None = None, injections: list[dict[str, object]] | None = None
) -> bytes:
    return orjson.dumps({"status": "success", "pii_matches": pii or [], "injection_matches": injections or []})


async def checked(engine: RemoteEngine) -> TaskChecked:
    task_id = new_id()
    data = TaskSubmitted(task_id=task_id, spec=TaskSpec(prompt=TEXT))
    event = Event.first(data, source="/gateway", tenant="t", owner="ann", task_id=task_id)
    (output,) = await Reflex(engine).screen(event)
    assert isinstance(output, TaskChecked)
    return output


def labels() -> set[str]:
    found = [m for m in REGISTRY.collect() if m.name == "ganglion_reflex_findings"]
    return {sample.labels["family"] for metric in found for sample in metric.samples}


async def test_a_family_that_nobody_knows_is_counted_kept_and_told_as_other(
    remote: RemoteReflex, service: ReflexService, builtin: CachedScreener
) -> None:
    for number in range(20):
        service.answers = [(200, answering(injections=[attack(f"parrot-{number}", f"Parrot{number}", "Critical")]))]
        told = await checked(RemoteEngine(remote, builtin))
        assert told.decision == "block"
        assert told.reason == "Blocked: an attack of another kind (family other) in field 'goal'."
        assert [(f.family, f.type) for f in told.findings] == [("other", "other")]
    assert not [name for name in labels() if "parrot" in name]
    assert "other" in labels()


async def test_a_type_that_nobody_knows_gives_neither_a_reason_nor_a_placeholder_its_name(
    remote: RemoteReflex, service: ReflexService, builtin: CachedScreener
) -> None:
    found = {"pii_type": "Parrot" * 5_000, "start": 5, "end": 12, "severity": "high"}
    service.answers = [(200, answering(pii=[found]))]
    told = await checked(RemoteEngine(remote, builtin))
    assert told.reason == "Blocked: personal data (other) in field 'goal'."
    assert told.redacted == {"goal": "Call [OTHER_1] at once, said the parrot."}
    assert [(f.family, f.type) for f in told.findings] == [("pii", "other")]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("Phone", "phone"), ("IBAN", "iban"), ("national_id", "national_id")),
        *(("ApiKey", "generic_secret"), ("MedicalRecordNumber", "medical_record")),
    ],
)
async def test_a_type_of_the_contract_or_of_our_rules_keeps_its_name(
    remote: RemoteReflex, service: ReflexService, builtin: CachedScreener, name: str, kind: str
) -> None:
    service.answers = [(200, answering(pii=[{"pii_type": name, "start": 5, "end": 12, "severity": "high"}]))]
    told = await checked(RemoteEngine(remote, builtin))
    assert [f.type for f in told.findings] == [kind]


@pytest.mark.parametrize("name", ["hidden_tags", "invisible_characters", "mixed_scripts", "too_much_to_check"])
async def test_another_ganglion_says_of_hidden_text_what_we_do(
    remote: RemoteReflex, service: ReflexService, builtin: CachedScreener, name: str
) -> None:
    service.answers = [(200, answering(injections=[attack("obfuscation", name)]))]
    told = await checked(RemoteEngine(remote, builtin))
    assert [(f.family, f.type) for f in told.findings] == [("obfuscation", name)]


async def test_two_families_at_high_block_though_both_are_unknown(
    remote: RemoteReflex, service: ReflexService, builtin: CachedScreener
) -> None:
    service.answers = [(200, answering(injections=[attack("parrot"), attack("magpie")]))]
    assert (await checked(RemoteEngine(remote, builtin))).decision == "block"
    service.answers = [(200, answering(injections=[attack("parrot"), attack("parrot", "Other")]))]
    assert (await checked(RemoteEngine(remote, builtin))).decision == "allow"


async def test_a_policy_may_name_a_family_of_the_service(remote: RemoteReflex, service: ReflexService) -> None:
    policy = Policy.model_validate(
        {"profiles": {"p": {"injection": {"block_families": ["parrot"]}}}, "assign": {"*/*": "p"}}
    )
    builtin = CachedScreener(ScreeningSettings().screener().under(policy))
    service.answers = [(200, answering(injections=[attack("parrot")]))]
    assert (await checked(RemoteEngine(remote, builtin))).decision == "block"


async def test_of_data_that_overlaps_nothing_is_left_of_either(remote: RemoteReflex, service: ReflexService) -> None:
    redacting = {"pii": dict.fromkeys(("critical", "high", "medium", "low"), "redact")}
    policy = Policy.model_validate({"profiles": {"p": redacting}, "assign": {"*/*": "p"}})
    builtin = CachedScreener(ScreeningSettings().screener().under(policy))
    spans = [("Email", 0, 4), ("Phone", 2, 7)]
    matches = [{"pii_type": name, "start": start, "end": end} for name, start, end in spans]
    service.answers = [(200, orjson.dumps({"status": "success", "pii_matches": matches}))]
    verdict = await RemoteEngine(remote, builtin).screen({"goal": "abcdefgh"}, kind="goal", tenant="t")
    assert verdict.redacted == {"goal": "[EMAIL_1][PHONE_1]h"}


async def test_a_service_finds_no_more_than_policy_looks_for(remote: RemoteReflex, service: ReflexService) -> None:
    policy = Policy.model_validate({"profiles": {"p": {"patterns": "strict"}}, "assign": {"*/*": "p"}})
    builtin = CachedScreener(ScreeningSettings().screener().under(policy))
    matches = [{"pii_type": name, "start": 0, "end": 4} for name in ("MacAddress", "SSN")]
    service.answers = [(200, orjson.dumps({"status": "success", "pii_matches": matches}))]
    verdict = await RemoteEngine(remote, builtin).screen({"goal": "abcdefgh"}, kind="goal", tenant="t")
    assert [found.type for found in verdict.findings] == ["ssn"]


async def test_what_a_service_calls_its_rules_is_cut(
    remote: RemoteReflex, service: ReflexService, builtin: CachedScreener
) -> None:
    service.answers = [(200, orjson.dumps({"status": "success", "rules_version": "v" * 100_000}))]
    assert (await checked(RemoteEngine(remote, builtin))).rules_version == "v" * 64
