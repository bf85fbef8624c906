"""One run: settings in, a running graph, an exit code out."""

import logging
import os
import sys
import time
from dataclasses import dataclass
from typing import Final

from deepstream.backend import Backend, BackendChoice, load_backend
from deepstream.bus import BusHandlers, GraphRunner, Outcome
from deepstream.claim import claimed
from deepstream.compose import App, compose, state_dir
from deepstream.health import CameraReason
from deepstream.plan import is_reconnected
from deepstream.sources import explain_failure
from deepstream.told import ToldCameras
from ropewatch.incidents import EndReason
from ropewatch.load import redact
from ropewatch.settings import SiteSettings, SourceSettings

log = logging.getLogger("ropewatch.app")

# Long enough to find a broker again that was lost some seconds ago.
DRAIN_TIMEOUT_S: Final = 10.0
ABSENT_TIMEOUT_S: Final = 1.0
# A source's last frames are through the graph when none has come for this long.
QUIET_S: Final = 2.0
EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_INCOMPLETE: Final = 3


def run_site(site: SiteSettings, *, backend: str) -> int:
    """Watch a site until its files end or a signal comes.

    Args:
        site: loaded settings.
        backend: auto, deepstream or cpu.

    Returns:
        0 done; 1 the graph failed or every source did; 3 a source or the annotated video was
        lost, messages were not delivered, or frames could not be judged.

    Raises:
        RopewatchError: the run could not start.
    """
    loaded = load_backend(BackendChoice(backend))
    with claimed(state_dir(site)):
        app = compose(site, loaded)
        _announce(site, loaded)
        ended = run_composed(app)
        if ended.is_stuck:
            # What hangs would hold up an ordinary end, too; everything is said and on disk.
            logging.shutdown()
            sys.stdout.flush()
            os._exit(ended.code)
        return ended.code


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its exit code, and whether threads of the graph are left that hang."""

    code: int
    is_stuck: bool


def run_composed(app: App) -> Ended:
    """Run what `compose` has joined; raises as `run_site`."""
    started_s = time.monotonic()
    voice = app.voice
    if voice.recorder is not None:
        voice.recorder.open()
    voice.dispatcher.start()
    if voice.snapshots is not None:
        voice.snapshots.start()
    if app.commander is not None:
        app.commander.start()
    try:
        voice.publisher.start()
        run = _Run(app)
        app.views.start()
        outcome = run.watch()
        app.views.stop()
        undelivered = run.finish()
        is_stuck = not run.runner.close()
        if voice.snapshots is not None and not run.runner.outcome.undrained:
            voice.snapshots.close()
    finally:
        if app.commander is not None:
            app.commander.stop()
        voice.dispatcher.stop()
        voice.publisher.stop()
        voice.outbox.close()
        if voice.recorder is not None:
            voice.recorder.close()
    _summarise(app, time.monotonic() - started_s)
    return Ended(_exit_code(app, outcome, undelivered), is_stuck)


class _Run:
    """Watches one graph: turns what happens to sources into statuses and ends of incidents."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._source_ids = tuple(source.id for source in app.site.sources)
        self._told = ToldCameras(state_dir(app.site))
        # Sources that have ended or failed, until their last frames are through the graph.
        self._ending: dict[int, EndReason] = {}
        reconnecting = frozenset(
            index for index, source in enumerate(app.site.sources) if is_reconnected(source)
        )
        self.runner = GraphRunner(
            app.graph,
            tuple(f"source-{source_id}" for source_id in self._source_ids),
            reconnecting,
            BusHandlers(self._on_tick, self._on_source_failed, self._on_source_ended),
        )

    def watch(self) -> Outcome:
        """Run the graph to its end."""
        gone = self._told.begin(self._source_ids)
        self._app.voice.reporter.hello(self._source_ids, gone=gone)
        self._on_tick()
        outcome = self.runner.run()
        self._fail_if_asked()
        return outcome

    def finish(self) -> int:
        """End what is open, say so, and wait until the broker has it; return what it has not."""
        app, publisher = self._app, self._app.voice.publisher
        outcome = self.runner.outcome
        stopped = outcome.stopped or outcome.fatal is not None
        default = EndReason.SHUTDOWN if stopped else EndReason.STREAM_ENDED
        app.smooth.stop()
        if app.voice.snapshots is not None:
            # The ends carry what is still in the making.
            app.voice.snapshots.stop()
        for index in range(len(self._source_ids)):
            app.smooth.close(index, self._ending.get(index, default))
        app.voice.dispatcher.stop()
        why = () if outcome.fatal is None else (redact(outcome.fatal),)
        app.voice.reporter.goodbye(self._source_ids, app.health.read(), why)
        app.voice.outbox.try_refused()
        undelivered = app.voice.outbox.drain(
            DRAIN_TIMEOUT_S if publisher.connects else ABSENT_TIMEOUT_S
        )
        if undelivered:
            log.error(
                "messages not delivered, kept for the next start count=%d broker=%s:%d error=%s",
                undelivered,
                app.site.mqtt.host,
                app.site.mqtt.port,
                publisher.last_error or "no answer",
            )
        else:
            self._told.end()
        return undelivered

    def _on_tick(self) -> None:
        app = self._app
        for index, reason in app.health.look():
            app.voice.reporter.camera_status(self._source_ids[index], reason)
            if reason is CameraReason.LOST:
                app.smooth.close(index, EndReason.SOURCE_LOST)
        now_s = app.health.clock()
        for index, why in list(self._ending.items()):
            if app.health.cameras[index].is_quiet(now_s, QUIET_S):
                app.smooth.close(index, why)
                del self._ending[index]
        app.voice.reporter.box_status(app.health.reasons(), counters=app.health.read())
        app.telemetry.tick(connected=app.voice.publisher.connected)
        self._fail_if_asked()
        encoder = app.voice.encoder
        if encoder is not None and (hung := encoder.look()) is not None:
            self.runner.fail(hung)

    def _fail_if_asked(self) -> None:
        """End the run when a probe has found what only the operator can correct."""
        for probe in self._app.graph.probes.values():
            if probe.fatal is not None and self.runner.outcome.fatal is None:
                self.runner.fail(probe.fatal)

    def _on_source_failed(self, index: int, said: str) -> None:
        text = explain_failure(self._app.site.sources[index], said)
        log.error("source lost source=%s reason=%s", self._source_ids[index], text)
        self._app.health.cameras[index].failed = text
        self._ending[index] = EndReason.SOURCE_LOST

    def _on_source_ended(self, index: int) -> None:
        self._app.health.cameras[index].ended = True
        self._ending.setdefault(index, EndReason.STREAM_ENDED)


