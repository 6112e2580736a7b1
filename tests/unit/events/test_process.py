"""A wrong setting ends a process with one line: the variable and why, never the value."""

import pytest
from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from events.process import settings_explained


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
