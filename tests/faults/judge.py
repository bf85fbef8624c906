"""The judge: what a subscriber got against what the boxes have decided.

Knows nothing of what was done to them. An incident message is lost when a box had handed it over
and nobody got it, and invented when somebody got it and no box had decided it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ropewatch.incidents import EndReason, Phase
from tests.faults.witness import Heard, Testimony

SHOWN = 3


@dataclass(slots=True)
class Diary:
    """What boxes have written, run after run.

    Attributes:
        boots: in the order of the runs.
        deciding: phase, incident id and revision of each event that was about to be handed over.
        kept: the same of those that were.
        picturing: digests of the pictures that were about to be handed over.
        pictured: of those that were.
        counts: what the runs that ended in an orderly way have counted, added up.
    """

    boots: list[str] = field(default_factory=list)
    deciding: set[tuple[str, ...]] = field(default_factory=set)
    kept: set[tuple[str, ...]] = field(default_factory=set)
    picturing: set[str] = field(default_factory=set)
    pictured: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, files: Iterable[Path]) -> "Diary":
        """Read the diaries of some runs."""
        diary = cls()
        for file in files:
            # What a killed box has written of its last line is no word.
            for line in file.read_text().split("\n")[:-1]:
                diary._take(*line.split(" "))
        return diary

    def _take(self, what: str, *words: str) -> None:
        match what:
            case "boot":
                self.boots.append(words[0])
            case "deciding":
                self.deciding.add(words)
            case "kept":
                self.kept.add(words)
            case "picturing":
                self.picturing.add(words[0])
            case "pictured":
                self.pictured.add(words[0])
            case "count":
                self.counts[words[0]] += int(words[1])
            case _:
                raise ValueError(what)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Attributes: what is wrong, in words; empty when all was survived. Then figures."""

    faults: tuple[str, ...]
    boots: int
    incidents: int
    messages: int
    copies: int
    late: int
    recovered: int
    pictures: int


def judge(diary: Diary | None, testimony: Testimony) -> Judgement:
    """Compare; without a diary only what the messages say of each other."""
    unique = list(testimony.incidents.values())
    faults = [*_one_end_each(unique), *_order(unique)]
    if diary is not None:
        faults += [*_lost_and_invented(diary, testimony), *_runs(diary, unique)]
    for camera, state in testimony.states.items():
        if state.open_incidents:
            faults.append(f"{camera}: open at the end: {state.open_incidents}")
    recovered = sum(one.end_reason is EndReason.RESTART_RECOVERY for one in unique)
    return Judgement(
        faults=tuple(faults),
        boots=len({one.boot_id for one in unique}) if diary is None else len(diary.boots),
        incidents=len({one.incident_id for one in unique}),
        messages=len(unique),
        copies=testimony.copies - len(unique),
        late=len(testimony.late),
        recovered=recovered,
        pictures=len(testimony.pictures),
    )


def _one_end_each(unique: Iterable[Heard]) -> list[str]:
    starts = Counter(one.incident_id for one in unique if one.phase is Phase.START)
    ends = Counter(one.incident_id for one in unique if one.phase is Phase.END)
    wrong = {name for name in starts | ends if (starts[name], ends[name]) != (1, 1)}
    return _complain("not one start and one end", wrong)


def _order(unique: Iterable[Heard]) -> list[str]:
    """Boot id and sequence alone put every incident's messages in order."""
    histories: defaultdict[str, list[Heard]] = defaultdict(list)
    for one in sorted(unique, key=lambda one: (one.boot_id, one.sequence)):
        histories[one.incident_id].append(one)
    wrong = {
        name
        for name, history in histories.items()
        if [one.revision for one in history] != sorted({one.revision for one in history})
        or history[0].phase is not Phase.START
        or any((one.phase is Phase.END) != (one is history[-1]) for one in history)
    }
    return _complain("order not to be told", wrong)


def _lost_and_invented(diary: Diary, testimony: Testimony) -> list[str]:
    unique = testimony.incidents.values()
    said = {
        (one.phase.value, one.incident_id, str(one.revision))
        for one in unique
        if one.end_reason is not EndReason.RESTART_RECOVERY
    }
    lost = diary.kept - said
    lost_updates = {words for words in lost if words[0] == Phase.UPDATE.value}
    told = {one.picture for one in unique if one.picture is not None}
    lost_pictures = (diary.pictured | told) - testimony.pictures
    faults = [
        *_complain("lost", lost - lost_updates),
        *_complain("invented", said - diary.deciding),
        *_complain("picture that was never taken", testimony.pictures - diary.picturing),
    ]
    # A counted drop is no loss; the counts of boxes that were killed went with them.
    if len(lost_updates) > diary.counts["dropped_updates"]:
        faults += _complain("lost", lost_updates)
    if len(lost_pictures) > diary.counts["dropped_snapshots"]:
        faults += _complain("lost picture", lost_pictures)
    recovered = {one.incident_id for one in unique if one.end_reason is EndReason.RESTART_RECOVERY}
    had_end = {words[1] for words in diary.kept if words[0] == Phase.END.value}
    faults += _complain("ended by recovery after its own end", recovered & had_end)
    for name in ("failed_handlers", "dropped_frames", "lost_messages"):
        if diary.counts[name]:
            faults.append(f"{name}: {diary.counts[name]}")
    return faults


def _runs(diary: Diary, unique: Iterable[Heard]) -> list[str]:
    """Boot ids sort as the runs did, and a gap in a run's numbers is a counted drop."""
    faults = []
    if diary.boots != sorted(set(diary.boots)):
        faults.append("boot ids do not sort as the runs")
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for one in unique:
        numbers[one.boot_id].add(one.sequence)
    faults += _complain("boot that was none", set(numbers) - set(diary.boots))
    missing = sum(max(of_run) - len(of_run) for of_run in numbers.values())
    if missing > diary.counts["dropped_updates"]:
        faults.append(f"{missing} numbers missing, {diary.counts['dropped_updates']} counted")
    return faults


def _complain(what: str, names: Iterable[object]) -> list[str]:
    names = sorted(map(str, names))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{what}: {', '.join(names[:SHOWN])}{more}"] if names else []


def table(rows: Mapping[str, Judgement]) -> list[str]:
    """Return a Markdown table of what was done to boxes and what came of it."""
    names = ("boots", "incidents", "messages", "copies", "late", "recovered", "pictures")
    lines = [
        f"| fault | {' | '.join(names)} | lost or wrong |",
        f"|---|{'---|' * len(names)}---|",
    ]
    for fault, judgement in rows.items():
        figures = " | ".join(f"{getattr(judgement, name)}" for name in names)
        lines.append(f"| {fault} | {figures} | {'; '.join(judgement.faults) or 'nothing'} |")
    return lines
