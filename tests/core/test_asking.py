"""`ropewatch command` with answers that no box of this version gives, over a real mosquitto."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from demo.broker import PrivateBroker
from ropewatch.cli import main
from ropewatch.topics import ROOT
from tests.publishing import new_client, wait_until_ready

pytestmark = pytest.mark.broker


@contextmanager
def box_that_says(payload: bytes, broker: PrivateBroker) -> Iterator[None]:
    """Answer every command to yard/box1 with the same."""
    client = new_client()

    def answer(_client: object, _data: object, asked: Any) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's
        properties.CorrelationData = asked.properties.CorrelationData
        client.publish(asked.properties.ResponseTopic, payload, 1, properties=properties)

    client.on_message = answer
    client.connect(broker.host, broker.port)
    client.loop_start()
    client.subscribe(f"{ROOT}/yard/box1/command/+/+", 1)
    wait_until_ready(client)
    yield
    client.disconnect()
    client.loop_stop()


@pytest.mark.parametrize(
    ("payload", "message"),
    [(b"{", "yard/box1: answer: not JSON: "), (b'{"version": "2.0"}', "yard/box1: answer: vers")],
)
def test_an_answer_that_cannot_be_read_is_told(
    payload: bytes, message: str, broker: PrivateBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"command ping --site-name yard --box box1 --sender desk --port {broker.port}"

    with box_that_says(payload, broker):
        assert main(words.split()) == 1

    said = capsys.readouterr().err
    assert f"error: {message}" in said
    assert "want an answer that this ropewatch knows; use the version of the box" in said
