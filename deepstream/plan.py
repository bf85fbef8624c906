"""The graph as plain data: every element, property, link and probe, before anything starts.

The plan is the same for both backends; what differs between a laptop and a Jetson is the
site file and the nvinfer configs that it names.
"""

import itertools
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ropewatch.nvinfer_keys import PGIE_ID, SGIE_ID
from ropewatch.reference import HEIGHT_PX, WIDTH_PX
from ropewatch.settings import SiteSettings, SourceSettings, VideoSettings

PropertyValue = str | int | bool

# Deep enough to overlap decoding with inference, shallow enough that a box is judged within
# a few frames of being seen.
QUEUE_MAX_BUFFERS: Final = 4
RTP_TCP: Final = 4
RTP_ANY: Final = 7
NVMM: Final = "video/x-raw(memory:NVMM)"
# What a power cut may cost of the annotated video.
FRAGMENT_MS: Final = 1000
LEAK_OLD: Final = 2  # queue's leaky=downstream
UNBUFFERED: Final = 2  # filesink's buffer-mode
FORMAT_TIME: Final = 3  # GstFormat


@dataclass(frozen=True, slots=True)
class ElementSpec:
    """One element: its name in the pipeline, its factory and the properties set on it."""

    name: str
    factory: str
    properties: dict[str, PropertyValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """A link between two elements; a named pad is requested or waited for."""

    upstream: str
    downstream: str
    downstream_pad: str | None = None
    upstream_is_dynamic: bool = False


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """A buffer probe: which stage sits on which pad of which element."""

    stage: str
    element: str
    pad: str


@dataclass(frozen=True, slots=True)
class ViewSpec:
    """The small pipeline, beside the graph, that one camera's picture is looked at with.

    Attributes:
        camera: its name.
        index: position of the source; its frames are taken at that sink pad of the muxer.
        elements: linked in their order.
    """

    camera: str
    index: int
    elements: tuple[ElementSpec, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole graph. Probes on one pad run in the order given.

    Attributes:
        picture: names of the elements behind the tee that make the annotated video, in their
            order. The first of them keeps what fails in the others from the trunk.
        judging: what the smooth stage goes by, for each camera: plain data by section.
        views: of the cameras whose pictures are looked at.
    """

    elements: tuple[ElementSpec, ...]
    links: tuple[LinkSpec, ...]
    probes: tuple[ProbeSpec, ...]
    picture: tuple[str, ...] = ()
    judging: dict[str, dict[str, Any]] = field(default_factory=dict)
    views: tuple[ViewSpec, ...] = ()

    def element(self, name: str) -> ElementSpec:
        """Return the element of that name."""
        return next(element for element in self.elements if element.name == name)


def make_plan(site: SiteSettings) -> Plan:
    """Lay out the graph for a site.

    Args:
        site: settings with absolute paths, as `ropewatch.load` returns them.
    """
    sources = tuple(_source(index, source) for index, source in enumerate(site.sources))
    trunk = (
        _muxer(site),
        _nvinfer("pgie", site.detector.config_file, PGIE_ID, batch_size=len(site.sources)),
        _queue("queue-tracker"),
        _tracker(site),
        _queue("queue-sgie"),
        _nvinfer("sgie", site.classifier.config_file, SGIE_ID),
        _queue("queue-out"),
        *((ElementSpec("split", "tee"),) if site.video.annotated_file is not None else ()),
        ElementSpec(
            "sink", "fakesink", {"sync": False, "async": False, "enable-last-sample": False}
        ),
    )
    picture = _picture(site)
    into_mux = tuple(
        LinkSpec(source.name, "mux", downstream_pad=f"sink_{index}", upstream_is_dynamic=True)
        for index, source in enumerate(sources)
    )
    behind_mux = (trunk, (trunk[-2], *picture)) if picture else (trunk,)
    along = tuple(
        LinkSpec(left.name, right.name)
        for elements in behind_mux
        for left, right in itertools.pairwise(elements)
    )
    probes = _classifier_probes(site)
    if site.snapshots.enabled:
        # Behind a queue: who waits for the JPEG encoder is a thread that has nothing else to do.
        probes.append(ProbeSpec("snapshot", "queue-out", "src"))
    return Plan(
        elements=(*sources, *trunk, *picture),
        links=(*into_mux, *along),
        probes=tuple(probes),
        picture=tuple(element.name for element in picture),
        judging={source.id: _judging(site, source.id) for source in site.sources},
        views=tuple(
            _view(index, source.id)
            for index, source in enumerate(site.sources)
            if site.judging(source.id).view.enabled
        ),
    )


def _classifier_probes(site: SiteSettings) -> list[ProbeSpec]:
    """Return the probes around the classifier; its queue tells only where sources do not wait."""
    live = any(is_live(source.uri) for source in site.sources)
    crops = site.classifier.mode == "crop"
    wanted = {
        ProbeSpec("arrive", "queue-sgie", "sink"): live,
        ProbeSpec("spread", "sgie", "sink"): live or has_own_budget(site),
        ProbeSpec("expand", "sgie", "sink"): crops,
        ProbeSpec("restore", "sgie", "src"): crops,
        ProbeSpec("smooth", "sgie", "src"): True,
    }
    return [probe for probe, is_wanted in wanted.items() if is_wanted]


def has_own_budget(site: SiteSettings) -> bool:
    """Say whether the site itself says how many people of a frame are judged."""
    return isinstance(site.classifier.max_crops_per_frame, int)


def _judging(site: SiteSettings, source_id: str) -> dict[str, Any]:
    judging = site.judging(source_id)
    return {
        "smoothing": judging.smoothing.model_dump(mode="json"),
        "decision": judging.decision.model_dump(mode="json"),
        "view": judging.view.model_dump(mode="json"),
        "zones": [zone.model_dump(mode="json") for zone in judging.zones],
    }


def _view(index: int, camera: str) -> ViewSpec:
    """Lay out how a camera's frames become small pictures in the host's memory.

    NV12 is what decoders give and all converters take. An end that comes late, or never, is
    waited for by nobody.
    """
    small = f"video/x-raw, format=NV12, width={WIDTH_PX}, height={HEIGHT_PX}"
    newest: dict[str, PropertyValue] = {"max-buffers": 1, "drop": True}
    free: dict[str, PropertyValue] = {"sync": False, "async": False, "enable-last-sample": False}
    elements = (
        ElementSpec(f"view-in-{camera}", "appsrc", {"format": FORMAT_TIME}),
        # Linear: by default it takes single pixels, whose noise passes for edges in a cover.
        ElementSpec(f"view-convert-{camera}", "nvvideoconvert", {"interpolation-method": 1}),
        _caps(f"view-caps-{camera}", small),
        ElementSpec(f"view-out-{camera}", "appsink", newest | free),
    )
    return ViewSpec(camera, index, elements)


def is_live(uri: str) -> bool:
    """Say whether a source runs in real time whether we keep up or not."""
    return uri.lower().startswith(("rtsp://", "rtsps://"))


def is_reconnected(source: SourceSettings) -> bool:
    """Say whether nvurisrcbin opens a source again: rtsp:// alone, by its source, not rtsps://."""
    return source.uri.startswith("rtsp://") and source.rtsp_reconnect_interval_s > 0


def source_uri(source: SourceSettings) -> str:
    """Return the URI of a source; a path to a file becomes a file:// URI."""
    return source.uri if "://" in source.uri else Path(source.uri).absolute().as_uri()


def _source(index: int, source: SourceSettings) -> ElementSpec:
    properties: dict[str, PropertyValue] = {
        "uri": source_uri(source),
        "source-id": index,
        "file-loop": source.loop,
    }
    if is_live(source.uri):
        properties |= {
            "rtsp-reconnect-interval": source.rtsp_reconnect_interval_s,
            "init-rtsp-reconnect-interval": source.rtsp_reconnect_interval_s,
            "latency": source.latency_ms,
            "select-rtp-protocol": RTP_TCP if source.select_rtp_protocol == "tcp" else RTP_ANY,
        }
    return ElementSpec(f"source-{source.id}", "nvurisrcbin", properties)


def _muxer(site: SiteSettings) -> ElementSpec:
    # A batch never waits for a dead camera: the timeout is one frame of the fastest one.
    properties: dict[str, PropertyValue] = {
        "batch-size": len(site.sources),
        "width": site.muxer.width_px,
        "height": site.muxer.height_px,
        "batched-push-timeout": round(1e6 / site.muxer.fps),
        "live-source": any(is_live(source.uri) for source in site.sources),
    }
    return ElementSpec("mux", "nvstreammux", properties)


def _nvinfer(
    name: str, config_file: Path, unique_id: int, batch_size: int | None = None
) -> ElementSpec:
    properties: dict[str, PropertyValue] = {
        "config-file-path": str(config_file),
        "unique-id": unique_id,
    }
    if batch_size is not None:
        properties["batch-size"] = batch_size
    return ElementSpec(name, "nvinfer", properties)


def _tracker(site: SiteSettings) -> ElementSpec:
    tracker = site.tracker
    properties: dict[str, PropertyValue] = {
        "ll-lib-file": tracker.ll_lib_file,
        "ll-config-file": str(tracker.ll_config_file),
        "tracker-width": tracker.width_px,
        "tracker-height": tracker.height_px,
        "display-tracking-id": False,
    }
    return ElementSpec("tracker", "nvtracker", properties)


def _queue(name: str, *, leaky: int = 0) -> ElementSpec:
    limits: dict[str, PropertyValue] = {
        "max-size-buffers": QUEUE_MAX_BUFFERS,
        "max-size-bytes": 0,
        "max-size-time": 0,
    }
    return ElementSpec(name, "queue", {**limits, "leaky": leaky} if leaky else limits)


def _picture(site: SiteSettings) -> tuple[ElementSpec, ...]:
    """Return the branch that makes the annotated video; empty when none is asked for.

    Nothing that goes wrong in it may reach the tee: errorignore answers what the branch returns,
    and where cameras do not wait the queue lets old pictures go. Files wait, so that their video
    has every picture.
    """
    video = site.video
    if video.annotated_file is None:
        return ()
    live = any(is_live(source.uri) for source in site.sources)
    return (
        ElementSpec("guard", "errorignore", {"convert-to": "ok", "ignore-notlinked": True}),
        _queue("queue-picture", leaky=LEAK_OLD if live else 0),
        _tiler(site),
        ElementSpec("convert-rgba", "nvvideoconvert"),
        _caps("caps-rgba", f"{NVMM}, format=RGBA"),
        # CPU mode: the GPU mode does not exist on every Jetson, and a few boxes are cheap.
        ElementSpec("osd", "nvdsosd", {"process-mode": 0}),
        ElementSpec("convert-encoder", "nvvideoconvert"),
        *_encoder(video, max(1, round(site.muxer.fps * FRAGMENT_MS / 1000))),
        ElementSpec("parse", "h264parse"),
        # In fragments: it can be played up to the last one, however the process ends.
        ElementSpec("container", "mp4mux", {"fragment-duration": FRAGMENT_MS}),
        ElementSpec(
            "file",
            "filesink",
            {
                "location": str(video.annotated_file),
                "buffer-mode": UNBUFFERED,
                "sync": False,
                "async": False,
            },
        ),
    )


def _tiler(site: SiteSettings) -> ElementSpec:
    """Lay the cameras out in a near square of tiles that keep the frame's shape."""
    columns = math.ceil(math.sqrt(len(site.sources)))
    rows = math.ceil(len(site.sources) / columns)
    tile_height_px = site.video.width_px / columns * site.muxer.height_px / site.muxer.width_px
    properties: dict[str, PropertyValue] = {
        "rows": rows,
        "columns": columns,
        "width": site.video.width_px,
        "height": 2 * round(rows * tile_height_px / 2),
    }
    return ElementSpec("tiler", "nvmultistreamtiler", properties)


def _encoder(video: VideoSettings, key_every: int) -> tuple[ElementSpec, ...]:
    # A fragment begins with a key frame, so these must come as often.
    if video.encoder == "software":
        return (
            _caps("caps-encoder", "video/x-raw, format=I420"),
            ElementSpec(
                "encoder",
                "x264enc",
                {
                    "bitrate": video.bitrate_kbps,
                    "speed-preset": "ultrafast",
                    "tune": "zerolatency",
                    "key-int-max": key_every,
                },
            ),
        )
    return (
        _caps("caps-encoder", f"{NVMM}, format=NV12"),
        ElementSpec(
            "encoder",
            "nvv4l2h264enc",
            {"bitrate": video.bitrate_kbps * 1000, "iframeinterval": key_every},
        ),
    )


def _caps(name: str, caps: str) -> ElementSpec:
    return ElementSpec(name, "capsfilter", {"caps": caps})
