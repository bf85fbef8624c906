import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from deepstream.plan import Plan, is_reconnected, make_plan
from deepstream.plan_views import to_dot, to_json, to_svg
from ropewatch.settings import SiteSettings
from tests.sites import site

TWO_FILES = [{"id": "a", "uri": "/clips/a.mp4"}, {"id": "b", "uri": "file:///clips/b.mp4"}]


def test_plan_muxes_every_source_at_its_own_pad() -> None:
    plan = make_plan(site(TWO_FILES))

    into_mux = [(link.upstream, link.downstream_pad) for link in plan.links[:2]]
    assert into_mux == [("source-a", "sink_0"), ("source-b", "sink_1")]
    assert plan.element("mux").properties["batch-size"] == 2
    assert plan.element("pgie").properties["batch-size"] == 2


def test_plan_never_waits_longer_than_a_frame_for_a_dead_camera() -> None:
    plan = make_plan(site(TWO_FILES, muxer={"fps": 12.5}))

    assert plan.element("mux").properties["batched-push-timeout"] == 80_000


@pytest.mark.parametrize(
    ("uri", "live"), [("rtsp://cam/1", True), ("RTSPS://cam/1", True), ("/clips/a.mp4", False)]
)
def test_plan_is_live_when_a_source_is(uri: str, live: bool) -> None:
    plan = make_plan(site([{"id": "a", "uri": uri}]))

    assert plan.element("mux").properties["live-source"] is live
    assert ("rtsp-reconnect-interval" in plan.element("source-a").properties) is live


@pytest.mark.parametrize(
    ("uri", "interval_s", "again"),
    [
        ("rtsp://cam/1", 10, True),
        ("rtsp://cam/1", 0, False),
        ("rtsps://cam/1", 10, False),
        ("RTSP://cam/1", 10, False),
        ("/clips/a.mp4", 10, False),
    ],
)
def test_only_rtsp_sources_connect_again(uri: str, interval_s: int, again: bool) -> None:
    made = site([{"id": "a", "uri": uri, "rtsp_reconnect_interval_s": interval_s}])

    assert is_reconnected(made.sources[0]) is again


def test_plan_turns_a_path_into_a_uri() -> None:
    plan = make_plan(site([{"id": "a", "uri": "/clips/a b.mp4"}]))

    assert plan.element("source-a").properties["uri"] == "file:///clips/a%20b.mp4"


def test_plan_expands_before_the_classifier_and_restores_before_smoothing() -> None:
    plan = make_plan(site(TWO_FILES))

    probes = [(probe.stage, probe.element, probe.pad) for probe in plan.probes]
    assert probes == [
        ("expand", "sgie", "sink"),
        ("restore", "sgie", "src"),
        ("smooth", "sgie", "src"),
    ]


def test_plan_in_frame_mode_changes_no_box() -> None:
    frames = {"mode": "frame", "score_label": "a", "alert_when": "below"}
    plan = make_plan(site(TWO_FILES, classifier={"config_file": "/c/f.txt", **frames}))

    probes = [(probe.stage, probe.element, probe.pad) for probe in plan.probes]
    assert probes == [("smooth", "sgie", "src")]
    # Where it stands in crop mode: behind the tracker, whose boxes the head goes by.
    names = [element.name for element in plan.elements]
    assert names == [element.name for element in make_plan(site(TWO_FILES)).elements]


RTSP = [{"id": "a", "uri": "rtsp://cam/1"}, {"id": "b", "uri": "/clips/b.mp4"}]
CROPS = {"config_file": "/c/c.txt", "score_label": "a", "alert_when": "below"}
WATCHES = [("arrive", "queue-sgie", "sink"), ("spread", "sgie", "sink")]


@pytest.mark.parametrize(
    ("mode", "most"),
    [("crop", "auto"), ("crop", "all"), ("crop", 4), ("frame", "auto"), ("frame", "all")],
)
def test_plan_watches_the_classifiers_queue_where_a_source_does_not_wait(
    mode: str, most: str | int
) -> None:
    classifier = {**CROPS, "mode": mode, "max_crops_per_frame": most}
    probes = make_plan(site(RTSP, classifier=classifier)).probes

    assert [(each.stage, each.element, each.pad) for each in probes[:2]] == WATCHES


def test_plan_spreads_on_files_only_what_the_site_limits_itself() -> None:
    stages = {
        most: [each.stage for each in make_plan(_files(most)).probes]
        for most in ("auto", "all", 4)
    }

    assert stages["auto"] == stages["all"] == ["expand", "restore", "smooth"]
    assert stages[4] == ["spread", "expand", "restore", "smooth"]


def _files(most: str | int) -> SiteSettings:
    return site(TWO_FILES, classifier={**CROPS, "max_crops_per_frame": most})


def test_plan_tracks_before_it_expands() -> None:
    factories = [element.factory for element in make_plan(site(TWO_FILES)).elements]

    assert factories.index("nvtracker") < len(factories) - 1 - factories[::-1].index("nvinfer")


@pytest.mark.parametrize(
    ("encoder", "factory"), [("hardware", "nvv4l2h264enc"), ("software", "x264enc")]
)
def test_plan_draws_behind_the_tiler(encoder: str, factory: str) -> None:
    video = {"annotated_file": "/out/a.mp4", "encoder": encoder}

    factories = [e.factory for e in make_plan(site(TWO_FILES, video=video)).elements]

    assert factories.index("nvmultistreamtiler") < factories.index("nvdsosd")
    assert factories.index("nvdsosd") < factories.index(factory) < factories.index("filesink")


