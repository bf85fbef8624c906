"""Expected incidents, worked by hand at 2 frames a second; open 0.5 s, close 1 s, gone 2 s."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from demo.truth import (
    ClipTruth,
    ExpectedIncident,
    PersonTruth,
    expected_incidents,
    read_truth,
    write_truth,
)
from ropewatch.errors import RopewatchError
from ropewatch.judging import DecisionSettings

DECISION = DecisionSettings(
    threshold=0.5, open_after_s=0.5, close_after_s=1.0, gone_after_s=2.0, max_evidence_age_s=1.0
)
ROPED, BARE, HIDDEN, ABSENT = "r", "u", "h", "."


def clip(*people: str) -> ClipTruth:
    """One letter a frame: r roped, u unroped, h unroped but hidden, . not in the picture."""
    frames: Sequence[tuple[PersonTruth, ...]] = [
        tuple(
            PersonTruth(
                f"p{number}",
                (100.0 * number, 10.0, 40.0, 100.0),
                letter == ROPED,
                0.1 if letter == HIDDEN else 1.0,
            )
            for number, letter in enumerate(letters, start=1)
            if letter != ABSENT
        )
        for letters in zip(*people, strict=True)
    ]
    return ClipTruth("cam", 1, (640, 360), 2, tuple(frames))


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        pytest.param("rrrrrrrr", [], id="always-roped"),
        # Bare at 0 s, covered 0.5 s at 0.5 s; the clip of 8 frames ends at 4 s.
        pytest.param("uuuuuuuu", [(0.5, 4.0, "stream_ended")], id="never-roped"),
        # Roped from 1.5 s, so covered 1 s at 2.5 s.
        pytest.param("uuurrrrr", [(0.5, 2.5, "rope_seen")], id="clips-on"),
        pytest.param("rrruuuuu", [(2.0, 4.0, "stream_ended")], id="unclips"),
        # One bare frame covers no time.
        pytest.param("rrrurrrr", [], id="too-short-to-open"),
        # The last roped stretch is 0.5 s long at the end: too short to close.
        pytest.param("uuuuuurr", [(0.5, 4.0, "stream_ended")], id="too-short-to-close"),
        # Last seen at 1 s, gone at 3 s.
        pytest.param("uuu.....", [(0.5, 3.0, "person_gone")], id="leaves"),
        # Last seen at 2.5 s; gone would be at 4.5 s, after the end.
        pytest.param("uuuuuu..", [(0.5, 4.0, "stream_ended")], id="leaves-just-before-the-end"),
        # 1 s without evidence is young enough to cover the time: open at 1 s.
        pytest.param("uhuuuuuu", [(1.0, 4.0, "stream_ended")], id="hidden-for-a-moment"),
        # Of 1.5 s without evidence, 1 s counts as bare.
        pytest.param("uhhuuuuu", [(1.5, 4.0, "stream_ended")], id="hidden-between-bare-moments"),
        # Roped from 1 s; the 1.5 s without evidence up to 2.5 s do not count, 1 s after them does.
        pytest.param("uurhhrrr", [(0.5, 3.5, "rope_seen")], id="hidden-between-roped-moments"),
        pytest.param(
            "uurrrruu",
            [(0.5, 2.0, "rope_seen"), (3.5, 4.0, "stream_ended")],
            id="two-incidents-of-one-person",
        ),
        pytest.param("hhhhhhhh", [], id="never-seen-well-enough"),
    ],
)
def test_expected_incidents_of_one_person(
    frames: str, expected: list[tuple[float, float, str]]
) -> None:
    found = expected_incidents(clip(frames), DECISION)

    assert found == tuple(ExpectedIncident("p1", *one) for one in expected)


def test_of_a_long_time_out_of_sight_only_the_evidence_age_counts_as_bare() -> None:
    # 1.5 s without evidence counts 1 s, so 1.5 s of bare time are full at 2 s, not at 1.5 s.
    decision = DECISION.model_copy(update={"open_after_s": 1.5})

    (incident,) = expected_incidents(clip("uhhuuuuu"), decision)

    assert incident.start_s == 2.0


def test_expected_incidents_come_in_order_of_start() -> None:
    found = expected_incidents(clip("rruuuuuu", "uuuuuuuu"), DECISION)

    assert [incident.person for incident in found] == ["p2", "p1"]


def test_truth_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    truth = clip("ru.h", "uuuu")
    path = tmp_path / "cam.truth.json"

    write_truth(truth, path)

    assert read_truth(path) == truth


def test_truth_of_another_format_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "cam.truth.json"
    path.write_text('{"format": "other"}', encoding="utf-8")

    with pytest.raises(RopewatchError, match=r"cam\.truth\.json: format 'other', want"):
        read_truth(path)


def test_truth_that_is_absent_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(RopewatchError, match=r"python -m demo\.make_clips"):
        read_truth(tmp_path / "cam.truth.json")


def test_people_at_takes_the_frame_that_is_shown() -> None:
    truth = clip("r.u.")

    assert [len(truth.people_at(t_s)) for t_s in (0.0, 0.49, 0.5, 1.2, 99.0)] == [1, 1, 0, 1, 0]
