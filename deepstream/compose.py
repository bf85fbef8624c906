"""The parts of one run, made from its settings and joined; nothing starts here."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deepstream.backend import Backend
from deepstream.birth import Birth
from deepstream.changes import Audit, Changes
from deepstream.classifying import Classifying, make_classifying
from deepstream.clock import ClockDoubt
from deepstream.commander import Commander
from deepstream.dispatcher import Dispatcher, Handler
from deepstream.graph import Graph, build_graph
from deepstream.health import CameraHealth, Counts, Health
from deepstream.ids import IncidentIds
from deepstream.lanes import Lane
from deepstream.meta import FrameEncoder, MetaDoor
from deepstream.models import model_versions
from deepstream.nvinfer_config import refuse_faults
from deepstream.outbox import Outbox
from deepstream.plan import Plan, is_live, make_plan
from deepstream.probes.guard import BatchStage, Stage
from deepstream.probes.smooth import SmoothStage
from deepstream.publisher import Publisher
from deepstream.recorder import Recorder
from deepstream.reference_file import ReferenceFile
from deepstream.reporter import Reporter, no_picture
from deepstream.snapshots import FRAME_QUALITY, Snapshots
from deepstream.telemetry import TelemetryTeller
from deepstream.views import CameraView, Views
from deepstream.watchdog import WatchedEncoder
from ropewatch.budget import Budget
from ropewatch.errors import SettingsError
from ropewatch.labels import check_person_class, read_detector_labels
from ropewatch.lint.check import site_configs
from ropewatch.lint.config import Config
from ropewatch.monitor import SourceMonitor
from ropewatch.nvinfer_keys import PGIE_ID, SGIE_ID
from ropewatch.settings import SiteSettings
from ropewatch.topics import client_id
from ropewatch.view import ViewWatch
from ropewatch.wire import Wire


@dataclass(frozen=True, slots=True)
class Voice:
    """Everything that carries decisions out of the box."""

    wire: Wire
    outbox: Outbox
    publisher: Publisher
    reporter: Reporter
    recorder: Recorder | None
    dispatcher: Dispatcher
    snapshots: Snapshots | None
    encoder: WatchedEncoder | None


@dataclass(frozen=True, slots=True)
class App:
    """Everything that one run consists of."""

    site: SiteSettings
    graph: Graph
    smooth: SmoothStage
    voice: Voice
    health: Health
    telemetry: TelemetryTeller
    commander: Commander | None
    views: Views


def compose(site: SiteSettings, backend: Backend) -> App:
    """Build all parts of a run and join them.

    Raises:
        RopewatchError: a file or a setting does not fit.
    """
    # What a command changes has no part in it: who wants a view learnt anew says so.
    view_keys = {source.id: source.view_key() for source in site.sources}
    changes = Changes(state_dir(site), site)
    if site.mqtt.commands is not None:
        site = changes.applied()
    detector, classifier = _read_configs(site, backend)
    versions = _check_device_files(site, detector, classifier, backend)
    versions["config"] = site.digest()
    if site.video.annotated_file is not None:
        _make_folder(site.video.annotated_file, key="video.annotated_file")
    door = MetaDoor(
        backend.pyds,
        person_class_id=site.detector.person_class_id,
        pgie_id=PGIE_ID,
        sgie_id=SGIE_ID,
    )
    classifying = make_classifying(site, classifier, door)
    voice = _make_voice(site, backend, {**versions, **classifying.versions})
    smooth = _make_smooth(site, voice, door, classifying)
    stages: dict[str, Stage | BatchStage] = {**classifying.stages, "smooth": smooth}
    if voice.snapshots is not None:
        stages["snapshot"] = voice.snapshots
    plan = make_plan(site)
    graph = build_graph(plan, stages, door.frames)
    views = _make_views(site, plan, graph, view_keys)
    smooth.view = views.view
    commander = _make_commander(site, voice, smooth, changes)
    health = _make_health(
        site, graph, smooth, voice, commander=commander, budget=classifying.budget, views=views
    )
    telemetry = _make_telemetry(site, voice, health, classifying.budget)
    return App(site, graph, smooth, voice, health, telemetry, commander, views)


def _read_configs(site: SiteSettings, backend: Backend) -> tuple[Config, Config]:
    """Check both nvinfer configs and their labels; return the detector's and the classifier's."""
    detector, classifier = site_configs(site)
    refuse_faults((detector, classifier), on_device=backend.name == "deepstream")
    labels_file = detector.file("labelfile-path")
    check_person_class(
        labels_file, read_detector_labels(labels_file), site.detector.person_class_id
    )
    _require_file(site.tracker.ll_config_file, "tracker.ll_config_file")
    return detector, classifier


def _check_device_files(
    site: SiteSettings,
    detector: Config,
    classifier: Config,
    backend: Backend,
) -> dict[str, str]:
    """Refuse what NVIDIA's elements would only fail on, or run unseen; return model versions."""
    on_device = backend.name == "deepstream"
    if on_device:
        # The stand-ins say it better themselves; NVIDIA's elements only that they failed.
        _require_file(Path(site.tracker.ll_lib_file), "tracker.ll_lib_file")
    models = {"detector": detector, "classifier": classifier}
    return model_versions(models, on_device=on_device)