def test_plan_keeps_the_video_from_the_watching() -> None:
    video = {"annotated_file": "/out/a.mp4"}

    plan = make_plan(site([{"id": "a", "uri": "rtsp://c/1"}, *TWO_FILES[1:]], video=video))

    names = [element.name for element in plan.elements]
    links = [(link.upstream, link.downstream) for link in plan.links]
    assert [down for up, down in links if up == "split"] == ["sink", plan.picture[0]]
    assert plan.element(plan.picture[0]).factory == "errorignore"
    assert plan.element(plan.picture[1]).properties["leaky"] == 2
    assert all(names.index(probe.element) < names.index("split") for probe in plan.probes)


def test_plan_of_files_loses_no_picture() -> None:
    plan = make_plan(site(TWO_FILES, video={"annotated_file": "/out/a.mp4"}))

    assert "leaky" not in plan.element("queue-picture").properties


def test_plan_of_many_cameras_has_one_trunk() -> None:
    plan = make_plan(site([{"id": f"c{n}", "uri": f"rtsp://c/{n}"} for n in range(16)]))

    factories = [element.factory for element in plan.elements]
    assert factories.count("nvurisrcbin") == 16
    assert factories.count("nvinfer") == 2


@pytest.fixture
def plan() -> Plan:
    return make_plan(site([{"id": "a", "uri": "rtsp://user:secret@cam/1"}, *TWO_FILES[1:]]))


def test_json_view_holds_the_graph_and_what_each_camera_goes_by(plan: Plan) -> None:
    document = json.loads(to_json(plan))

    assert set(document) == {"elements", "links", "views", "probes", "judging"}
    assert document["views"]["b"]["taken_at"] == "mux.sink_1"
    names = {element["name"] for element in document["elements"]}
    assert all(end in names for link in document["links"] for end in link)


@pytest.mark.parametrize("view", [to_json, to_dot, to_svg])
def test_views_never_show_credentials(plan: Plan, view: object) -> None:
    assert callable(view)

    assert "secret" not in view(plan)


def test_svg_view_is_well_formed(plan: Plan) -> None:
    root = ET.fromstring(to_svg(plan))

    texts = "".join(root.itertext())
    assert "pgie (nvinfer)" in texts
    assert "probe expand on sink" in texts


def test_dot_view_names_every_link(plan: Plan) -> None:
    dot = to_dot(plan)

    assert all(f'"{link.upstream}" -> "{link.downstream}"' in dot for link in plan.links)


def test_plan_lists_only_properties_that_deepstream_has() -> None:
    # From gst-inspect-1.0 listings and DeepStream 9.1's sources, for the elements in the plan.
    known = {
        "nvurisrcbin": {
            "uri", "source-id", "file-loop", "rtsp-reconnect-interval",
            "init-rtsp-reconnect-interval", "latency", "select-rtp-protocol",
        },
        "nvstreammux": {"batch-size", "width", "height", "batched-push-timeout", "live-source"},
        "nvinfer": {"config-file-path", "unique-id", "batch-size"},
        "nvtracker": {
            "ll-lib-file", "ll-config-file", "tracker-width", "tracker-height",
            "display-tracking-id",
        },
        "nvmultistreamtiler": {"rows", "columns", "width", "height"},
        "nvvideoconvert": set(),
        "nvdsosd": {"process-mode"},
        "nvv4l2h264enc": {"bitrate", "iframeinterval"},
    }  # fmt: skip
    video = {"annotated_file": Path("/out/a.mp4")}
    plan = make_plan(site([{"id": "a", "uri": "rtsp://c/1"}, *TWO_FILES[1:]], video=video))

    for element in plan.elements:
        if element.factory in known:
            assert set(element.properties) <= known[element.factory], element.name


@pytest.mark.parametrize(
    ("cameras", "rows", "columns", "height"), [(1, 1, 1, 720), (2, 1, 2, 360), (5, 2, 3, 480)]
)
def test_tiles_keep_the_shape_of_the_frame(
    cameras: int, rows: int, columns: int, height: int
) -> None:
    sources = [{"id": f"c{n}", "uri": f"/{n}.mp4"} for n in range(cameras)]

    plan = make_plan(site(sources, video={"annotated_file": "/out/a.mp4", "width_px": 1280}))

    assert plan.element("tiler").properties == {
        "rows": rows,
        "columns": columns,
        "width": 1280,
        "height": height,
    }


def test_plan_looks_at_each_camera_s_picture_beside_the_graph_unless_told_not_to() -> None:
    unwanted = {"id": "c", "uri": "/c.mp4", "overrides": {"view": {"enabled": False}}}

    plan = make_plan(site([*TWO_FILES, unwanted]))

    assert [(view.camera, view.index) for view in plan.views] == [("a", 0), ("b", 1)]
    factories = [element.factory for element in plan.views[0].elements]
    assert factories == ["appsrc", "nvvideoconvert", "capsfilter", "appsink"]
    assert not {element.factory for element in plan.elements} & {"tee", "appsrc", "appsink"}


def test_dot_and_svg_show_where_a_picture_is_taken(plan: Plan) -> None:
    assert '"mux" -> "view-in-a" [style=dotted, label="frames taken at mux.sink_0"]' in to_dot(
        plan
    )
    assert "frames taken at mux.sink_1" in to_svg(plan)
