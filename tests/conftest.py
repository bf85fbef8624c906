"""Fixtures that several folders share."""

from collections.abc import Iterator

import pytest

from demo.broker import PrivateBroker


@pytest.fixture
def broker() -> Iterator[PrivateBroker]:
    """Give a real mosquitto on a free loopback port, for one test."""
    with PrivateBroker() as running:
        yield running
