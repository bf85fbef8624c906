"""Learning the right view, and following it through light and building."""

import numpy as np
import pytest

from ropewatch.aim import Aim, Luma
from ropewatch.reference import (
    COMPARE_EVERY_S,
    HEIGHT_PX,
    LEARN_EVERY_S,
    RENEW_EVERY_S,
    SAMPLES,
    WIDTH_PX,
    AimWatch,
    Reference,
    from_pgm,
    to_pgm,
)
from tests.core.scenes import Scene, scene, shot

KEY = "0123456789abcdef" * 4


class Looking:
    """A watch that looks at one scene after another."""

    def __init__(self, watch: AimWatch) -> None:
        self.watch, self.now_s, self.number = watch, 1000.0, 0

    def at(
        self, of: Scene, for_s: float, *, right_px: int = 0, every_s: float = COMPARE_EVERY_S
    ) -> list[Aim]:
        said = []
        for _ in range(round(for_s / every_s)):
            self.number += 1
            self.watch.look(shot(of, right_px, seed=self.number), self.now_s)
            self.now_s += every_s
            said.append(self.watch.aim)
        return said


LEARN_S = SAMPLES * LEARN_EVERY_S
RENEW_S = SAMPLES * RENEW_EVERY_S


def reference_of(looking: Looking) -> Reference:
    assert looking.watch.reference is not None
    return looking.watch.reference


def watching(of: Scene) -> Looking:
    return Looking(AimWatch(Reference(shot(of), shot(of))))


def test_a_view_is_learnt_from_samples_over_minutes_without_those_who_pass() -> None:
    yard, looking = scene(1), Looking(AimWatch())
    for number in range(SAMPLES):
        passing = yard.copy()
        passing[120:240, 110 + number * 15 : 140 + number * 15] = 0
        looking.at(passing, for_s=LEARN_EVERY_S)

    learnt = reference_of(looking).learnt

    apart = np.abs(learnt.astype(int) - shot(yard, sigma=0)).max()
    assert apart < 12
    assert set(looking.at(yard, for_s=20)) == {Aim.HOLDS}


def test_a_view_is_not_learnt_before_its_time() -> None:
    looking = Looking(AimWatch())

    looking.at(scene(1), for_s=LEARN_S - 2 * LEARN_EVERY_S)

    assert looking.watch.reference is None


@pytest.mark.parametrize("stay", [1, SAMPLES // 2])
def test_a_camera_that_turns_while_it_is_learnt_is_learnt_again(stay: int) -> None:
    looking = Looking(AimWatch())
    for number in range(2 * SAMPLES):
        looking.at(scene(number // stay % 3), for_s=LEARN_EVERY_S)
    assert looking.watch.reference is None

    looking.at(scene(1), for_s=LEARN_S + LEARN_EVERY_S)

    assert set(looking.at(scene(1), for_s=20)) == {Aim.HOLDS}


def test_a_view_without_edges_is_never_learnt() -> None:
    looking = Looking(AimWatch())

    looking.at(np.full_like(scene(1), 120), for_s=3 * LEARN_S)

    assert looking.watch.reference is None


def test_a_camera_that_was_knocked_while_the_box_was_off_is_moved() -> None:
    looking = Looking(AimWatch())
    looking.at(scene(1), for_s=LEARN_S + LEARN_EVERY_S)
    kept = from_pgm(to_pgm(reference_of(looking), KEY), KEY)

    again = Looking(AimWatch(kept))

    assert set(again.at(scene(1), for_s=10, right_px=30)) == {Aim.MOVED}
    assert set(again.at(scene(1), for_s=10)) == {Aim.HOLDS}


def test_a_building_that_grows_is_followed() -> None:
    yard, looking = scene(1), watching(scene(1))
    for number in range(14):
        # 26 of the 240 rectangles' worth of other wall with each median, from the ground up.
        top = yard.shape[0] - 25 * number
        yard[max(top, 0) : top + 25] = scene(900 + number)[max(top, 0) : top + 25]
        said = looking.at(yard, for_s=RENEW_S, every_s=RENEW_EVERY_S)
        assert Aim.MOVED not in said

    assert set(looking.at(yard, for_s=20)) == {Aim.HOLDS}
    fresh = Looking(AimWatch(Reference(shot(scene(1)), shot(scene(1)))))
    assert Aim.HOLDS not in fresh.at(yard, for_s=20)


def test_a_camera_that_sinks_slowly_is_told() -> None:
    looking = watching(scene(1))
    said: list[Aim] = []
    for right_px in range(40):
        said += looking.at(scene(1), for_s=RENEW_S, right_px=right_px, every_s=RENEW_EVERY_S)

    assert said[-1] is Aim.MOVED
    # It was followed no further than twice what is tolerated: 6 of these pixels.
    assert Aim.HOLDS not in said[-(40 - 16) * SAMPLES :]


def test_a_view_that_is_moved_is_not_learnt() -> None:
    looking = watching(scene(1))

    looking.at(scene(1), for_s=3 * RENEW_S, right_px=40, every_s=RENEW_EVERY_S)

    assert looking.watch.aim is Aim.MOVED
    assert looking.at(scene(1), for_s=10)[-1] is Aim.HOLDS


def test_what_was_learnt_stays_beside_what_was_seen_lately() -> None:
    looking = watching(scene(1))
    before = reference_of(looking)

    looking.at(scene(1) * 0.6, for_s=RENEW_S, every_s=RENEW_EVERY_S)

    after = reference_of(looking)
    assert after.learnt is before.learnt
    assert after.lately.mean() < 0.7 * before.lately.mean()


def halves() -> tuple[Luma, Luma]:
    return shot(scene(1)), shot(scene(2))


def test_a_reference_is_read_as_it_was_written() -> None:
    learnt, lately = halves()

    content = to_pgm(Reference(learnt, lately), KEY)
    read = from_pgm(content, KEY)

    assert content.startswith(b"P5\n")
    assert read is not None
    np.testing.assert_array_equal(read.learnt, learnt)
    np.testing.assert_array_equal(read.lately, lately)


def test_a_reference_of_another_camera_s_settings_is_not_taken() -> None:
    assert from_pgm(to_pgm(Reference(*halves()), KEY), KEY[::-1]) is None


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"P5\n1 1\n255\n\x00",
        to_pgm(Reference(*halves()), KEY)[:-1],
        to_pgm(Reference(*halves()), KEY) + b"\x00",
        b"\x00" * (2 * WIDTH_PX * HEIGHT_PX),
    ],
)
def test_a_broken_reference_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError, match=r"bytes, want a 256 x 288 PGM of ours"):
        from_pgm(broken, KEY)
