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
"""

from collections.abc import Sequence
from typing import Final

from ropewatch.decision import RopeState
from ropewatch.monitor import Verdict

NEAR: Final = 0.15
NEED: Final = 4
FORGET_AGES: Final = 10


class Spread:
    """Spreads the classifier's work over the people of one source.

    `choose` runs on the classifier's way in and `learn` on its way out, which may be two
    threads: what one writes the other only reads, and replaces as a whole.

    Args:
        most: how many may be judged in a frame.
        threshold: of the decision.
        max_evidence_age_ns: age from which on a verdict is unknown.
    """

    def __init__(self, *, most: int, threshold: float, max_evidence_age_ns: int) -> None:
        self.overdue = 0
        self._most = most
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

    def choose(self, object_ids: Sequence[int | None], pts_ns: int | None) -> list[bool]:
        """Say of each person of a frame whether to judge them.

        Args:
            object_ids: track ids; somebody untracked counts as never judged.
            pts_ns: stream time. Without one the frame is not decided on, and nobody is judged.
        """
        if pts_ns is None:
            return [False] * len(object_ids)
        self._advance(pts_ns)
        for object_id in object_ids:
            if object_id is not None:
                self._since_ns.setdefault(object_id, pts_ns)
        order = sorted(range(len(object_ids)), key=lambda n: self._rank(object_ids[n], pts_ns))
        chosen, passed_over = order[: self._most], order[self._most :]
        for object_id in (object_ids[row] for row in chosen):
            if object_id is not None:
                self._choices += 1
                self._since_ns[object_id], self._judged[object_id] = pts_ns, self._choices
        self.overdue += sum(self._is_overdue(object_ids[row], pts_ns) for row in passed_over)
        return [row in chosen for row in range(len(object_ids))]

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

    def _rank(self, object_id: int | None, pts_ns: int) -> tuple[int, int, int]:
        """Smallest first."""
        if object_id is None:
            return 0, 0, 0
        age_ns = pts_ns - self._since_ns[object_id]
        turn = self._judged.get(object_id, 0)
        if object_id in self._outside:
            return 3, -age_ns, turn
        if turn == 0:
            return 0, -age_ns, 0
        weighed_ns = age_ns * (NEED if object_id in self._in_need else 1)
        return (1 if 2 * age_ns >= self._max_age_ns else 2), -weighed_ns, turn

    def _advance(self, pts_ns: int) -> None:
        """Forget who has left; and everybody when time went backward."""
        if self._pts_ns is not None and pts_ns < self._pts_ns:
            self._since_ns, self._judged = {}, {}
        self._pts_ns = pts_ns
        oldest_ns = pts_ns - FORGET_AGES * self._max_age_ns
        if any(since_ns < oldest_ns for since_ns in self._since_ns.values()):
            self._since_ns = {n: at for n, at in self._since_ns.items() if at >= oldest_ns}
            self._judged = {n: at for n, at in self._judged.items() if n in self._since_ns}
