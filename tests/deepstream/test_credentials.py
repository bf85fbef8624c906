"""Where the password for the broker comes from."""

from pathlib import Path

import pytest

from deepstream.credentials import read_password
from ropewatch.errors import SettingsError
from ropewatch.mqtt_settings import MqttSettings


def test_the_password_comes_from_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    settings = MqttSettings(host="h", username="u", password_file=file)

    file.chmod(0o644)
    with pytest.raises(SettingsError, match="readable by others, want mode 600"):
        read_password(settings)

    file.chmod(0o600)
    assert read_password(settings) == "hunter2"


def test_the_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = MqttSettings(host="h", username="u", password_env="ROPEWATCH_TEST_PW")
    with pytest.raises(SettingsError, match="ROPEWATCH_TEST_PW is not set"):
        read_password(settings)

    monkeypatch.setenv("ROPEWATCH_TEST_PW", "hunter2")

    assert read_password(settings) == "hunter2"
