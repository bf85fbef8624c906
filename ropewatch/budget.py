"""How many people the classifier may judge, so that frames keep coming; reads no clock.

What it goes by is the queue in front of the classifier. While frames find it empty the classifier
keeps up, whatever it is made of. When each frame of a while had to wait in it, frames come faster
than they are judged: then the queues fill up to the cameras, and frames are lost of everybody.
The budget is cut to what was got through, at first to less so that the queues empty, and raised
again step by step while somebody is passed over and nobody waits. What was too much is remembered
for a time that doubles as often as it proves right, so that a budget does not swing around the
limit.

Frames are not bought with old evidence. Where everybody can be judged within
`max_evidence_age_s`, a cut goes no further than that; a cut that brings no frames, because a few
people cost nvinfer as much as many, is taken back.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

# One look at the queue: long enough for a burst or a slow moment to pass.
LOOK_S: Final = 0.5
LOOK_BATCHES: Final = 5
# So many batches were chosen before a change and are still on their way through nvinfer.
SETTLE_BATCHES: Final = 5
HEAD_ROOM: Final = 0.85
# What is queued up to the cameras makes every alarm late, so it is drained before all else.
DRAINING: Final = 0.6
DEEPEST_CUT: Final = 0.25
RAISE: Final = 1.25
BELOW_TOO_MUCH: Final = 0.9
# A cut has to bring this share of what it would if all the time went into crops.
LEAST_GAIN: Final = 0.25
# And where people wait too long already, it has to leave this share of the scores in a second.
LEAST_SCORES: Final = 0.85
# Queues that empty faster than they fill are given this long.
DRAIN_S: Final = 3.0
# A raise that is too much shows within this time.
PROVEN_S: Final = 4.0
FIRST_HOLD_S: Final = 5.0
LONGEST_HOLD_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch that enters the classifier.

    Attributes:
        at_s: monotonic time.
        waited_s: time in the queue before it.
        frames: in the batch.
        judged: people in them whom the classifier is to judge.
        passed_over: people whom it is not, of those who are watched.
        needs_per_s: scores a second that would keep the evidence of all in these frames fresh.
    """

    at_s: float
    waited_s: float
    frames: int
    judged: int
    passed_over: int = 0
    needs_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Look:
    """What the newest entries say together.

    Attributes:
        used: people judged in a frame.
    """

    now_s: float
    least_wait_s: float
    most_wait_s: float
    frames_per_s: float
    per_batch: float
    used: float
    needs_per_s: float
    passed_over: bool

    @property
    def scores_per_s(self) -> float:
        """Of all cameras."""
        return self.used * self.frames_per_s

    @property
    def is_fresh(self) -> bool:
        """Say whether scores come often enough for everybody."""
        return self.scores_per_s >= self.needs_per_s

    @classmethod
    def at(cls, entries: "deque[Entry]", cameras: int) -> "_Look":
        gaps_s = [b.at_s - a.at_s for a, b in zip(entries, list(entries)[1:], strict=False)]
        # Without the longest: one slow moment says nothing about the speed.
        lasted_s = max(sum(gaps_s) - max(gaps_s), 1e-6)
        frames = sum(entry.frames for entry in entries)
        per_batch = frames / len(entries)
        return cls(
            now_s=entries[-1].at_s,
            least_wait_s=min(entry.waited_s for entry in entries),
            most_wait_s=max(entry.waited_s for entry in entries),
            frames_per_s=per_batch * (len(gaps_s) - 1) / lasted_s,
            per_batch=per_batch,
            used=sum(entry.judged for entry in entries) / frames,
            needs_per_s=sum(entry.needs_per_s for entry in entries) / frames * cameras,
            passed_over=any(entry.passed_over for entry in entries),
        )


