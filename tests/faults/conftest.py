"""Collects what was survived, and prints it at the end of a run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.judge import Judgement, table
from tests.faults.rig import LONG, Rig

SURVIVED: pytest.StashKey[dict[str, Judgement]] = pytest.StashKey()


@pytest.fixture
def long_form() -> bool:
    """Say whether there is time."""
    return LONG


@pytest.fixture
def verdict(request: pytest.FixtureRequest) -> Callable[[str, Judgement], None]:
    """Give a function that notes a judgement for the table, and fails unless all was survived."""
    rows = request.config.stash.setdefault(SURVIVED, {})

    def note(fault: str, judgement: Judgement) -> None:
        rows[fault] = judgement
        assert judgement.incidents > 0, "nothing happened"
        assert judgement.faults == ()

    return note


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Give a broker with a witness; boxes are to be started."""
    with Rig(tmp_path) as running:
        yield running


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table."""
    rows = config.stash.get(SURVIVED, {})
    if rows:
        terminalreporter.section("what a box with people in view survived")
        for line in table(rows):
            terminalreporter.write_line(line)