def _make_voice(site: SiteSettings, backend: Backend, versions: Mapping[str, str]) -> Voice:
    outbox = Outbox(state_dir(site), site.mqtt.outbox)
    wire = Wire(site=site.site, box=site.box, boot_id=outbox.boot_id, versions=versions)
    publisher = Publisher(
        site.mqtt, outbox, client_id=client_id(site.site, site.box), will=wire.will()
    )
    encoder = _make_encoder(site, backend)
    snapshots = None
    if encoder is not None:
        snapshots = Snapshots(
            encoder,
            site.snapshots,
            sources=len(site.sources),
            settle=lambda: dispatcher.settle(),  # noqa: PLW0108 - it is made of what we make here
        )
    home = site.mqtt.home_assistant
    if home is not None:
        publisher.listen(Birth(home.birth_topic, outbox))
    reporter = Reporter(
        wire,
        outbox,
        backend=backend.name,
        versions=versions,
        status_every_s=site.health.status_every_s,
        discovery_prefix=None if home is None else home.discovery_prefix,
        pictures=no_picture if snapshots is None else snapshots.take,
    )
    recorder = None if site.recording is None else Recorder(site.recording)
    handlers: list[Handler] = [reporter] if recorder is None else [reporter, recorder]
    dispatcher = Dispatcher(handlers)
    return Voice(wire, outbox, publisher, reporter, recorder, dispatcher, snapshots, encoder)


def _make_encoder(site: SiteSettings, backend: Backend) -> WatchedEncoder | None:
    if not site.snapshots.enabled:
        return None
    return WatchedEncoder(
        lambda: FrameEncoder(backend.pyds, quality=FRAME_QUALITY), state_dir(site)
    )


def _make_smooth(
    site: SiteSettings, voice: Voice, door: MetaDoor, classifying: Classifying
) -> SmoothStage:
    source_ids = tuple(source.id for source in site.sources)
    new_id = IncidentIds(voice.outbox.boot_id)
    return SmoothStage(
        door=door,
        scores=classifying.scores,
        source_ids=source_ids,
        monitors=tuple(SourceMonitor(name, site, new_id) for name in source_ids),
        sink=voice.dispatcher,
        frame_wh_px=(site.muxer.width_px, site.muxer.height_px),
        draw=site.video.annotated_file is not None,
        spreads=classifying.spreads,
        snapshots=voice.snapshots,
    )


def _make_views(
    site: SiteSettings, plan: Plan, graph: Graph, view_keys: Mapping[str, str]
) -> Views:
    cameras, folder = {}, state_dir(site) / "views"
    for spec in plan.views:
        file = ReferenceFile(folder, spec.camera, view_keys[spec.camera])
        watch = ViewWatch(site.judging(spec.camera).view, file.read())
        cameras[spec.index] = CameraView(spec, graph.mux_pads[spec.index], watch, file)
    return Views(cameras)


def _make_commander(
    site: SiteSettings, voice: Voice, smooth: SmoothStage, changes: Changes
) -> Commander | None:
    if site.mqtt.commands is None:
        return None
    audit = Audit(state_dir(site))
    commander = Commander(
        site, voice.wire, voice.outbox, smooth, voice.snapshots, changes=changes, audit=audit
    )
    voice.publisher.listen(commander)
    return commander


