"""One source from observations to verdicts and incident events; no clock, no threads."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ropewatch.boxes import shorter_side_px
from ropewatch.decision import NS_PER_S, RopeState, Rule, to_ns
from ropewatch.incidents import Acknowledgement, EndReason, IncidentEvent, Phase, Snapshot
from ropewatch.judging import SmoothingSettings
from ropewatch.observations import FrameObservation, PersonObservation
from ropewatch.people import Incident, People, Person
from ropewatch.settings import SiteSettings
from ropewatch.smoothing import make_smoother
from ropewatch.zones import Zones

# Longer than from key frame to key frame of most cameras: a scene where nothing moves is coded
# anew there, and is not the same to the bit.
STILL_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about one person of one frame.

    Attributes:
        person: number of the person, the same through changes of the track id.
        object_id: the tracker's id in this frame, None when untracked.
        state: safe, unsafe or unknown.
        score: the raw score when this frame brought evidence, else None.
        smoothed: newest smoothed score; None when it is too old to stand, or never was.
        incident_id: of the open incident, None without one.
        evidence_age_s: age of the newest evidence, None without any.
        watched: False outside the camera's zones, where nobody is judged or counted.
        unknown_for_s: how long a watched person has been unknown; 0 when known.
    """

    person: int
    object_id: int | None
    state: RopeState
    score: float | None
    smoothed: float | None
    incident_id: str | None
    evidence_age_s: float | None
    watched: bool = True
    unknown_for_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Verdicts aligned with the frame's persons, and what happened to incidents.

    Attributes:
        verdicts: in the order of the frame's persons.
        events: of incidents, in order.
        unknown_lasting: watched people of this frame who have been unknown for longer than
            `unknown_after_s`.
        too_small: those of them who are too small to be judged are all who are watched.
    """

    verdicts: tuple[Verdict, ...]
    events: tuple[IncidentEvent, ...]
    unknown_lasting: int = 0
    too_small: bool = False


class SourceMonitor:
    """Follows the people of one source.

    Time is the source's stream time. When it goes backward (a looped file, a camera that
    reconnected) smoothing starts afresh, and the monitor's own time stands still for that
    frame: people, their evidence and open incidents go on. How much time has passed nobody
    knows then, so everybody's time on the release side starts over. When it leaps forward, the
    time has passed: old scores leave the smoother by themselves, evidence ages, absent people
    leave. Of a longer gap between two frames `max_evidence_age_s` counts as absence of those
    with an open incident: in the rest of it nobody looked.
    """

    def __init__(self, source_id: str, settings: SiteSettings, new_id: Callable[[], str]) -> None:
        """Start without people.

        Args:
            source_id: the site's name of the camera; frames of another are refused.
            settings: the site.
            new_id: makes an incident id that was never used before, such as a ULID.
        """
        self._source_id = source_id
        self._new_id = new_id
        self._classifier = settings.classifier
        self._people = People()
        self._smoothing: SmoothingSettings | None = None
        self.follow(settings)
        self._now_ns = 0
        self._pts_ns: int | None = None
        self._frame_wh_px = (settings.muxer.width_px, settings.muxer.height_px)

    def follow(self, settings: SiteSettings) -> None:
        """Go on by other settings of this camera; people and open incidents stay.

        Smoothing starts afresh when its own settings are others.

        Args:
            settings: the site, with the same classifier and muxer.
        """
        judging = settings.judging(self._source_id)
        if judging.smoothing != self._smoothing:
            self._smoothing = judging.smoothing
            self._smoother = make_smoother(judging.smoothing)
        self._decision = judging.decision
        self._zones = Zones(judging.zones)
        self._update_every_ns = to_ns(judging.decision.update_every_s)
        self._rule = Rule.of(judging.decision, self._classifier.alert_when)
        # All that an opening can rest on: the scores of the time, and those smoothed into it.
        window_ns = to_ns(judging.smoothing.window_s)
        self._opening_ns = self._rule.open_after_ns + window_ns
        self._closing_ns = max(self._rule.close_after_ns + window_ns, self._opening_ns)
        rests_on_s = (self._opening_ns + self._rule.max_evidence_age_ns) / NS_PER_S
        self._dead_after_s = max(STILL_S, rests_on_s)
        self._people.follow(self._rule, trail_ns=self._closing_ns)

    @property
    def max_evidence_age_ns(self) -> int:
        """Age from which on a verdict is unknown."""
        return self._rule.max_evidence_age_ns

    @property
    def open_incidents(self) -> tuple[str, ...]:
        """Ids of the open incidents, oldest person first."""
        return tuple(p.incident.incident_id for p in self._people if p.incident is not None)

    def update(self, frame: FrameObservation) -> FrameResult:
        """Take one frame.

        Evidence is a score of this very frame, finite, of a person in the zones with
        `min_crop_px` to see of them. Nothing else enters the smoother, and without it a verdict
        ages into unknown. A picture that stands still never helps to end an incident, and gives
        no evidence at all once all that an opening can rest on is of one picture. Nobody
        with an incident is gone because the picture shows nothing.

        Raises:
            ValueError: the frame is of another source.
        """
        if frame.source_id != self._source_id:
            raise ValueError(f"source_id: {frame.source_id}, want {self._source_id}")
        step_ns = self._advance(frame.pts_ns)
        unseen_ns = step_ns if frame.view.hidden else step_ns - self.max_evidence_age_ns
        if unseen_ns > 0:
            self._people.keep(unseen_ns)
        self._frame_wh_px = frame.frame_wh_px
        seen = self._people.find(frame.persons, now_ns=self._now_ns, pts_ns=frame.pts_ns)
        events: list[IncidentEvent] = []
        for person in self._people.remove_gone(seen, self._now_ns):
            if person.incident is not None:
                reason = EndReason.PERSON_GONE
                events.append(self._end(person, person.incident, reason, frame.ntp_ns))
        events.extend(self._watch(frame, seen))
        judged = self._judge(frame, seen)
        for person in self._people:
            events.extend(self._tell(person, frame.ntp_ns))
        verdicts = tuple(
            self._verdict(person, observation, judged=number in judged)
            for number, (person, observation) in enumerate(zip(seen, frame.persons, strict=True))
        )
        lasting = [one.unknown_for_s > self._decision.unknown_after_s for one in verdicts]
        too_small = sum(lasting) > 0 and all(
            is_lasting and not self._is_large_enough(observation, frame.frame_wh_px)
            for is_lasting, one, observation in zip(lasting, verdicts, frame.persons, strict=True)
            if one.watched
        )
        return FrameResult(verdicts, tuple(events), sum(lasting), too_small)

    def attach(self, incident_id: str, snapshot: Snapshot) -> bool:
        """Give an open incident its picture, to be told with the next frame or with its end.

        Returns:
            False when that incident is over.
        """
        incident = self._open(incident_id)
        if incident is not None:
            incident.snapshot = snapshot
        return incident is not None

    def acknowledge(self, incident_id: str, acknowledgement: Acknowledgement) -> bool:
        """Note who looks after an open incident, to be told with the next frame or its end.

        Returns:
            False when there is no such incident, or no more.
        """
        incident = self._open(incident_id)
        if incident is not None:
            incident.acknowledged = acknowledgement
        return incident is not None

    def _open(self, incident_id: str) -> Incident | None:
        here = (person.incident for person in self._people if person.incident is not None)
        return next((each for each in here if each.incident_id == incident_id), None)

    def close(self, reason: EndReason, pts_ns: int) -> tuple[IncidentEvent, ...]:
        """End all open incidents and forget everybody; a second call ends nothing.

        The monitor may be used again afterwards: a camera that comes back shows new people.
        """
        self._advance(pts_ns)
        events = tuple(
            self._end(person, person.incident, reason, None)
            for person in self._people
            if person.incident is not None
        )
        self._people.clear()
        self._smoother.reset()
        return events

    def _advance(self, pts_ns: int) -> int:
        """Return by how much time has gone on."""
        before_ns = self._now_ns
        if self._pts_ns is not None:
            if pts_ns < self._pts_ns:
                self._smoother.reset()
                self._people.doubt()
            else:
                self._now_ns += pts_ns - self._pts_ns
        self._pts_ns = pts_ns
        return self._now_ns - before_ns

    def _watch(self, frame: FrameObservation, seen: list[Person]) -> list[IncidentEvent]:
        """Say who is in the zones; who has been outside for `gone_after_s` has left them.

        Entering counts at once and leaving late, so that somebody on the border stays watched.
        """
        events: list[IncidentEvent] = []
        for person in seen:
            if self._zones.cover(person.box_ltwh_px, frame.frame_wh_px):
                if not person.watched:
                    person.watched, person.known_ns = True, self._now_ns
                person.watched_ns = self._now_ns
            elif person.watched and self._now_ns - person.watched_ns >= self._rule.gone_after_ns:
                if person.incident is not None:
                    reason = EndReason.LEFT_ZONE
                    events.append(self._end(person, person.incident, reason, frame.ntp_ns))
                self._people.forget_decision(person)
        return events

    def _judge(self, frame: FrameObservation, seen: list[Person]) -> set[int]:
        """Smooth the fresh scores and weigh them; returns the rows that had one."""
        if frame.view.still_s > 0:
            for person in seen:
                person.decision.doubt()
        dead = frame.view.still_s > self._dead_after_s
        rows = [
            (number, person, float(observation.score), observation)
            for number, (person, observation) in enumerate(zip(seen, frame.persons, strict=True))
            if observation.score is not None
            and not dead
            and person.watched
            and _is_finite(observation)
            and self._is_large_enough(observation, frame.frame_wh_px)
        ]
        boxes = [observation.box_ltwh_px for *_, observation in rows]
        smoothed = self._smoother.smooth(
            [(left, top, left + width, top + height) for left, top, width, height in boxes],
            [score for _, _, score, _ in rows],
            frame.pts_ns / NS_PER_S,
            # The person, not the track: an id switch does not restart the evidence.
            [None if o.object_id is None else person.number for _, person, _, o in rows],
        )
        for (_, person, score, _), value in zip(rows, smoothed.tolist(), strict=True):
            person.decision.take(score, value, self._now_ns)
        judged = {number for number, *_ in rows}
        for number, (person, observation) in enumerate(zip(seen, frame.persons, strict=True)):
            person.log.add(
                observation,
                judged=number in judged,
                smoothed=self._standing(person),
                pts_ns=frame.pts_ns,
                now_ns=self._now_ns,
            )
        return judged

    def _standing(self, person: Person) -> float | None:
        """Return the smoothed score that is young enough to stand."""
        decision = person.decision
        return decision.smoothed if decision.is_fresh(self._now_ns) else None

    def _is_large_enough(
        self, observation: PersonObservation, frame_wh_px: tuple[int, int]
    ) -> bool:
        """Say whether there is enough of a person to see."""
        expansion, box = self._classifier.expansion, observation.box_ltwh_px
        side_px = shorter_side_px(box, expansion=expansion, frame_wh_px=frame_wh_px)
        return side_px >= self._decision.min_crop_px

    def _tell(self, person: Person, ntp_ns: int | None) -> list[IncidentEvent]:
        """Start, update or end the person's incident as its decision says."""
        incident, decision, now_ns = person.incident, person.decision, self._now_ns
        if incident is None:
            if not decision.unsafe:
                return []
            person.incident = Incident(
                self._new_id(), self._pts_ns or 0, now_ns, 0, now_ns, told_unknown=False
            )
            return [self._event(person, person.incident, Phase.START, ntp_ns)]
        if not decision.unsafe:
            return [self._end(person, incident, EndReason.ROPE_SEEN, ntp_ns)]
        unknown = decision.state(now_ns) is RopeState.UNKNOWN
        due = 0 < self._update_every_ns <= now_ns - incident.told_ns
        news = (
            incident.snapshot is not incident.told_snapshot
            or incident.acknowledged is not incident.told_acknowledged
        )
        if unknown == incident.told_unknown and not due and not news:
            return []
        return [self._event(person, incident, Phase.UPDATE, ntp_ns)]

    def _end(
        self, person: Person, incident: Incident, reason: EndReason, ntp_ns: int | None
    ) -> IncidentEvent:
        event = self._event(person, incident, Phase.END, ntp_ns, reason)
        person.incident = None
        return event

    def _event(
        self,
        person: Person,
        incident: Incident,
        phase: Phase,
        ntp_ns: int | None,
        reason: EndReason | None = None,
    ) -> IncidentEvent:
        decision, now_ns = person.decision, self._now_ns
        state = decision.state(now_ns)
        age_ns = decision.evidence_age_ns(now_ns)
        # An incident rests on evidence, so there was some.
        assert decision.score is not None
        assert decision.smoothed is not None
        assert age_ns is not None
        incident.revision += 1
        incident.told_ns, incident.told_unknown = now_ns, state is RopeState.UNKNOWN
        incident.told_snapshot = incident.snapshot
        incident.told_acknowledged = incident.acknowledged
        return IncidentEvent(
            phase=phase,
            incident_id=incident.incident_id,
            revision=incident.revision,
            source_id=self._source_id,
            person=person.number,
            object_ids=person.log.object_ids,
            pts_ns=self._pts_ns or 0,
            ntp_ns=ntp_ns,
            box_ltwh_px=person.box_ltwh_px,
            frame_wh_px=self._frame_wh_px,
            score=decision.score,
            smoothed=decision.smoothed,
            threshold=self._decision.threshold,
            alert_when=self._classifier.alert_when,
            score_label=self._classifier.score_label,
            state=state,
            samples=decision.samples,
            evidence_age_s=age_ns / NS_PER_S,
            started_pts_ns=incident.started_pts_ns,
            end_reason=reason,
            duration_s=None if reason is None else (now_ns - incident.started_ns) / NS_PER_S,
            evidence=person.log.evidence(
                self._rule, window_ns=self._opening_ns if reason is None else self._closing_ns
            ),
            snapshot=incident.snapshot,
            acknowledged=incident.acknowledged,
        )

    def _verdict(self, person: Person, observation: PersonObservation, *, judged: bool) -> Verdict:
        decision = person.decision
        age_ns = decision.evidence_age_ns(self._now_ns)
        state = decision.state(self._now_ns)
        if state is not RopeState.UNKNOWN or not person.watched:
            person.known_ns = self._now_ns
        return Verdict(
            person=person.number,
            object_id=observation.object_id,
            state=state,
            score=observation.score if judged else None,
            smoothed=self._standing(person),
            incident_id=None if person.incident is None else person.incident.incident_id,
            evidence_age_s=None if age_ns is None else age_ns / NS_PER_S,
            watched=person.watched,
            unknown_for_s=(self._now_ns - person.known_ns) / NS_PER_S,
        )


def _is_finite(observation: PersonObservation) -> bool:
    # A broken engine gives NaN, and NaN compares as the safe side of any threshold.
    score = observation.score
    return (
        score is not None
        and math.isfinite(score)
        and all(map(math.isfinite, observation.box_ltwh_px))
    )
