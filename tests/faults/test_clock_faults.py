"""A wall clock that is set by years, while a box runs and between two runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.judge import Judgement
from tests.faults.rig import LONG_ONLY, Rig

pytestmark = [pytest.mark.broker, pytest.mark.slow]

YEAR_S = 365 * 24 * 3600


def set_clock(file: Path, years: int) -> None:
    # Whoever reads it meanwhile finds the old or the new content.
    fresh = file.with_suffix(".new")
    fresh.write_text(f"{years * YEAR_S:+d}\n")
    fresh.rename(file)


@pytest.mark.parametrize("years", [-6, pytest.param(5, marks=LONG_ONLY)])
def test_a_clock_set_by_years(
    rig: Rig, verdict: Callable[[str, Judgement], None], long_form: bool, years: int
) -> None:
    clock = rig.folder / "clock"
    runs = 8 if long_form else 2

    for number in range(runs):
        # Every other run begins years away from where the one before was, and sees its clock set.
        set_clock(clock, years * (number % 2))
        box = rig.start(clock_file=str(clock))
        rig.watch(box, 1.0)
        set_clock(clock, years * (1 - number % 2))
        rig.watch(box, 1.0)
        rig.proxy.hold()
        rig.watch(box, 0.7)
        rig.kill(box)
        rig.proxy.release()

    verdict(f"clock set by {years:+d} years, {runs} x", rig.judge(recover=True))
