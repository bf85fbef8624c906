"""Fixtures for the parts of the runtime."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.broker import PrivateBroker
from ropewatch.asking import ask
from ropewatch.client import Subscriber
from ropewatch.commands import Answer
from tests.deepstream.commanded import LINE, Ask, Box
from tests.waiting import TIMEOUT_S


@pytest.fixture
def box(broker: PrivateBroker, tmp_path: Path) -> Iterator[Box]:
    with Box(broker, tmp_path) as made:
        yield made


@pytest.fixture
def operator(broker: PrivateBroker, box: Box) -> Iterator[Ask]:
    with Subscriber(broker.host, broker.port, (LINE.answers,)) as subscriber:

        def asking(verb: str, **content: Any) -> Answer:
            return ask(subscriber, LINE, verb, content, timeout_s=TIMEOUT_S)

        yield asking
