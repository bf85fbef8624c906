"""Passwords for the broker: from the environment or a file, never from the site file."""

import os
import stat

from ropewatch.errors import SettingsError
from ropewatch.mqtt_settings import MqttSettings


def read_password(settings: MqttSettings) -> str | None:
    """Return the password from the environment or a file; None where none is set.

    Raises:
        SettingsError: the variable is unset, or the file is missing or readable by others.
    """
    if settings.password_env is not None:
        try:
            return os.environ[settings.password_env]
        except KeyError:
            raise SettingsError(
                f"mqtt.password_env: {settings.password_env} is not set, want the password in "
                "it; export it before starting"
            ) from None
    if settings.password_file is None:
        return None
    path = settings.password_file
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"mqtt.password_file: {path}: {error.strerror}, want a readable file; correct the path"
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(
            f"mqtt.password_file: {path}: readable by others, want mode 600; chmod 600 {path}"
        )
    return text.rstrip("\n")
