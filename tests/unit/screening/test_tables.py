"""What machines write in numbers is no volume of personal data: tables, logs, time series."""

import random
from collections.abc import Callable

import pytest

from screening import Policy, Screener

Cell = Callable[[random.Random], str]
CELLS: dict[str, Cell] = {
    "fractions of a float": lambda rng: repr(rng.random()),
    "twelve places": lambda rng: f"{rng.random():.12f}",
    "scientific": lambda rng: f"{rng.gauss(0, 1):.18e}",
    "signed": lambda rng: f"{rng.gauss(0, 50):+.4f}",
    "twelve digits": lambda rng: str(rng.randrange(10**12)),
    "milliseconds since 1970": lambda rng: str(1_700_000_000_000 + rng.randrange(10**10)),
    "times": lambda rng: f"2024-05-{rng.randrange(1, 29):02} 12:{rng.randrange(60):02}:{rng.randrange(60):02},123",
    "years of changes": lambda rng: f"+ {rng.randrange(1990, 2024)} mended",
    "requests": lambda rng: f'{rng.randrange(256)}.{rng.randrange(256)}.1.2 - - "GET / HTTP/1.1" 200',
    "hex dump": lambda rng: " ".join(f"{rng.getrandbits(8):02x}" for _ in range(16)),
    "identifiers": lambda rng: "-".join(f"{rng.getrandbits(4 * n):0{n}x}" for n in (8, 4, 4, 4, 12)),
}


@pytest.mark.parametrize("between", [" ", ",", "\n"])
@pytest.mark.parametrize("kind", CELLS)
def test_a_table_of_numbers_passes(screener: Screener, kind: str, between: str) -> None:
    rng = random.Random(7)
    cells = (CELLS[kind](rng) for _ in range(8_000))
    text = between.join(cells)[:100_000]
    assert screener.screen({"goal": text}, kind="goal", tenant="acme").decision == "allow"


def test_more_of_what_policy_takes_out_than_is_counted_blocks(screener: Screener) -> None:
    text = "10.1.2.3 connected\n" * 5_000
    noted = screener.screen({"goal": text}, kind="goal", tenant="acme")
    assert (noted.decision, noted.truncated) == ("allow", True)
    policy = Policy.load().model_dump()
    for profile in policy["profiles"].values():
        profile["pii"]["low"] = "redact"
    strict = screener.under(Policy.model_validate(policy))
    assert strict.screen({"goal": text}, kind="goal", tenant="acme").decision == "block"


def test_a_card_behind_a_long_fraction_is_found(screener: Screener) -> None:
    text = "0.123456789012 4111 1111 1111 1111, 0.7579544029403025"
    assert [found.type for found in screener.data_findings(text)] == ["credit_card"]
