"""The composition root: settings in, a running graph, an exit code out."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ulid import ULID

from deepstream.backend import Backend, BackendChoice, load_backend
from deepstream.bus import BusHandlers, GraphRunner, Outcome
from deepstream.dispatcher import Dispatcher, Handler
from deepstream.graph import Graph, build_graph
from deepstream.health import CameraHealth, Health
from deepstream.meta import MetaDoor
from deepstream.nvinfer_config import (
    NvinferProperties,
    check_classifier,
    check_detector,
    read_properties,
)
from deepstream.plan import PGIE_ID, SGIE_ID, make_plan
from deepstream.probes.crops import FramesInFlight
from deepstream.probes.expand import ExpandStage
from deepstream.probes.guard import Stage
from deepstream.probes.restore import RestoreStage
from deepstream.probes.smooth import SmoothStage
from deepstream.publisher import Publisher
from deepstream.recorder import Recorder
from deepstream.reporter import Reporter
from deepstream.sources import explain_failure
from ropewatch.errors import SettingsError
from ropewatch.incidents import EndReason
from ropewatch.labels import check_score_label, read_classifier_labels
from ropewatch.monitor import SourceMonitor
from ropewatch.settings import SiteSettings
from ropewatch.wire import Wire

log = logging.getLogger("ropewatch.app")

DRAIN_TIMEOUT_S: Final = 10.0
EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_INCOMPLETE: Final = 3
# scaling-compute-hw: 1 scales on the GPU, which has no limit on the scale factor.
GPU_SCALING: Final = 1


@dataclass(frozen=True, slots=True)
class App:
    """Everything that one run consists of."""

    site: SiteSettings
    graph: Graph
    smooth: SmoothStage
    dispatcher: Dispatcher
    publisher: Publisher
    reporter: Reporter
    recorder: Recorder | None
    health: Health


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
    app = _compose(site, loaded)
    _announce(site, loaded)
    started_s = time.monotonic()
    if app.recorder is not None:
        app.recorder.open()
    app.dispatcher.start()
    try:
        app.publisher.start()
        outcome = _run_graph(app)
        undelivered = _finish(app, outcome)
    finally:
        app.dispatcher.stop()
        app.publisher.stop()
        if app.recorder is not None:
            app.recorder.close()
    _summarise(app, time.monotonic() - started_s)
    return _exit_code(app, outcome, undelivered)


def _compose(site: SiteSettings, backend: Backend) -> App:
    """Build all parts of a run and join them; nothing starts."""
    detector = read_properties(site.detector.config_file)
    check_detector(detector, pgie_id=PGIE_ID)
    classifier = read_properties(site.classifier.config_file)
    check_classifier(classifier, sgie_id=SGIE_ID, pgie_id=PGIE_ID)
    if site.video.annotated_file is not None:
        _make_folder(site.video.annotated_file, key="video.annotated_file")

    boot_id = str(ULID())
    source_ids = tuple(source.id for source in site.sources)
    wire = Wire(site=site.site, box=site.box, boot_id=boot_id)
    publisher = Publisher(
        site.mqtt, client_id=f"ropewatch-{site.site}-{site.box}", will=wire.will()
    )
    reporter = Reporter(
        wire, publisher, backend=backend.name, status_every_s=site.health.status_every_s
    )
    recorder = None if site.recording is None else Recorder(site.recording)
    handlers: list[Handler] = [reporter] if recorder is None else [reporter, recorder]
    dispatcher = Dispatcher(handlers)

    door = MetaDoor(
        backend.pyds,
        person_class_id=site.detector.person_class_id,
        pgie_id=PGIE_ID,
        sgie_id=SGIE_ID,
    )
    in_flight = FramesInFlight()
    smooth = SmoothStage(
        door=door,
        in_flight=in_flight,
        source_ids=source_ids,
        monitors=tuple(SourceMonitor(name, site, lambda: str(ULID())) for name in source_ids),
        sink=dispatcher,
        frame_wh_px=(site.muxer.width_px, site.muxer.height_px),
        score_index=_score_index(site, classifier),
        draw=site.video.annotated_file is not None,
    )
    stages: dict[str, Stage] = {
        "expand": _expand_stage(site, door, in_flight, classifier),
        "restore": RestoreStage(door, in_flight),
        "smooth": smooth,
    }
    graph = build_graph(make_plan(site), stages)
    health = Health(
        cameras=tuple(CameraHealth(name, started_s=time.monotonic()) for name in source_ids),
        frames=lambda: list(smooth.frames),
        blind_after_s=site.health.blind_after_s,
        counters={
            "failed_buffers": lambda: sum(p.failed_buffers for p in graph.probes.values()),
            "frames_without_time": lambda: smooth.frames_without_time,
            "abandoned_frames": lambda: in_flight.abandoned,
            "dropped_frames": lambda: dispatcher.counters.dropped_frames,
            "failed_handlers": lambda: dispatcher.counters.failed,
            "dropped_updates": lambda: publisher.counters.dropped_updates,
            "refused_messages": lambda: publisher.counters.refused,
        },
    )
    return App(site, graph, smooth, dispatcher, publisher, reporter, recorder, health)


def _score_index(site: SiteSettings, classifier: NvinferProperties) -> int:
    """Return the position of the site's score_label in the classifier's output."""
    file = classifier.path("labelfile-path")
    return check_score_label(file, read_classifier_labels(file), site.classifier.score_label)


def _expand_stage(
    site: SiteSettings, door: MetaDoor, in_flight: FramesInFlight, classifier: NvinferProperties
) -> ExpandStage:
    return ExpandStage(
        door=door,
        in_flight=in_flight,
        expansion=site.classifier.expansion,
        frame_wh_px=(site.muxer.width_px, site.muxer.height_px),
        network_wh_px=classifier.network_wh_px,
        limit_scale=classifier.integer("scaling-compute-hw", 0) != GPU_SCALING,
    )


def _run_graph(app: App) -> Outcome:
    names = tuple(f"source-{source.id}" for source in app.site.sources)

    def on_tick() -> None:
        for camera, reason in app.health.look():
            app.reporter.camera_status(camera.source_id, reason)
        app.reporter.box_status(app.health.reasons(), counters=_counts(app.health))

    def on_source_failed(index: int, said: str) -> None:
        text = explain_failure(app.site.sources[index], said)
        log.error("source lost source=%s reason=%s", app.site.sources[index].id, text)
        app.health.cameras[index].failed = text
        app.smooth.close(index, EndReason.SOURCE_LOST)

    def on_source_ended(index: int) -> None:
        app.health.cameras[index].ended = True

    handlers = BusHandlers(on_tick, on_source_failed, on_source_ended)
    return GraphRunner(app.graph, names, handlers).run()


def _finish(app: App, outcome: Outcome) -> int:
    """End what is open, say so, and wait until the broker has it; return what it has not."""
    reason = EndReason.SHUTDOWN if outcome.stopped else EndReason.STREAM_ENDED
    for index in range(len(app.site.sources)):
        app.smooth.close(index, reason)
    app.dispatcher.stop()
    app.reporter.goodbye()
    undelivered = app.publisher.drain(DRAIN_TIMEOUT_S if app.publisher.connected else 1.0)
    if undelivered:
        log.error(
            "messages not delivered count=%d broker=%s:%d error=%s",
            undelivered,
            app.site.mqtt.host,
            app.site.mqtt.port,
            app.publisher.last_error or "no answer",
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
    delivered = app.publisher.counters.delivered
    print(
        f"watched    {frames} frames in {elapsed_s:.1f} s ({frames / max(elapsed_s, 1e-9):.1f} a "
        f"second), {app.reporter.incidents} incidents, {delivered} messages delivered",
        flush=True,
    )


def _counts(health: Health) -> dict[str, int]:
    return {name: read() for name, read in health.counters.items()}


def _make_folder(file: Path, *, key: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{key}: {file.parent}: {error.strerror}, want a folder that can be written; "
            "correct the path"
        ) from None
