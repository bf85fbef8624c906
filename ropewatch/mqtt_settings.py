"""Settings of what a box says to a broker: where it is, what waits for it, who may ask."""

from pathlib import Path

from pydantic import Field, model_validator
from typing_extensions import Self

from ropewatch.section import Name, Section


class TlsSettings(Section):
    """TLS towards the broker; certificates are always verified."""

    ca_file: Path | None = Field(None, description="CA bundle; unset: the system's.")
    cert_file: Path | None = Field(None, description="Client certificate, PEM.")
    key_file: Path | None = Field(None, description="Client key, PEM; needs cert_file.")

    @model_validator(mode="after")
    def _cert_and_key_together(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file, want both or neither; set the missing one")
        return self


class OutboxSettings(Section):
    """What is kept on disk until the broker has it."""

    max_bytes: int = Field(
        256 * 1024 * 1024,
        ge=64 * 1024,
        le=1 << 40,
        description="Bytes of messages that may wait. Beyond it telemetry goes first, then "
        "updates, then snapshots; starts and ends never.",
    )
    max_age_s: float = Field(
        7 * 24 * 3600.0,
        ge=60,
        description="What has waited for longer is dropped; starts and ends never.",
    )
    late_after_s: float = Field(
        10.0,
        ge=0,
        le=3600,
        description="An incident message that has waited for longer says that it is late.",
    )


class CommandSettings(Section):
    """Who may ask this box to do something, besides what the broker's access list says."""

    senders: tuple[Name, ...] = Field(
        min_length=1,
        description="Names in the topics of commands; the broker holds them to be true.",
    )


class HomeAssistantSettings(Section):
    """Home Assistant's MQTT discovery."""

    discovery_prefix: str = Field(
        "homeassistant",
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$",
        description="As in Home Assistant's MQTT options.",
    )
    birth_topic: str = Field(
        "homeassistant/status",
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$",
        description="Where Home Assistant says that it has started; all is told anew then.",
    )


class MqttSettings(Section):
    """The broker. Credentials come from the environment or a file, never from here."""

    host: str = Field(min_length=1, description="Host name or address of the broker.")
    port: int = Field(1883, ge=1, le=65535, description="TCP port; 8883 is usual with TLS.")
    tls: TlsSettings | None = Field(None, description="Set (even to {}) to use TLS.")
    username: str | None = Field(None, description="User name.")
    password_env: str | None = Field(
        None, description="Name of the environment variable that holds the password."
    )
    password_file: Path | None = Field(
        None, description="File that holds the password; must not be readable by others."
    )
    keepalive_s: int = Field(30, ge=5, le=3600, description="MQTT keep-alive.")
    outbox: OutboxSettings = OutboxSettings()
    home_assistant: HomeAssistantSettings | None = Field(
        None, description="Set (even to {}) to have cameras appear in Home Assistant."
    )
    commands: CommandSettings | None = Field(None, description="Unset: commands are not read.")
    connect_timeout_s: float = Field(10.0, gt=0, le=600, description="First connection.")
    require_broker: bool = Field(
        False,
        description="true: a broker that is absent or refuses at start stops `run`. "
        "false: watching goes on and messages wait.",
    )

    @model_validator(mode="after")
    def _password_is_used(self) -> Self:
        given = [key for key in ("password_env", "password_file") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError("password_env and password_file are both set, want one; remove one")
        if given and self.username is None:
            raise ValueError(
                f"{given[0]} is set without username, want both: the broker would never see "
                "the password; set username"
            )
        return self
