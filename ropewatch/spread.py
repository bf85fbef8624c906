"""Whom to judge when the classifier cannot judge everybody in every frame.

In this order, as many as fit:

1. Who was never judged.
2. Who was last judged half of `max_evidence_age_s` ago or longer. Longest first, where a second
   counts four times for people in need: those who are not known to be safe, and those whose
   score is near the threshold.
3. Anybody else, the same way.
4. Who is outside the camera's zones.

Nobody is served twice in the second group within half of `max_evidence_age_s`. So where all can
be judged once in that time, no evidence gets older than `max_evidence_age_s`, however many are in
need; where they cannot, it is counted.

Cameras whose frames come in one batch share its places by the same order, each by its own
`max_evidence_age_s`: who is unsafe at one goes before who is safe at another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ropewatch.decision import NS_PER_S, RopeState
from ropewatch.monitor import Verdict

NEAR: Final = 0.15
NEED: Final = 4
FORGET_AGES: Final = 10
# Once to be judged and once to be waited for: see the second group.
TURNS_IN_AN_AGE: Final = 2

Rank = tuple[int, float, int]


class Spread:
    """Spreads the classifier's work over the people of one source.

    `choose` runs on the classifier's way in and `learn` on its way out, which may be two
    threads: what one writes the other only reads, and replaces as a whole.

    Args:
        threshold: of the decision.
        max_evidence_age_ns: age from which on a verdict is unknown.

    Attributes:
        passed_over: people who were not chosen in a frame, counted over all frames.
        overdue: those of them whose evidence was older than `max_evidence_age_s`.
    """

    def __init__(self, *, threshold: float, max_evidence_age_ns: int) -> None:
        self.passed_over = 0
        self.overdue = 0
        self._threshold = threshold
        self._max_age_ns = max_evidence_age_ns
        self._in_need: frozenset[int] = frozenset()
        self._outside: frozenset[int] = frozenset()
        # Stream time of the first sight or the last choice, of each track id.
        self._since_ns: dict[int, int] = {}
        # Number of the last choice: of two who wait equally long, who was chosen first is first.
        self._judged: dict[int, int] = {}
        self._choices = 0
        self._pts_ns: int | None = None

    def follow(self, *, threshold: float, max_evidence_age_ns: int) -> None:
        """Go on by other settings of the decision."""
        self._threshold, self._max_age_ns = threshold, max_evidence_age_ns

    def rank(self, object_ids: Sequence[int | None], pts_ns: int) -> list[Rank]:
        """Say how much each person of a frame needs to be judged; the smallest first.

        Args:
            object_ids: track ids; somebody untracked counts as never judged.
            pts_ns: stream time.
        """
        self._advance(pts_ns)
        for object_id in object_ids:
            if object_id is not None:
                self._since_ns.setdefault(object_id, pts_ns)
        return [self._rank(object_id, pts_ns) for object_id in object_ids]

    def serve(self, object_ids: Sequence[int | None], rows: Sequence[int], pts_ns: int) -> None:
        """Note who of a frame is judged, in the order of their need, and who is passed over."""
        for object_id in (object_ids[row] for row in rows):
            if object_id is not None:
                self._choices += 1
                self._since_ns[object_id], self._judged[object_id] = pts_ns, self._choices
        judged = set(rows)
        passed_over = [one for row, one in enumerate(object_ids) if row not in judged]
        self.passed_over += len(passed_over)
        self.overdue += sum(self._is_overdue(object_id, pts_ns) for object_id in passed_over)

    def watched(self, object_ids: Sequence[int | None]) -> int:
        """Count those who are not known to be outside the zones."""
        return sum(object_id not in self._outside for object_id in object_ids)

    @property
    def turns_per_s(self) -> float:
        """How often a second everybody has to be judged for evidence that is never too old."""
        return TURNS_IN_AN_AGE * NS_PER_S / self._max_age_ns

    def learn(self, verdicts: Sequence[Verdict]) -> None:
        """Take the verdicts on a frame."""
        tracked = [(v.object_id, v) for v in verdicts if v.object_id is not None]
        self._outside = frozenset(number for number, verdict in tracked if not verdict.watched)
        self._in_need = frozenset(number for number, verdict in tracked if self._needs(verdict))

    def _needs(self, verdict: Verdict) -> bool:
        if verdict.state is not RopeState.SAFE or verdict.incident_id is not None:
            return True
        return verdict.smoothed is None or abs(verdict.smoothed - self._threshold) <= NEAR

    def _is_overdue(self, object_id: int | None, pts_ns: int) -> bool:
        if object_id is None or object_id in self._outside:
            return False
        return pts_ns - self._since_ns[object_id] > self._max_age_ns

    def _rank(self, object_id: int | None, pts_ns: int) -> Rank:
        if object_id is None:
            return 0, 0, 0
        # A share of the age that is allowed: cameras may differ in it.
        age = (pts_ns - self._since_ns[object_id]) / self._max_age_ns
        turn = self._judged.get(object_id, 0)
        if object_id in self._outside:
            return 3, -age, turn
        if turn == 0:
            return 0, -age, 0
        weighed = age * (NEED if object_id in self._in_need else 1)
        return (1 if TURNS_IN_AN_AGE * age >= 1 else 2), -weighed, turn

    def _advance(self, pts_ns: int) -> None:
        """Forget who has left; and everybody when time went backward."""
        if self._pts_ns is not None and pts_ns < self._pts_ns:
            self._since_ns, self._judged = {}, {}
        self._pts_ns = pts_ns
        oldest_ns = pts_ns - FORGET_AGES * self._max_age_ns
        if any(since_ns < oldest_ns for since_ns in self._since_ns.values()):
            self._since_ns = {n: at for n, at in self._since_ns.items() if at >= oldest_ns}
            self._judged = {n: at for n, at in self._judged.items() if n in self._since_ns}


@dataclass(frozen=True, slots=True)
class Asked:
    """The people of one frame who are to be judged, or not.

    Attributes:
        spread: of its source.
        object_ids: track ids, None for somebody untracked.
        pts_ns: stream time. Without one the frame is not decided on, and nobody has to be judged.
    """

    spread: Spread
    object_ids: Sequence[int | None]
    pts_ns: int | None


def choose(frames: Sequence[Asked], most: int | None) -> list[list[bool]]:
    """Say of each person of some frames whether to judge them.

    Args:
        frames: of different sources, that travel in one batch.
        most: people to judge in all of them; None for everybody.
    """
    ranked = [
        (rank, number, row)
        for number, asked in enumerate(frames)
        if asked.pts_ns is not None
        for row, rank in enumerate(asked.spread.rank(asked.object_ids, asked.pts_ns))
    ]
    rows: list[list[int]] = [[] for _ in frames]
    for _, number, row in ranked if most is None else sorted(ranked)[:most]:
        rows[number].append(row)
    for asked, taken in zip(frames, rows, strict=True):
        if asked.pts_ns is not None:
            asked.spread.serve(asked.object_ids, taken, asked.pts_ns)
    return [
        [row in taken for row in range(len(asked.object_ids))]
        for asked, taken in (
            (asked, set(taken)) for asked, taken in zip(frames, rows, strict=True)
        )
    ]
