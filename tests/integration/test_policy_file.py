"""A process whose policy file cannot be used ends with one line that says which file and where, and no traceback."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(tmp_path: Path, nats_url: str) -> dict[str, str]:
    policy = tmp_path / "policy.yaml"
    policy.write_text("profiles: {default: {pii: {critical: shout}}}\n")
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GANGLION_")}
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    return {
        **ours,
        "NATS_URL": nats_url,
        "DATABASE_URL": nowhere,
        "GANGLION_POLICY": str(policy),
        "GANGLION_JWT_SECRET": "x" * 32,
        "GANGLION_PORT": "0",
    }


@pytest.mark.parametrize("role", [("gateway",), ("consumers", "reflex")], ids=" ".join)
async def test_a_wrong_policy_file_ends_the_process_with_one_line(
    environment: dict[str, str], tmp_path: Path, role: tuple[str, ...]
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *role, env=environment, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 1
    assert b"Traceback" not in said
    wrong = f"{tmp_path / 'policy.yaml'} is no policy: profiles.default.pii.critical: Input should be 'block'"
    assert said.decode().splitlines()[-1].startswith(wrong)
