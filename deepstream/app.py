"""One run: settings in, a running graph, an exit code out."""

import logging
import time
from typing import Final

from deepstream.backend import Backend, BackendChoice, load_backend
from deepstream.bus import BusHandlers, GraphRunner, Outcome
from deepstream.compose import App, compose
from deepstream.health import Health
from deepstream.plan import is_live
from deepstream.sources import explain_failure
from ropewatch.incidents import EndReason
from ropewatch.settings import SiteSettings

log = logging.getLogger("ropewatch.app")

DRAIN_TIMEOUT_S: Final = 10.0
ABSENT_TIMEOUT_S: Final = 1.0
EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_INCOMPLETE: Final = 3


def run_site(site: SiteSettings, *, backend: str) -> int:
    """Watch a site until its files end or a signal comes.

    Args:
        site: loaded settings.
        backend: auto, deepstream or cpu.

    Returns:
        0 done; 1 the graph failed or every source did; 3 a source was lost or messages were
        not delivered.

    Raises:
        RopewatchError: the run could not start.
    """
    loaded = load_backend(BackendChoice(backend))
    app = compose(site, loaded)
    _announce(site, loaded)
    started_s = time.monotonic()
    if app.voice.recorder is not None:
        app.voice.recorder.open()
    app.voice.dispatcher.start()
    try:
        app.voice.publisher.start()
        outcome = _run_graph(app)
        undelivered = _finish(app, outcome)
    finally:
        app.voice.dispatcher.stop()
        app.voice.publisher.stop()
        if app.voice.recorder is not None:
            app.voice.recorder.close()
    _summarise(app, time.monotonic() - started_s)
    return _exit_code(app, outcome, undelivered)


def _run_graph(app: App) -> Outcome:
    names = tuple(f"source-{source.id}" for source in app.site.sources)

    def on_tick() -> None:
        for camera, reason in app.health.look():
            app.voice.reporter.camera_status(camera.source_id, reason)
        app.voice.reporter.box_status(app.health.reasons(), counters=_counts(app.health))

    def on_source_failed(index: int, said: str) -> None:
        text = explain_failure(app.site.sources[index], said)
        log.error("source lost source=%s reason=%s", app.site.sources[index].id, text)
        app.health.cameras[index].failed = text
        app.smooth.close(index, EndReason.SOURCE_LOST)

    def on_source_ended(index: int) -> None:
        app.health.cameras[index].ended = True

    on_tick()
    handlers = BusHandlers(on_tick, on_source_failed, on_source_ended)
    reconnecting = frozenset(
        index
        for index, source in enumerate(app.site.sources)
        if is_live(source.uri) and source.rtsp_reconnect_interval_s > 0
    )
    return GraphRunner(app.graph, names, reconnecting, handlers).run()


def _finish(app: App, outcome: Outcome) -> int:
    """End what is open, say so, and wait until the broker has it; return what it has not."""
    reason = EndReason.SHUTDOWN if outcome.stopped else EndReason.STREAM_ENDED
    for index in range(len(app.site.sources)):
        app.smooth.close(index, reason)
    app.voice.dispatcher.stop()
    app.voice.reporter.goodbye()
    publisher = app.voice.publisher
    undelivered = publisher.drain(DRAIN_TIMEOUT_S if publisher.connected else ABSENT_TIMEOUT_S)
    if undelivered:
        log.error(
            "messages not delivered count=%d broker=%s:%d error=%s",
            undelivered,
            app.site.mqtt.host,
            app.site.mqtt.port,
            publisher.last_error or "no answer",
        )
    return undelivered


def _exit_code(app: App, outcome: Outcome, undelivered: int) -> int:
    if outcome.fatal is not None:
        log.error("graph failed reason=%s", outcome.fatal)
        return EXIT_FAILED
    if len(outcome.failed_sources) == len(app.site.sources):
        log.error("no source left, want at least one that can be read")
        return EXIT_FAILED
    incomplete = outcome.failed_sources or undelivered or outcome.undrained
    return EXIT_INCOMPLETE if incomplete else EXIT_DONE


def _announce(site: SiteSettings, backend: Backend) -> None:
    """Say what an installer must be able to check at a glance."""
    decision, classifier = site.decision, site.classifier
    print(f"backend    {backend.name} ({backend.version})")
    print(f"cameras    {', '.join(source.id for source in site.sources)}")
    side = "at or above" if classifier.alert_when.value == "at_or_above" else "below"
    print(f"alert      when p({classifier.score_label}) is {side} {decision.threshold:g}")
    print(f"broker     {site.mqtt.host}:{site.mqtt.port}", flush=True)


def _summarise(app: App, elapsed_s: float) -> None:
    frames = sum(app.smooth.frames)
    delivered = app.voice.publisher.counters.delivered
    print(
        f"watched    {frames} frames in {elapsed_s:.1f} s ({frames / max(elapsed_s, 1e-9):.1f} a "
        f"second), {app.voice.reporter.incidents} incidents, {delivered} messages delivered",
        flush=True,
    )


def _counts(health: Health) -> dict[str, int]:
    return {name: read() for name, read in health.counters.items()}
