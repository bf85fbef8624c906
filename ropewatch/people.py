"""Who is who from frame to frame, so that a changed track id does not restart the evidence.

The rules, in this order; each observation and each person is used once:

1. The same track id is the same person, unless the box jumped: its centre moved by more than
   2 box sides plus 6 a second since it was last seen. Nobody runs or falls that fast, so the
   tracker has reused the id.
2. What is left (a new id, a jumped one, or none) may be a person who is not yet found in this
   frame and has been away for less than `gone_after_s`: pairs with IoU >= 0.3, best first.
3. Then pairs whose centres are at most half a side plus one side a second of absence apart,
   2 sides at most, and whose longer sides differ by a factor of 2 at most; nearest first.
4. Anybody else is new.

"Side" is the longer side of the larger box. Two people who cross keep their evidence while
their ids persist, since rule 1 comes first. Where the tracker swaps ids in a crossing, nothing
here can tell: boxes with IoU >= 0.5 are noted as crossed on both people, and for as long as they
cross nobody's time on the release side grows. Nor does it while one of them, last seen in the
crossing, is missing: the tracker may have given the id of the one who is hidden to the one in
front (docs/decisions/0003-doubt-in-a-crossing.md).
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ropewatch.boxes import iou, iou_matrix, ltwh_to_xyxy
from ropewatch.decision import NS_PER_S, PersonDecision, Rule
from ropewatch.evidence import EvidenceLog
from ropewatch.incidents import Acknowledgement, Snapshot
from ropewatch.observations import BoxLtwh, PersonObservation

SAME_IOU = 0.3
JUMP_SIDES, JUMP_SIDES_PER_S = 2.0, 6.0
NEAR_SIDES, NEAR_SIDES_PER_S, NEAR_SIDES_MOST = 0.5, 1.0, 2.0
SIZE_RATIO = 2.0
CROSSED_IOU = 0.5


@dataclass(slots=True)
class Incident:
    """An open incident of a person; a snapshot or an acknowledgement is told in the next event."""

    incident_id: str
    started_pts_ns: int
    started_ns: int
    revision: int
    told_ns: int
    told_unknown: bool
    snapshot: Snapshot | None = None
    told_snapshot: Snapshot | None = None
    acknowledged: Acknowledgement | None = None
    told_acknowledged: Acknowledgement | None = None


@dataclass(slots=True)
class Person:
    """One person of one source; times are the monitor's, which never go backward.

    Attributes:
        unseen_ns: how much of the time since `seen_ns` nobody could see them; it is no absence.
        watched: stands in the camera's zones, or did so less than `gone_after_s` ago.
        watched_ns: when they last stood there.
        known_ns: when their state was last known, or they were first watched.
        across: numbers of those whose boxes lay over this one's when it was last seen.
    """

    number: int
    decision: PersonDecision
    log: EvidenceLog
    box_ltwh_px: BoxLtwh
    seen_ns: int
    object_id: int | None = None
    unseen_ns: int = 0
    watched: bool = False
    watched_ns: int = 0
    known_ns: int = 0
    across: set[int] = field(default_factory=set)
    incident: Incident | None = None

    def see(self, observation: PersonObservation, now_ns: int, pts_ns: int) -> None:
        """Remember where the person is and under which track id."""
        self.seen_ns, self.unseen_ns = now_ns, 0
        self.across.clear()
        if all(map(math.isfinite, observation.box_ltwh_px)):
            self.box_ltwh_px = observation.box_ltwh_px
        if observation.object_id is not None:
            self.object_id = observation.object_id
            self.log.saw_track(observation.object_id, pts_ns)


class People:
    """The people of one source who have not left; `follow` says by which settings."""

    _rule: Rule
    _trail_ns: int

    def __init__(self) -> None:
        self._people: dict[int, Person] = {}
        self._last_number = 0

    def __iter__(self) -> Iterator[Person]:
        return iter(self._people.values())

    def follow(self, rule: Rule, *, trail_ns: int) -> None:
        """Go by these settings from now on; nobody is cleared by what went by others."""
        self._rule, self._trail_ns = rule, trail_ns
        self.doubt()
        for person in self:
            person.decision.rule = rule
            person.log.window_ns = trail_ns

    def clear(self) -> None:
        """Forget everybody; numbers go on."""
        self._people = {}

    def keep(self, step_ns: int) -> None:
        """Let nobody with an incident be away for a time in which nobody could see them."""
        for person in self:
            if person.incident is not None:
                person.unseen_ns += step_ns
                person.watched_ns += step_ns

    def doubt(self) -> None:
        """Start everybody's time on the release side over."""
        for person in self:
            person.decision.doubt()

    def remove_gone(self, seen: Sequence[Person], now_ns: int) -> list[Person]:
        """Forget and return those not in `seen` for `gone_after_s` or longer."""
        here = {person.number for person in seen}
        gone = [
            person
            for person in self
            if person.number not in here and self._is_gone(person, now_ns)
        ]
        for person in gone:
            del self._people[person.number]
        return gone

    def _is_gone(self, person: Person, now_ns: int) -> bool:
        return now_ns - person.seen_ns - person.unseen_ns >= self._rule.gone_after_ns

    def forget_decision(self, person: Person) -> None:
        """Begin anew with a person who is not watched any more."""
        person.decision = PersonDecision(self._rule)
        person.watched = False

    def find(
        self, observations: Sequence[PersonObservation], *, now_ns: int, pts_ns: int
    ) -> list[Person]:
        """Return the person of each observation, in order; strangers get the next number."""
        found: dict[int, Person] = {}
        holders = {p.object_id: p for p in self if p.object_id is not None}
        for row, observation in enumerate(observations):
            if observation.object_id is None:
                continue
            holder = holders.pop(observation.object_id, None)
            if holder is None:
                continue
            if _jumped(holder, observation.box_ltwh_px, now_ns):
                holder.object_id = None
            else:
                found[row] = holder
        self._find_by_place(found, observations, now_ns)
        for row, observation in enumerate(observations):
            if row not in found:
                found[row] = self._add(observation, now_ns)
            found[row].see(observation, now_ns, pts_ns)
        people = [found[row] for row in range(len(observations))]
        _note_crossings(people)
        self._doubt_who_is_left({person.number for person in people}, now_ns)
        return people

    def _doubt_who_is_left(self, here: set[int], now_ns: int) -> None:
        """Doubt those with whom somebody crossed who has been missing since."""
        for person in self:
            if person.across and person.number not in here and not self._is_gone(person, now_ns):
                for number in person.across & here:
                    self._people[number].decision.doubt()

    def _add(self, observation: PersonObservation, now_ns: int) -> Person:
        self._last_number += 1
        person = Person(
            self._last_number,
            PersonDecision(self._rule),
            EvidenceLog(self._trail_ns),
            observation.box_ltwh_px,
            now_ns,
        )
        self._people[person.number] = person
        return person

    def _find_by_place(
        self, found: dict[int, Person], observations: Sequence[PersonObservation], now_ns: int
    ) -> None:
        """Rules 2 and 3; adds to `found`."""
        rows = [row for row in range(len(observations)) if row not in found]
        if not rows:
            return
        here = {person.number for person in found.values()}
        missing = [
            person
            for person in self
            if person.number not in here and not self._is_gone(person, now_ns)
        ]
        if not missing:
            return
        ious = iou_matrix(
            ltwh_to_xyxy([observations[row].box_ltwh_px for row in rows]),
            ltwh_to_xyxy([person.box_ltwh_px for person in missing]),
        ).tolist()
        pairs: list[tuple[int, float, int, Person]] = []
        for row, of_row in zip(rows, ious, strict=True):
            for person, overlap in zip(missing, of_row, strict=True):
                if overlap >= SAME_IOU:
                    pairs.append((0, -overlap, row, person))
                    continue
                sides = _sides_apart(person.box_ltwh_px, observations[row].box_ltwh_px)
                if sides is not None and sides <= _near_sides(now_ns - person.seen_ns):
                    pairs.append((1, sides, row, person))
        taken = set(here)
        for _, _, row, person in sorted(pairs, key=lambda pair: pair[:3]):
            if row not in found and person.number not in taken:
                found[row] = person
                taken.add(person.number)


