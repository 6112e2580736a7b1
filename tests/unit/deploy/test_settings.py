"""A wrong setting is named in one line, and its value is never shown."""

import pytest

from deploy.local.errors import StackError
from deploy.local.settings import StackSettings


def test_wrong_settings_are_named_by_variable_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANGLION_PORT", "eighty")
    monkeypatch.setenv("GANGLION_LOG_SYNC", "never")
    monkeypatch.setenv("GANGLION_NATS_NODES", "2")
    monkeypatch.setenv("GANGLION_JWT_SECRET", "too-short")
    with pytest.raises(StackError) as caught:
        StackSettings.from_environment()
    lines = str(caught.value).splitlines()
    assert sorted(line.split(":")[0] for line in lines) == [
        "GANGLION_JWT_SECRET",
        "GANGLION_LOG_SYNC",
        "GANGLION_NATS_NODES",
        "GANGLION_PORT",
    ]
    assert "too-short" not in str(caught.value)
    assert "eighty" not in str(caught.value)


def test_given_servers_are_read_under_their_plain_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_URL", "nats://elsewhere")
    settings = StackSettings.from_environment()
    assert settings.nats_url is not None
    assert settings.nats_url.get_secret_value() == "nats://elsewhere"
    assert "elsewhere" not in repr(settings)
