"""Carries out what is asked of the box over MQTT, one command after the other, on a thread."""

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from deepstream.asked import Asked, again, check, read
from deepstream.changes import Audit, Changes
from deepstream.clock import read_moment
from deepstream.inbound import Inbound
from deepstream.lanes import Lane, Post
from deepstream.marking import Picture
from deepstream.quota import Quota
from deepstream.remembered import Disk, Remembered
from ropewatch.commands import (
    AcknowledgeRequest,
    Answer,
    AnswerStatus,
    Code,
    ConfirmRequest,
    PictureTaken,
    Refused,
    Request,
    SetRequest,
    SnapshotRequest,
    changed,
    parse_request,
    source_of,
    with_source,
)
from ropewatch.incidents import Acknowledgement
from ropewatch.moment import Moment
from ropewatch.settings import SiteSettings, SourceSettings
from ropewatch.topics import ROOT
from ropewatch.wire import Wire, rfc3339

log = logging.getLogger("ropewatch.commands")

MAX_WAITING: Final = 100
# Of topics and correlation data together: answers bring them back.
ENVELOPE_MAX_CHARS: Final = 2048
REASON_MAX_CHARS: Final = 500
STOP_TIMEOUT_S: Final = 5.0
PHOTO_WITHIN_S: Final = 10.0


class Controls(Protocol):
    """What commands may do; the smooth stage."""

    def follow(self, site: SiteSettings, camera: str) -> None:
        """Judge a camera by other settings from its next frame on."""

    def acknowledge(self, incident_id: str, acknowledgement: Acknowledgement) -> bool:
        """Note who looks after an incident; False when it is not open."""


class Camera(Protocol):
    """Takes pictures on demand; the snapshots."""

    def ask(self, pad_index: int, taker: Callable[[Picture], None]) -> bool:
        """Take a picture of a camera's next frame; False when there were too many."""


class Outlet(Disk, Protocol):
    """Takes messages for delivery and keeps answers; the outbox."""

    def offer(self, *posts: Post) -> None:
        """Take messages that belong together."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A change that is not confirmed yet."""

    asked: Asked
    request: SetRequest
    before: SourceSettings
    due_s: float


