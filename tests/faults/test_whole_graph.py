"""The whole graph, from a clip to the subscriber: its broker and itself killed in the middle."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewatch.settings import SiteSettings
from tests.faults.judge import Judgement, judge
from tests.faults.rig import LONG_ONLY, Rig
from tests.pipeline.running import finish, start
from tests.pipeline.tiny_site import make_clip, tiny_site, write_models

pytestmark = [pytest.mark.gst, pytest.mark.broker, pytest.mark.slow]

Note = Callable[[str, Judgement], None]


def endless_site(rig: Rig, folder: Path) -> SiteSettings:
    """Return a site where somebody is unsafe for a second in every two, for ever."""
    write_models(folder)
    clip = make_clip(folder / "clip.mp4", [("black", 10), ("white", 10)])
    site = tiny_site(
        folder,
        {"cam": str(clip)},
        smoothing={"newest": 1, "window_s": 1e-9},
        decision={"threshold": 0.5, "open_after_s": 0.2, "close_after_s": 0.2},
        mqtt={
            "host": rig.proxy.host,
            "port": rig.proxy.port,
            "outbox": {"late_after_s": 1.0},
        },
    )
    source = site.sources[0].model_copy(update={"loop": True})
    return site.model_copy(update={"sources": (source,)})


def wait_for_incidents(rig: Rig, more: int) -> None:
    """Wait until that many more incident messages have come."""
    wanted, until_s = len(rig.testimony.incidents) + more, time.monotonic() + 60
    while len(rig.testimony.incidents) < wanted:
        assert time.monotonic() < until_s, "no incident came"
        time.sleep(0.05)


def end(rig: Rig, site: SiteSettings, folder: Path) -> Judgement:
    """Run once more, as long as it takes to say something, and judge all that was said."""
    box = start(site, folder)
    wait_for_incidents(rig, 2)
    box.send_signal(signal.SIGINT)
    ran = finish(box, folder)
    assert ran.code == 0, ran.output
    rig.witness.wait_until_quiet()
    return judge(None, rig.testimony)


def test_a_graph_whose_broker_is_killed(
    rig: Rig, verdict: Note, long_form: bool, tmp_path: Path
) -> None:
    site = endless_site(rig, tmp_path)
    box = start(site, tmp_path)

    for _ in range(5 if long_form else 1):
        wait_for_incidents(rig, 2)
        rig.restart_broker(away_s=3.0)
    wait_for_incidents(rig, 2)
    box.send_signal(signal.SIGINT)
    ran = finish(box, tmp_path)

    assert ran.code == 0, ran.output
    rig.witness.wait_until_quiet()
    judgement = judge(None, rig.testimony)
    assert judgement.late > 0
    verdict("whole graph, broker killed for 3 s", judgement)


@LONG_ONLY
def test_a_graph_that_is_killed(rig: Rig, verdict: Note, tmp_path: Path) -> None:
    site = endless_site(rig, tmp_path)
    kills, rng = 12, random.Random(1)

    for _ in range(kills):
        box = start(site, tmp_path)
        wait_for_incidents(rig, 1)
        time.sleep(rng.random())
        box.kill()
        box.communicate()

    verdict(f"whole graph killed, {kills} times", end(rig, site, tmp_path))