class Budget:
    """Finds how many people of a frame can be judged; None while that is everybody.

    Args:
        cameras: whose frames come in batches.
        frames_per_s: of each of them, until it is known better.
        step: people whom nvinfer judges in one inference; a few of them may cost as much.

    Attributes:
        per_frame: people, on average; None for everybody, and never below one.
        is_short: the classifier does not keep up at this moment.
        queue_s: what each of the newest frames has waited for it at least.
    """

    def __init__(self, *, cameras: int, frames_per_s: float, step: int) -> None:
        self.per_frame: float | None = None
        self.is_short = False
        self.queue_s = 0.0
        self._cameras = cameras
        self._rate = cameras * frames_per_s
        self._step = step
        self._entries: deque[Entry] = deque()
        self._settling = 0
        self._credit = 0.0
        self._tried: tuple[float, float] | None = None
        self._draining_until_s: float | None = None
        self._drained: float | None = None
        self._stays_until_s = -math.inf
        self._too_much = 0.0
        self._too_much_until_s = -math.inf
        self._hold_s = self._undone_hold_s = FIRST_HOLD_S
        self._raised_s = -math.inf
        self._bound_s = -math.inf

    def most(self, frames: int) -> int | None:
        """Say how many people of a batch to judge at most; None for everybody.

        Fractions are carried over, so that 1.5 for each frame are 1, 2, 1, 2 and so on.
        """
        if self.per_frame is None:
            return None
        self._credit += self.per_frame * frames
        whole = int(self._credit)
        self._credit -= whole
        return max(whole, frames)

    def take(self, entry: Entry) -> None:
        """Learn from a batch that enters the classifier."""
        if self._settling > 0:
            self._settling -= 1
            return
        entries = self._entries
        entries.append(entry)
        while len(entries) > LOOK_BATCHES and entry.at_s - entries[1].at_s >= LOOK_S:
            entries.popleft()
        if len(entries) < LOOK_BATCHES or entry.at_s - entries[0].at_s < LOOK_S:
            return
        look = _Look.at(entries, self._cameras)
        limit_s = look.per_batch / self._rate / 2
        self.queue_s = look.least_wait_s
        self.is_short = look.least_wait_s > limit_s
        if self.is_short:
            self._fall_behind(look)
        elif look.most_wait_s <= limit_s:
            self._keep_up(look)
            entries.clear()

    def _fall_behind(self, look: _Look) -> None:
        if look.now_s < self._stays_until_s or self._drains(look):
            return
        self._rate = max(self._rate, look.frames_per_s)
        # People come and go: a cut can only be weighed where fewer are judged than before it.
        if self._tried is not None and 0 < look.used < self._tried[0]:
            used, frames_per_s = self._tried
            if look.frames_per_s / frames_per_s - 1 < LEAST_GAIN * (used / look.used - 1):
                self._save_an_inference(look, used)
                return
            if not look.is_fresh and look.scores_per_s < LEAST_SCORES * used * frames_per_s:
                self._stay(look, self._fresh_at(look, used, frames_per_s))
                return
        if look.used > 1:
            self._cut(look)

    def _cut(self, look: _Look) -> None:
        self._tried = look.used, look.frames_per_s
        # A raise that was too much is noticed before much has queued up.
        share = HEAD_ROOM if self._remember(look) else DRAINING
        fits, least = look.scores_per_s / self._rate, DEEPEST_CUT * look.used
        self._drained = max(HEAD_ROOM * fits, least)
        self._set(max(share * fits, least))

    def _drains(self, look: _Look) -> bool:
        """Say whether to wait until what a slow moment has left behind is through."""
        if look.frames_per_s <= self._rate:
            return False
        if self._draining_until_s is None:
            self._draining_until_s = look.now_s + DRAIN_S
        return look.now_s < self._draining_until_s

    def _save_an_inference(self, look: _Look, used: float) -> None:
        """Leave a whole one out, where a part of one saves nothing; else undo the cut."""
        per_batch = look.used * look.per_batch
        if per_batch > self._step:
            inferences = -(-per_batch // self._step) - 1
            self._set(inferences * self._step / look.per_batch)
        else:
            self._stay(look, used)

    @staticmethod
    def _fresh_at(look: _Look, used: float, frames_per_s: float) -> float:
        """Return with how many people of a frame just enough scores come, `used` at most.

        Between two measured points: so long for a frame, and so long for each person.
        """
        before_s, now_s = 1 / frames_per_s, 1 / look.frames_per_s
        person_s = (before_s - now_s) / (used - look.used)
        frame_s = max(now_s - person_s * look.used, 0)
        spare = 1 - look.needs_per_s * person_s
        if spare <= 0:
            return used
        return min(max(look.needs_per_s * frame_s / spare, look.used), used)

    def _stay(self, look: _Look, per_frame: float) -> None:
        """Try no other cut for a while."""
        self._stays_until_s = look.now_s + self._undone_hold_s
        self._undone_hold_s = min(2 * self._undone_hold_s, LONGEST_HOLD_S)
        self._tried = None
        self._set(per_frame)

    def _remember(self, look: _Look) -> bool:
        """Hold what was too much for a while; for longer, and say so, if it was a raise."""
        again = look.now_s - self._raised_s < PROVEN_S
        self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S) if again else FIRST_HOLD_S
        self._too_much, self._too_much_until_s = look.used, look.now_s + self._hold_s
        return again

    def _keep_up(self, look: _Look) -> None:
        self._rate += (look.frames_per_s - self._rate) / 2
        self._tried = self._draining_until_s = None
        self._undone_hold_s = FIRST_HOLD_S
        if self.per_frame is None:
            return
        if not look.passed_over:
            if look.now_s - self._bound_s >= LONGEST_HOLD_S:
                self.per_frame = None
            return
        self._bound_s = look.now_s
        wanted = max(RAISE * self.per_frame, self.per_frame + 1 / look.per_batch)
        if self._drained is not None:
            wanted, self._drained = max(wanted, self._drained), None
        if look.now_s < self._too_much_until_s:
            wanted = min(wanted, BELOW_TOO_MUCH * self._too_much)
        if wanted > self.per_frame:
            self._raised_s = look.now_s
            self._set(wanted)

    def _set(self, per_frame: float) -> None:
        self.per_frame = max(per_frame, 1.0)
        self._entries.clear()
        self._settling = SETTLE_BATCHES
