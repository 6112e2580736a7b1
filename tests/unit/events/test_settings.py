"""A wrong setting ends a process with one line: the variable and why, never the value."""

import pytest
from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from events.settings import settings_explained


class ShopSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_")

    open_hours: int = 8
    names: dict[str, str] = {}
    key: SecretStr = Field(default=SecretStr("-" * 20), min_length=20, validation_alias="LOCK_KEY")


@pytest.mark.parametrize(
    ("name", "value"), [("SHOP_OPEN_HOURS", "many-many"), ("LOCK_KEY", "my-secret"), ("SHOP_NAMES", "no-json")]
)
def test_a_wrong_variable_is_named_in_one_line_and_its_value_is_not(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught, settings_explained():
        ShopSettings()
    told = str(caught.value.code)
    assert name.lower().removeprefix("shop_") in told.lower()
    assert value not in told
    assert len(told.splitlines()) == 1


class CellarSettings(BaseSettings):
    """Has a field that is called as one of the shop is."""

    model_config = SettingsConfigDict(env_prefix="CELLAR_")

    names: dict[str, str] = {}
    keys: dict[str, str] = Field(default_factory=dict, validation_alias="RING_OF_KEYS")


@pytest.mark.parametrize(("name", "kind"), [("SHOP_NAMES", ShopSettings), ("RING_OF_KEYS", CellarSettings)])
def test_a_variable_that_is_no_json_is_called_as_whoever_set_it_did(
    name: str, kind: type[BaseSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELLAR_NAMES", '{"a": "b"}')
    monkeypatch.setenv(name, '{"a": "my-secret')
    with pytest.raises(SystemExit) as caught, settings_explained():
        kind()
    assert str(caught.value.code) == f"{name}: it is not the JSON that it ought to be"


def test_two_wrong_variables_are_named_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_OPEN_HOURS", "x")
    monkeypatch.setenv("LOCK_KEY", "x")
    with pytest.raises(SystemExit, match=r"^SHOP_OPEN_HOURS: .*; LOCK_KEY: "), settings_explained():
        ShopSettings()


def test_what_is_no_setting_is_not_explained_away() -> None:
    class Parcel(BaseModel):
        weight: int

    with pytest.raises(ValidationError), settings_explained():
        Parcel.model_validate({"weight": "heavy"})
