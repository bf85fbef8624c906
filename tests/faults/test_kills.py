"""A box killed at random moments, and a broker killed with it now and then."""

import random
from collections.abc import Callable

import pytest
from rich.progress import track

from tests.faults.judge import Judgement
from tests.faults.rig import Rig

pytestmark = [pytest.mark.broker, pytest.mark.slow]

SHORT_KILLS, LONG_KILLS = 30, 1000
# The power of both goes.
BROKER_EVERY = 25


def test_every_start_has_one_end_however_often_the_box_is_killed(
    rig: Rig, verdict: Callable[[str, Judgement], None], long_form: bool
) -> None:
    kills = LONG_KILLS if long_form else SHORT_KILLS
    rng = random.Random(kills)

    for number in track(range(kills), description="kills", disable=not long_form):
        box = rig.start(seed=number, pause_s=0.004, port=rig.broker.port)
        # Most kills come while it decides, some while it starts and recovers.
        if rng.random() < 0.9:
            rig.wait_for_box()
        rig.watch(box, rng.random() * 0.4)
        rig.kill(box)
        if number % BROKER_EVERY == BROKER_EVERY - 1:
            rig.restart_broker(away_s=0)

    judgement = rig.judge(recover=True)
    assert judgement.recovered > 0
    verdict(f"killed {kills} times under load", judgement)