@dataclass(frozen=True, slots=True)
class _Photo:
    """A picture that was asked for and has not come."""

    asked: Asked
    camera: str
    name: str
    due_s: float


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of a command."""

    status: AnswerStatus
    code: Code = Code.OK
    reason: str | None = None
    confirm_within_s: float | None = None
    picture: PictureTaken | None = None


class Commander:
    """Reads commands, carries them out and answers.

    Attributes:
        dropped: commands beyond their sender's quota or too many to wait, or with endless names.

    Args:
        site: the settings as they apply.
        wire: makes the messages.
        outlet: takes them.
        controls: what commands act on.
        camera: takes pictures; None where they are off.
        changes: keeps what is confirmed.
        audit: notes every command.
        clock: reads all clocks.
    """

    def __init__(
        self,
        site: SiteSettings,
        wire: Wire,
        outlet: Outlet,
        controls: Controls,
        camera: Camera | None = None,
        *,
        changes: Changes,
        audit: Audit,
        clock: Callable[[], Moment] = read_moment,
    ) -> None:
        commands = site.mqtt.commands
        assert commands is not None
        self.dropped = 0
        self.filter = f"{ROOT}/{site.site}/{site.box}/command/+/+"
        self._senders = frozenset(commands.senders)
        self._site, self._wire, self._outlet = site, wire, outlet
        self._controls, self._camera = controls, camera
        self._changes, self._audit = changes, audit
        self._clock = clock
        self._pending: dict[str, _Pending] = {}
        self._photos: dict[str, _Photo] = {}
        self._taken: deque[tuple[str, Picture]] = deque()
        self._remembered = Remembered(outlet)
        self._quota = Quota(self._senders, self._now_s)
        self._waiting: deque[tuple[float, Inbound]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)

    @property
    def unaudited(self) -> int:
        """Commands that the disk did not note."""
        return self._audit.failed

    def start(self) -> None:
        """Start the worker, and tell what the end of an earlier run has taken back."""
        for digest, answer in self._remembered.on_trial():
            request_id = answer.request_id or ""
            kept = self._changes.has(answer.sender, request_id)
            if kept or answer.config_digest == self._site.digest():
                # Killed between keeping the change and saying so.
                self._remembered.confirmed(answer.sender, request_id)
                continue
            asked = again(answer, digest)
            reason = "the box was stopped before it was confirmed"
            self._answer(asked, _Done(AnswerStatus.REVERTED, Code.NOT_CONFIRMED_IN_TIME, reason))
        self._thread.start()

    def stop(self) -> None:
        """End the worker; what was not confirmed is gone with the run."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT_S)

    def take(self, message: Inbound) -> None:
        """Take a command; never waits."""
        sender = message.topic.split("/")[-2]
        envelope = len(message.topic + (message.response_topic or ""))
        with self._changed:
            if (
                not self._quota.admit(sender)
                or len(self._waiting) >= MAX_WAITING
                or envelope + len(message.correlation or b"") > ENVELOPE_MAX_CHARS
            ):
                self.dropped += 1
                return
            self._waiting.append((self._now_s(), message))
            self._changed.notify()

    def troubles(self) -> list[str]:
        """Say what is wrong at this moment; empty while all is well."""
        with self._changed:
            return self._quota.troubles()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._waiting or self._taken or self._stopping, self._left_s()
                )
                if self._stopping:
                    return
                message = self._waiting.popleft() if self._waiting else None
                taken = self._taken.popleft() if self._taken else None
            try:
                if message is not None:
                    self._carry_out(*message)
                if taken is not None:
                    self._show(*taken)
                self._revert_what_is_due()
                self._give_up_what_is_due()
            except Exception:
                log.exception("command failed")

    def _left_s(self) -> float | None:
        """Return how long until a change is to be taken back, or a picture given up."""
        due = [each.due_s for each in self._pending.values()]
        due += [each.due_s for each in self._photos.values()]
        return max(min(due) - self._now_s(), 0.0) if due else None

    def _carry_out(self, came_s: float, message: Inbound) -> None:
        asked = read(message, self._site)
        try:
            check(asked, message, self._senders, waited_s=self._now_s() - came_s)
            known = self._remembered.answer(asked)
            if known is not None:
                self._send(known, asked)
                return
            done = self._do(asked, parse_request(asked.verb, message.payload))
        except Refused as refused:
            done = _Done(AnswerStatus.REJECTED, refused.code, refused.reason)
        except Exception as error:
            log.exception("command failed verb=%s", asked.verb)
            done = _Done(AnswerStatus.REJECTED, Code.FAILED, f"{type(error).__name__}: {error}")
        self._answer(asked, done)

    def _do(self, asked: Asked, request: Request) -> _Done:
        match request:
            case SetRequest():
                return self._set(asked, request)
            case ConfirmRequest():
                return self._confirm(asked, request)
            case AcknowledgeRequest():
                return self._acknowledge(asked, request)
            case SnapshotRequest():
                return self._photograph(asked, request)
        return _Done(AnswerStatus.APPLIED)

    def _acknowledge(self, asked: Asked, request: AcknowledgeRequest) -> _Done:
        said = Acknowledgement(asked.sender, request.note, self._clock().unix_ns)
        if not self._controls.acknowledge(request.incident_id, said):
            raise Refused(Code.UNKNOWN_INCIDENT, f"incident_id: {request.incident_id}: not open")
        # It shows in the incident's next message.
        return _Done(AnswerStatus.ACCEPTED)

    def _photograph(self, asked: Asked, request: SnapshotRequest) -> _Done:
        index = self._site.sources.index(source_of(self._site, request.camera))
        if self._camera is None:
            raise Refused(Code.NOT_AVAILABLE, "snapshots.enabled is false on this box")
        # The sender's, so that nobody's picture passes for an incident's.
        name = f"{asked.sender}-{request.request_id}"
        due_s = self._now_s() + PHOTO_WITHIN_S
        self._photos[name] = _Photo(asked, request.camera, name, due_s)
        if not self._camera.ask(index, lambda picture: self._take_picture(name, picture)):
            del self._photos[name]
            raise Refused(Code.NOT_AVAILABLE, "more than snapshots.max_per_minute")
        return _Done(AnswerStatus.ACCEPTED)

    def _take_picture(self, name: str, picture: Picture) -> None:
        with self._changed:
            self._taken.append((name, picture))
            self._changed.notify()

    def _show(self, name: str, picture: Picture) -> None:
        photo = self._photos.pop(name, None)
        if photo is None:
            return
        message = self._wire.snapshot(photo.camera, name, picture.jpeg)
        self._outlet.offer(Post(message, Lane.SNAPSHOT))
        reference = PictureTaken(
            topic=message.topic,
            sha256=hashlib.sha256(picture.jpeg).hexdigest(),
            size_bytes=len(picture.jpeg),
            size_wh_px=picture.size_wh_px,
        )
        self._answer(photo.asked, _Done(AnswerStatus.APPLIED, picture=reference))

    def _give_up_what_is_due(self) -> None:
        now_s = self._now_s()
        for name in [name for name, each in self._photos.items() if each.due_s <= now_s]:
            reason = f"no picture within {PHOTO_WITHIN_S:g} s"
            done = _Done(AnswerStatus.REJECTED, Code.NOT_AVAILABLE, reason)
            self._answer(self._photos.pop(name).asked, done)

    def _set(self, asked: Asked, request: SetRequest) -> _Done:
        before = source_of(self._site, request.camera)
        pending = self._pending.get(request.camera)
        if pending is not None:
            raise Refused(
                Code.CHANGE_PENDING,
                f"camera: {request.camera}: change {pending.request.request_id} is not confirmed "
                "yet; confirm it or wait until it is taken back",
            )
        self._follow(changed(self._site, request), request.camera)
        due_s = self._now_s() + request.confirm_within_s
        self._pending[request.camera] = _Pending(asked, request, before, due_s)
        return _Done(
            AnswerStatus.APPLIED,
            Code.UNCONFIRMED,
            f"taken back unless confirmed within {request.confirm_within_s:g} s",
            request.confirm_within_s,
        )

    def _confirm(self, asked: Asked, request: ConfirmRequest) -> _Done:
        # Ids are their sender's: somebody else may have used the same one.
        ids = {
            each.request.request_id: camera
            for camera, each in self._pending.items()
            if each.asked.sender == asked.sender
        }
        kept = _Done(AnswerStatus.APPLIED, Code.CONFIRMED, "kept, over restarts as well")
        if request.of not in ids:
            if self._remembered.is_confirmed(asked.sender, request.of):
                return kept
            raise Refused(
                Code.UNKNOWN_CHANGE,
                f"of: {request.of}: no change of {asked.sender} waits under that id",
            )
        camera = ids[request.of]
        others = self._without([each for each in self._pending if each != camera])
        try:
            self._changes.keep(others, camera, sender=asked.sender, request_id=request.of)
        except OSError as error:
            raise Refused(Code.FAILED, f"cannot be kept: {error.strerror}") from None
        del self._pending[camera]
        self._remembered.confirmed(asked.sender, request.of)
        return kept

    def _without(self, cameras: list[str]) -> SiteSettings:
        """Return the settings as if these cameras' unconfirmed changes were not."""
        site = self._site
        for camera in cameras:
            before = self._pending[camera].before
            site = with_source(site, camera, before.overrides, before.zones)
        return site

    def _revert_what_is_due(self) -> None:
        now_s = self._now_s()
        for camera in [name for name, each in self._pending.items() if each.due_s <= now_s]:
            site = self._without([camera])
            pending = self._pending.pop(camera)
            self._follow(site, camera)
            reason = f"not confirmed within {pending.request.confirm_within_s:g} s"
            done = _Done(AnswerStatus.REVERTED, Code.NOT_CONFIRMED_IN_TIME, reason)
            self._answer(pending.asked, done)

    def _follow(self, site: SiteSettings, camera: str) -> None:
        self._controls.follow(site, camera)
        self._site = site

    def _now_s(self) -> float:
        return self._clock().monotonic_ns / 1e9

    def _answer(self, asked: Asked, done: _Done) -> None:
        answer = Answer(
            site=self._site.site,
            box=self._site.box,
            boot_id=self._wire.boot_id,
            sender=asked.sender,
            verb=asked.verb,
            request_id=asked.request_id,
            status=done.status,
            code=done.code,
            reason=done.reason and done.reason[:REASON_MAX_CHARS],
            config_digest=self._site.digest(),
            confirm_within_s=done.confirm_within_s,
            picture=done.picture,
            time=rfc3339(self._clock().unix_ns),
        )
        self._audit.note(answer, asked.text)
        self._remembered.note(asked, answer)
        self._send(answer, asked)

    def _send(self, answer: Answer, asked: Asked) -> None:
        message = self._wire.answer(answer)
        message = replace(message, topic=asked.topic, correlation=asked.correlation)
        self._outlet.offer(Post(message, Lane.ANSWER))