def _exit_code(app: App, outcome: Outcome, undelivered: int) -> int:
    if outcome.fatal is not None:
        log.error("graph failed reason=%s", outcome.fatal)
        return EXIT_FAILED
    if len(outcome.failed_sources) == len(app.site.sources):
        log.error("no source left, want at least one that can be read")
        return EXIT_FAILED
    troubles = app.health.troubles()
    if troubles:
        log.error("the run had troubles %s", " ".join(f"{k}={v}" for k, v in troubles.items()))
    picture = app.graph.picture
    lost = outcome.failed_sources or (picture is not None and picture.lost is not None)
    incomplete = lost or undelivered or outcome.undrained or troubles
    return EXIT_INCOMPLETE if incomplete else EXIT_DONE


def _announce(site: SiteSettings, backend: Backend) -> None:
    """Say what an installer must be able to check at a glance."""
    decision, classifier = site.decision, site.classifier
    print(f"backend    {backend.name} ({backend.version})")
    print(f"cameras    {', '.join(source.id for source in site.sources)}")
    for source in site.sources:
        if differs := _what_differs(source):
            print(f"           {source.id}: {differs}")
    side = "at or above" if classifier.alert_when.value == "at_or_above" else "below"
    print(f"alert      when p({classifier.score_label}) is {side} {decision.threshold:g}")
    print(f"classifier mode {classifier.mode}, smoothing {site.smoothing.strategy}")
    print(f"broker     {site.mqtt.host}:{site.mqtt.port}", flush=True)


def _what_differs(source: SourceSettings) -> str:
    """Name a camera's own settings and zones; empty without any."""
    own = source.overrides.model_dump(exclude_unset=True)
    said = [f"{key} {value}" for section in own.values() for key, value in section.items()]
    said += [f"{zone.kind} zone {zone.name}" for zone in source.zones]
    return ", ".join(said)


def _summarise(app: App, elapsed_s: float) -> None:
    frames = sum(app.smooth.frames)
    delivered = app.voice.outbox.counters.delivered
    print(
        f"watched    {frames} frames in {elapsed_s:.1f} s ({frames / max(elapsed_s, 1e-9):.1f} a "
        f"second), {app.voice.reporter.incidents} incidents, {delivered} messages delivered",
        flush=True,
    )
