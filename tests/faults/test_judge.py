"""The judge finds what it is there to find."""

from collections import Counter
from dataclasses import replace

import pytest

from ropewatch.incidents import EndReason, Phase
from tests.faults.judge import Diary, judge, table
from tests.faults.witness import Heard, Testimony

BOOT, NEXT_BOOT = "01BOOT", "02BOOT"
START = Heard("1", "incident", Phase.START, 1, BOOT, 1, None, None)
UPDATE = Heard("2", "incident", Phase.UPDATE, 2, BOOT, 2, None, "digest")
END = Heard("3", "incident", Phase.END, 3, BOOT, 3, EndReason.ROPE_SEEN, "digest")
RECOVERED = Heard("4", "incident", Phase.END, 3, NEXT_BOOT, 1, EndReason.RESTART_RECOVERY, None)


def heard(*messages: Heard, pictures: tuple[str, ...] = ("digest",)) -> Testimony:
    incidents = {message.id: message for message in messages}
    return Testimony(incidents, copies=len(messages), pictures=set(pictures))


def wrote(*messages: Heard, boots: tuple[str, ...] = (BOOT,)) -> Diary:
    events: set[tuple[str, ...]] = {
        (one.phase.value, one.incident_id, str(one.revision)) for one in messages
    }
    return Diary(list(boots), events, set(events), {"digest"}, {"digest"}, Counter())


def test_nothing_is_wrong_when_all_that_was_decided_was_heard() -> None:
    assert judge(wrote(START, UPDATE, END), heard(END, START, UPDATE)).faults == ()


def test_an_end_by_recovery_is_no_invention() -> None:
    diary = wrote(START, UPDATE, boots=(BOOT, NEXT_BOOT))

    judgement = judge(diary, heard(START, UPDATE, RECOVERED))

    assert (judgement.faults, judgement.recovered) == ((), 1)


@pytest.mark.parametrize(
    ("diary", "testimony", "fault"),
    [
        (wrote(START, UPDATE, END), heard(UPDATE, END), "not one start and one end"),
        (wrote(START, UPDATE, END), heard(START, UPDATE), "lost: ('end', 'incident', '3')"),
        (wrote(START, UPDATE, END), heard(START, END), "lost: ('update', 'incident', '2')"),
        (wrote(START, UPDATE, END), heard(START, END), "1 numbers missing, 0 counted"),
        (wrote(START, UPDATE), heard(START, UPDATE, END), "invented: ('end', 'incident', '3')"),
        (
            wrote(START, UPDATE, END, boots=(BOOT, NEXT_BOOT)),
            heard(START, UPDATE, END, replace(RECOVERED, revision=4)),
            "ended by recovery after its own end",
        ),
        (
            wrote(START, UPDATE, END),
            heard(replace(START, sequence=2), replace(UPDATE, sequence=1), END),
            "order not to be told",
        ),
        (
            wrote(START, UPDATE, END, boots=(NEXT_BOOT, BOOT)),
            heard(START, UPDATE, END),
            "boot ids do not sort as the runs",
        ),
        (
            wrote(START, UPDATE, END, boots=(NEXT_BOOT,)),
            heard(START, UPDATE, END),
            "boot that was none: 01BOOT",
        ),
        (
            wrote(START, UPDATE, END),
            heard(START, UPDATE, END, pictures=()),
            "lost picture: digest",
        ),
        (
            wrote(START, UPDATE, END),
            heard(START, UPDATE, END, pictures=("digest", "other")),
            "picture that was never taken: other",
        ),
    ],
)
def test_what_is_wrong_is_said(diary: Diary, testimony: Testimony, fault: str) -> None:
    assert any(one.startswith(fault) for one in judge(diary, testimony).faults)


def test_a_drop_that_was_counted_is_no_loss() -> None:
    diary = wrote(START, UPDATE, END)
    diary.counts["dropped_updates"] = 1

    assert judge(diary, heard(START, END)).faults == ()


def test_a_message_that_comes_with_two_contents_is_refused() -> None:
    testimony = heard(START)

    with pytest.raises(AssertionError, match="1 came with two contents"):
        testimony.remember(replace(START, revision=2), late=False)


def test_the_table_names_what_was_survived_and_what_was_not() -> None:
    bad = judge(wrote(START, UPDATE, END), heard(START, UPDATE))

    header, _, row = table({"broker killed": bad})

    assert header.startswith("| fault | boots | incidents |")
    assert row.startswith("| broker killed | 1 | 1 | 2 |")
    assert "lost: ('end', 'incident', '3')" in row
