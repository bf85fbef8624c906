"""What the probes do when a stage fails: real graph, one stage replaced by one that raises."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepstream import app
from deepstream.backend import BackendChoice, load_backend
from deepstream.compose import compose
from demo.broker import PrivateBroker
from ropewatch import recording
from ropewatch.incidents import IncidentEvent
from ropewatch.recording import RecordedFrame
from tests.pipeline.tiny_site import make_clip, tiny_site, write_models

pytestmark = [pytest.mark.gst, pytest.mark.broker]

Break = Callable[[Any], None]
Watch = Callable[..., tuple[int, list[RecordedFrame], list[IncidentEvent]]]


@pytest.fixture
def watch(broker: PrivateBroker, tmp_path: Path) -> Watch:
    """Run two cameras in this process after breaking something in the composed app."""
    write_models(tmp_path)
    clip = make_clip(tmp_path / "a.mp4", [("white", 30)])
    site = tiny_site(
        tmp_path,
        {"a": str(clip), "b": str(clip)},
        mqtt={"host": broker.host, "port": broker.port},
        recording=tmp_path / "recording.jsonl",
    )

    def run(
        break_it: Break, **changes: object
    ) -> tuple[int, list[RecordedFrame], list[IncidentEvent]]:
        classifier = site.classifier.model_copy(update=changes)
        changed = site.model_copy(update={"classifier": classifier})
        composed = compose(changed, load_backend(BackendChoice.CPU))
        break_it(composed)
        code = app.run_composed(composed).code
        rows = list(recording.read(tmp_path / "recording.jsonl"))
        frames = [row for row in rows if isinstance(row, RecordedFrame)]
        return code, frames, [row for row in rows if isinstance(row, IncidentEvent)]

    return run


def failing_on_pad_0(stage: Any) -> Any:
    def fail(frame: Any) -> None:
        if frame.pad_index == 0:
            raise RuntimeError("broken on purpose")
        stage(frame)

    return fail


@pytest.mark.parametrize("name", ["expand", "restore", "smooth"])
def test_a_stage_that_fails_for_one_camera_leaves_the_other_judged(
    watch: Watch, name: str
) -> None:
    def break_it(composed: Any) -> None:
        probe = composed.graph.probes[name]
        probe.stage = failing_on_pad_0(probe.stage)

    code, frames, _events = watch(break_it)

    other = [frame for frame in frames if frame.source_id == "b"]
    assert len(other) == 30
    assert all(person.score is not None for frame in other for person in frame.persons)
    assert code == 3


def test_a_person_whose_crop_is_not_known_is_neither_alarmed_nor_cleared(
    watch: Watch,
) -> None:
    def break_it(composed: Any) -> None:
        probe = composed.graph.probes["expand"]
        probe.stage = failing_on_pad_0(probe.stage)

    _code, frames, events = watch(break_it)

    states = {p.state.value for f in frames if f.source_id == "a" for p in f.persons}
    assert states == {"unknown"}
    assert {event.source_id for event in events} == {"b"}


class BrokenSpread:
    def take_batch(self, frames: Any) -> None:
        raise RuntimeError(f"broken on purpose, {len(frames)} frames")


def test_everybody_is_judged_where_nobody_can_be_chosen(watch: Watch) -> None:
    def break_it(composed: Any) -> None:
        composed.graph.probes["spread"].stage = BrokenSpread()

    code, frames, _events = watch(break_it, max_crops_per_frame=1)

    assert len(frames) == 60
    assert all(person.score is not None for frame in frames for person in frame.persons)
    assert code == 3


def test_an_unbroken_run_of_two_cameras_judges_every_frame(
    watch: Watch,
) -> None:
    code, frames, _events = watch(lambda _composed: None)

    assert code == 0
    assert len(frames) == 60
