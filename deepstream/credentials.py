"""Who the box is to the broker: passwords, never from the site file, and certificates."""

import os
import ssl
import stat
from typing import Any

from ropewatch.errors import SettingsError
from ropewatch.mqtt_settings import MqttSettings, TlsSettings


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


def set_tls(client: Any, tls: TlsSettings) -> None:
    """Have an MQTT client speak TLS.

    Raises:
        SettingsError: a certificate or key cannot be read, or they do not belong together.
    """
    try:
        client.tls_set(
            ca_certs=str(tls.ca_file) if tls.ca_file else None,
            certfile=str(tls.cert_file) if tls.cert_file else None,
            keyfile=str(tls.key_file) if tls.key_file else None,
            cert_reqs=ssl.CERT_REQUIRED,
        )
    except (OSError, ssl.SSLError, ValueError) as error:
        raise SettingsError(
            f"mqtt.tls: {error}, want readable PEM files that belong together; correct ca_file, "
            "cert_file or key_file"
        ) from None
