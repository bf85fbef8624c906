"""Programs that know nothing of ropewatch read its incidents by the contract alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import other_subscribers
from benchmarks.other_subscribers import MissingError, OtherSubscriber
from demo.broker import PrivateBroker
from ropewatch.incidents import Phase
from tests.core.incident_messages import BOOT_1, message
from tests.publishing import publish

pytestmark = pytest.mark.broker


def mosquitto_sub(broker: PrivateBroker, _folder: Path) -> OtherSubscriber:
    return other_subscribers.mosquitto_sub(broker.host, broker.port)


def mqtt_js(broker: PrivateBroker, folder: Path) -> OtherSubscriber:
    script = other_subscribers.install_mqtt_js(folder)
    return other_subscribers.mqtt_js(script, broker.host, broker.port)


@pytest.mark.parametrize("start", [mosquitto_sub, mqtt_js])
def test_another_make_reads_every_incident_message(
    start: Callable[[PrivateBroker, Path], OtherSubscriber], broker: PrivateBroker, tmp_path: Path
) -> None:
    try:
        other = start(broker, tmp_path)
    except MissingError as missing:
        pytest.skip(str(missing))
    other.wait_until_subscribed()
    sent = [message(1, Phase.START), message(2), message(3, Phase.END)]

    publish(broker.host, broker.port, [(each.topic, each.payload) for each in sent])
    other.wait_for(3)
    other.stop()

    assert other.ids() == [f"box-1:{BOOT_1}:{n}" for n in (1, 2, 3)]
