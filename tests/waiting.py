"""Waits for what must happen, however slow the machine is."""

import time
from collections.abc import Callable

# Nothing is measured against it.
TIMEOUT_S = 60.0


def wait_until(condition: Callable[[], object]) -> None:
    """Return once the condition holds; fail if it never does."""
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end_s, "it never happened"
        time.sleep(0.02)
