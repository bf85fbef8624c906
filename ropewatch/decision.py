"""From smoothed scores to safe, unsafe and unknown, for one person, in stream time.

Doubt never delays an alarm and never helps to end one:

- Two scores at most `max_evidence_age_s` apart cover the time between them.
  A longer gap is an unknown stretch from that age on.
- Time on the alert side is added up until a score is off that side. Of a longer gap between
  two alert-side scores, `max_evidence_age_s` counts: the first stood for that long. So an
  overloaded box, whose scores are always too far apart, opens incidents late instead of never.
- Time on the release side starts over after an unknown stretch, which never counts for it.
- A score between release and threshold is on neither side: both sums start over, and the
  person keeps the state it had.
"""

from dataclasses import dataclass
from enum import Enum

from typing_extensions import Self

from ropewatch.judging import DecisionSettings
from ropewatch.settings import AlertWhen

NS_PER_S = 1_000_000_000


class RopeState(str, Enum):
    """What is known about a person's rope; unknown is not safe."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Rule:
    """The decision settings of a site with the polarity worked in; times in nanoseconds."""

    alert_when: AlertWhen
    threshold: float
    release: float
    open_after_ns: int
    close_after_ns: int
    max_evidence_age_ns: int
    gone_after_ns: int

    @classmethod
    def of(cls, settings: DecisionSettings, alert_when: AlertWhen) -> Self:
        """Take the release score that belongs to the polarity; unset, it is the threshold."""
        above = alert_when is AlertWhen.AT_OR_ABOVE
        release = settings.release_below if above else settings.release_at_or_above
        return cls(
            alert_when=alert_when,
            threshold=settings.threshold,
            release=settings.threshold if release is None else release,
            open_after_ns=to_ns(settings.open_after_s),
            close_after_ns=to_ns(settings.close_after_s),
            max_evidence_age_ns=to_ns(settings.max_evidence_age_s),
            gone_after_ns=to_ns(settings.gone_after_s),
        )

    def alerts(self, smoothed: float) -> bool:
        """Whether a smoothed score is on the alert side."""
        if self.alert_when is AlertWhen.AT_OR_ABOVE:
            return smoothed >= self.threshold
        return smoothed < self.threshold

    def releases(self, smoothed: float) -> bool:
        """Whether a smoothed score is on the release side."""
        if self.alert_when is AlertWhen.AT_OR_ABOVE:
            return smoothed < self.release
        return smoothed >= self.release


@dataclass(slots=True)
class PersonDecision:
    """The running decision on one person.

    Attributes:
        rule: what decides.
        unsafe: an incident is open.
        score: the newest fresh score, None before the first.
        smoothed: the same, smoothed.
        evidence_ns: when it was taken.
        samples: fresh scores since the first alert-side score of the current stretch or
            incident; 0 when there is neither.
    """

    rule: Rule
    unsafe: bool = False
    score: float | None = None
    smoothed: float | None = None
    evidence_ns: int | None = None
    samples: int = 0
    _settled: bool = False
    _alert_for_ns: int | None = None
    _release_for_ns: int | None = None

    def take(self, score: float, smoothed: float, now_ns: int) -> None:
        """Weigh one fresh score; `now_ns` never decreases."""
        rule = self.rule
        known = self.is_fresh(now_ns)
        gap_ns = 0 if self.evidence_ns is None else now_ns - self.evidence_ns
        alert_for_ns = release_for_ns = None
        if rule.alerts(smoothed):
            stood_ns = min(gap_ns, rule.max_evidence_age_ns)
            alert_for_ns = 0 if self._alert_for_ns is None else self._alert_for_ns + stood_ns
        if rule.releases(smoothed):
            held = known and self._release_for_ns is not None
            release_for_ns = (self._release_for_ns or 0) + gap_ns if held else 0
        self._alert_for_ns, self._release_for_ns = alert_for_ns, release_for_ns
        self.score, self.smoothed, self.evidence_ns = score, smoothed, now_ns
        counts = self.unsafe or alert_for_ns is not None
        self.samples = self.samples + 1 if counts else 0
        self._settled = self._settled and known
        self._settle(alert_for_ns, release_for_ns)

    def doubt(self) -> None:
        """Start the time on the release side over: whose scores these are is not certain."""
        self._release_for_ns = None

    def _settle(self, alert_for_ns: int | None, release_for_ns: int | None) -> None:
        if self.unsafe:
            if release_for_ns is not None and release_for_ns >= self.rule.close_after_ns:
                self.unsafe, self._settled = False, True
        elif alert_for_ns is None:
            self._settled = True
        elif alert_for_ns >= self.rule.open_after_ns:
            self.unsafe = self._settled = True

    def is_fresh(self, now_ns: int) -> bool:
        """Whether the newest score is young enough to stand."""
        taken_ns = self.evidence_ns
        return taken_ns is not None and now_ns - taken_ns <= self.rule.max_evidence_age_ns

    def evidence_age_ns(self, now_ns: int) -> int | None:
        """Age of the newest fresh score, None before the first."""
        return None if self.evidence_ns is None else now_ns - self.evidence_ns

    def state(self, now_ns: int) -> RopeState:
        """Say what is known now.

        Somebody whose first scores are on the alert side is unknown, not safe, until they
        have lasted `open_after_s`; somebody who was safe stays so until then.
        """
        if not self.is_fresh(now_ns):
            return RopeState.UNKNOWN
        if self.unsafe:
            return RopeState.UNSAFE
        return RopeState.SAFE if self._settled else RopeState.UNKNOWN


def to_ns(seconds: float) -> int:
    """Seconds of a setting as whole nanoseconds."""
    return round(seconds * NS_PER_S)