def _note_crossings(people: Sequence[Person]) -> None:
    for row, other_row in sorted(_crossing([person.box_ltwh_px for person in people])):
        one, other = people[row], people[other_row]
        for person, across in ((one, other), (other, one)):
            person.log.saw_crossing(across.number)
            person.across.add(across.number)
            person.decision.doubt()


def _crossing(boxes_ltwh_px: Sequence[BoxLtwh]) -> Iterator[tuple[int, int]]:
    """Pairs of boxes with `CROSSED_IOU`, the smaller index first."""
    # From left to right: a box is tried with those that begin before it ends.
    rows = [row for row, box in enumerate(boxes_ltwh_px) if math.isfinite(box[0])]
    rows.sort(key=lambda row: boxes_ltwh_px[row][0])
    for place, row in enumerate(rows, start=1):
        box = boxes_ltwh_px[row]
        for other in itertools.islice(rows, place, None):
            if boxes_ltwh_px[other][0] >= box[0] + box[2]:
                break
            if iou(box, boxes_ltwh_px[other]) >= CROSSED_IOU:
                yield min(row, other), max(row, other)


def _near_sides(absent_ns: int) -> float:
    return min(NEAR_SIDES + NEAR_SIDES_PER_S * absent_ns / NS_PER_S, NEAR_SIDES_MOST)


def _jumped(person: Person, box_ltwh_px: BoxLtwh, now_ns: int) -> bool:
    absent_s = (now_ns - person.seen_ns) / NS_PER_S
    moved_px = _centre_distance_px(person.box_ltwh_px, box_ltwh_px)
    side_px = max(*person.box_ltwh_px[2:], *box_ltwh_px[2:])
    return moved_px > side_px * (JUMP_SIDES + JUMP_SIDES_PER_S * absent_s)


def _sides_apart(a_ltwh_px: BoxLtwh, b_ltwh_px: BoxLtwh) -> float | None:
    """Distance of the centres in longer sides of the larger; None if the sizes do not fit."""
    small, large = sorted((max(a_ltwh_px[2:]), max(b_ltwh_px[2:])))
    if small <= 0 or large > SIZE_RATIO * small:
        return None
    return _centre_distance_px(a_ltwh_px, b_ltwh_px) / large


def _centre_distance_px(a_ltwh_px: BoxLtwh, b_ltwh_px: BoxLtwh) -> float:
    a_left, a_top, a_width, a_height = a_ltwh_px
    b_left, b_top, b_width, b_height = b_ltwh_px
    x = a_left + a_width / 2 - b_left - b_width / 2
    y = a_top + a_height / 2 - b_top - b_height / 2
    return float((x * x + y * y) ** 0.5)