def _make_health(
    site: SiteSettings,
    graph: Graph,
    smooth: SmoothStage,
    voice: Voice,
    *,
    commander: Commander | None,
    budget: Budget | None,
    views: Views,
) -> Health:
    now_s, picture, clock = time.monotonic(), graph.picture, ClockDoubt()
    return Health(
        cameras=tuple(
            CameraHealth(source.id, started_s=now_s, live=is_live(source.uri))
            for source in site.sources
        ),
        counts=lambda: [
            Counts(
                frames=smooth.frames[index],
                seen=smooth.seen[index],
                judged=smooth.judged[index],
                gaps=smooth.gaps[index],
                passed_over=smooth.spreads[index].passed_over if smooth.spreads else 0,
                overdue=smooth.spreads[index].overdue if smooth.spreads else 0,
                is_behind=budget is not None and budget.is_short,
                lasting=smooth.lasting[index],
                too_small=smooth.too_small[index],
                view=views.condition(index),
            )
            for index in range(len(site.sources))
        ],
        blind_after_s=site.health.blind_after_s,
        counters=_counters(graph, smooth, voice, commander),
        conditions=lambda: [
            *voice.outbox.troubles(),
            *(voice.encoder.troubles() if voice.encoder else ()),
            *(picture.troubles() if picture else ()),
            *clock.troubles(),
            *voice.publisher.troubles(),
            *(commander.troubles() if commander else ()),
            *views.troubles(),
        ],
    )


def _counters(
    graph: Graph, smooth: SmoothStage, voice: Voice, commander: Commander | None
) -> dict[str, Callable[[], int]]:
    probes, dispatched, posted = graph.probes, voice.dispatcher.counters, voice.outbox.counters
    picture, snapshots = graph.picture, voice.snapshots
    return {
        "failed_frames": lambda: sum(probe.failed_frames for probe in probes.values()),
        "frames_without_time": lambda: smooth.frames_without_time,
        "abandoned_frames": lambda: smooth.scores.abandoned,
        "dropped_frames": lambda: dispatched.dropped_frames,
        "failed_handlers": lambda: dispatched.failed,
        "dropped_pictures": lambda: picture.dropped if picture else 0,
        "dropped_updates": lambda: posted.dropped[Lane.UPDATE],
        "missed_snapshots": lambda: snapshots.missed if snapshots else 0,
        "snapshots_over_limit": lambda: snapshots.over_limit if snapshots else 0,
        "dropped_snapshots": lambda: posted.dropped[Lane.SNAPSHOT],
        "dropped_telemetry": lambda: posted.dropped[Lane.TELEMETRY],
        "dropped_answers": lambda: posted.dropped[Lane.ANSWER],
        "lost_messages": lambda: posted.lost,
        "refused_messages": lambda: posted.refused,
        "unrecovered_incidents": lambda: voice.reporter.unrecovered,
        "databases_set_aside": lambda: voice.outbox.databases_set_aside,
        "dropped_commands": lambda: commander.dropped if commander else 0,
        "unaudited_commands": lambda: commander.unaudited if commander else 0,
        "broker_refusals": lambda: voice.publisher.refusals,
        "session_takeovers": lambda: voice.publisher.takeovers,
    }


def _make_telemetry(
    site: SiteSettings, voice: Voice, health: Health, budget: Budget | None
) -> TelemetryTeller:
    names = [source.id for source in site.sources]
    return TelemetryTeller(
        voice.wire,
        voice.outbox,
        counts=lambda: dict(zip(names, health.counts(), strict=True)),
        counters=health.read,
        state_dir=state_dir(site),
        every_s=site.health.telemetry_every_s,
        budget=budget,
    )


def state_dir(site: SiteSettings, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for what has to outlive a restart, of this box alone.

    Raises:
        SettingsError: none is set, and there is no home to take instead.
    """
    if site.state_dir is not None:
        return site.state_dir
    # systemd makes and names it with StateDirectory=; several are divided by colons.
    base = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    base = base or environment.get("XDG_STATE_HOME", "")
    try:
        home = Path(base) if base else Path("~/.local/state").expanduser()
    except RuntimeError:
        raise SettingsError(
            "state_dir: not set, and this user has no home, want a folder that outlives a "
            "restart; set state_dir"
        ) from None
    return home / "ropewatch" / f"{site.site}-{site.box}"


def _make_folder(file: Path, *, key: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{key}: {file.parent}: {error.strerror}, want a folder that can be written; "
            "correct the path"
        ) from None


def _require_file(file: Path, key: str) -> None:
    if not file.is_file():
        raise SettingsError(f"{key}: {file}: no such file; correct the path in the site file")
