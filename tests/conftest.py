"""Fixtures that several folders share."""

import os
from collections.abc import Iterator

import pytest

from demo.broker import PrivateBroker

# Before any test imports it: ONNX Runtime reports to its maker otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@pytest.fixture
def broker() -> Iterator[PrivateBroker]:
    """Give a real mosquitto on a free loopback port, for one test."""
    with PrivateBroker() as running:
        yield running
