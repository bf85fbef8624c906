"""Fixtures that several folders share."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from demo.broker import PrivateBroker
from tests.contract import ContractWatch

# Before any test imports it: ONNX Runtime reports to its maker otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# The same examples on every machine, however slow it is; --hypothesis-profile random has others.
settings.register_profile("random", deadline=None)
settings.register_profile(
    "ropewatch", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ropewatch")


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the outboxes of tests out of the home of whoever runs them."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state-home"))


@pytest.fixture
def broker() -> Iterator[PrivateBroker]:
    """Give a real mosquitto on a free loopback port, for one test."""
    with PrivateBroker() as running:
        yield running


@pytest.fixture(scope="session")
def contract_watch() -> Iterator[ContractWatch]:
    """Look at every message of this session."""
    watch = ContractWatch()
    with pytest.MonkeyPatch.context() as patch:
        watch.install(patch)
        yield watch


@pytest.fixture(autouse=True)
def _messages_keep_the_contract(contract_watch: ContractWatch) -> Iterator[None]:
    """Fail a test of which a message is not as published."""
    contract_watch.faults.clear()
    yield
    assert contract_watch.faults == []
