"""The private mosquitto of the demo and the tests."""

import pytest

from demo.broker import PrivateBroker
from ropewatch.errors import BrokerError

pytestmark = pytest.mark.broker


def test_a_port_in_use_is_said_by_the_private_broker(broker: PrivateBroker) -> None:
    with (
        pytest.raises(BrokerError, match=f"did not start on port {broker.port}"),
        PrivateBroker(port=broker.port),
    ):
        pass
