"""The watch over all other tests' messages sees what is wrong with one."""

import json

import pytest

from ropewatch.client import Received
from ropewatch.wire import Message, Wire
from tests.contract import ContractWatch

WILL = Wire(site="yard", box="box", boot_id="01BOOT").will()


def _sent(watch: ContractWatch, *, qos: int = 1, **changes: object) -> list[str]:
    content = {**json.loads(WILL.payload), **changes}
    payload = json.dumps({key: value for key, value in content.items() if value != "gone"})
    Message(WILL.topic, payload.encode(), qos, WILL.retain, None, WILL.content_type)
    faults = watch.faults[:]
    watch.faults.clear()
    return faults


def test_a_message_that_is_not_as_published_is_seen(contract_watch: ContractWatch) -> None:
    checked = contract_watch.checked

    assert _sent(contract_watch) == []
    assert "'unwell' is not one of" in _sent(contract_watch, status="unwell")[0]
    assert "'boot_id' is a required property" in _sent(contract_watch, boot_id="gone")[0]
    assert "Additional properties are not allowed" in _sent(contract_watch, mood="good")[0]
    assert "QoS, retain (0, True)" in _sent(contract_watch, qos=0)[0]
    assert contract_watch.checked == checked + 5


@pytest.mark.parametrize(("kind", "count"), [(WILL.content_type, 1), (None, 0)])
def test_what_is_received_is_looked_at_if_a_box_may_have_sent_it(
    kind: str | None, count: int, contract_watch: ContractWatch
) -> None:
    checked = contract_watch.checked

    Received(WILL.topic, WILL.payload, kind, retained=False, packet=(1, 1))

    assert contract_watch.checked == checked + count
