"""The new muxer's config file: every key is honoured or named, and what the honoured ones do."""

import time
from pathlib import Path
from typing import Any

import pytest

from plugins.standin.elements.mux_batching import NewBatching
from plugins.standin.elements.mux_config import load_mux_config
from plugins.standin.gst import Gst
from tests.standin.pipelines import Feed, Run, wait_for, watch

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

INI = """[property]
algorithm-type=2
batch-size=3
adaptive-batching=0
max-same-source-frames=2
max-fps-control=1
overall-max-fps-n=10
overall-max-fps-d=1
overall-min-fps-n=5
overall-min-fps-d=2
enable-source-rate-control=1
[source-config-1]
priority=4
max-fps-n=15
max-fps-d=2
"""


def test_every_key_that_has_an_effect_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mux.txt"
    file.write_text(INI)

    config = load_mux_config(file)

    assert (config.batch_size, config.adaptive, config.round_robin) == (3, False, False)
    assert (config.same_source, config.max_fps, config.min_fps) == (2, 10.0, 2.5)
    assert (config.priorities, config.source_max_fps) == ({1: 4}, {1: 7.5})
    assert config.notes == ()


def test_yaml_says_the_same_as_ini(tmp_path: Path) -> None:
    (tmp_path / "mux.txt").write_text(INI)
    lines = (line.replace("=", ": ") for line in INI.splitlines())
    text = "\n".join(f"{x[1:-1]}:" if x.startswith("[") else f"  {x}" for x in lines)
    (tmp_path / "mux.yml").write_text(text)

    assert load_mux_config(tmp_path / "mux.yml") == load_mux_config(tmp_path / "mux.txt")


def test_an_empty_file_has_the_parsers_defaults(tmp_path: Path) -> None:
    file = tmp_path / "mux.txt"
    file.write_text("[property]\n")

    config = load_mux_config(file)

    assert (config.batch_size, config.adaptive, config.round_robin) == (0, True, True)
    assert (config.same_source, config.max_fps, config.min_fps) == (1, None, 5.0)
    assert (config.priorities, config.source_max_fps) == ({}, None)


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("[property]\nmax-fps=3", "Unknown key 'max-fps' for group [property]"),
        ("[property]\nbatch-size=four", "batch-size=four is no integer, 0 holds"),
        ("[source-config-0]\nspeed=3", "Unknown key 'speed' for group [source-config-0]"),
        ("[source-config-0]\nmin-fps-n=10", "min-fps-n=10 has no effect, nor has it in the muxer"),
        (
            "[source-config-0]\nmax-num-frames-per-batch=4",
            "max-num-frames-per-batch=4 has no effect",
        ),
    ],
)
def test_a_key_without_effect_is_named(tmp_path: Path, line: str, note: str) -> None:
    file = tmp_path / "mux.txt"
    file.write_text(line + "\n")

    notes = load_mux_config(file).notes

    assert len(notes) == 1
    assert note in notes[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "want a muxer config file; correct it"),
        ("[property]\noverall-min-fps-d=0\n", "overall-min-fps-n/d: 5/0, want both above 0"),
        (None, "want a muxer config file"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "mux.txt"
    if text is not None:
        file.write_text(text)

    with pytest.raises(ValueError, match=said):
        load_mux_config(file)


def test_turns_go_round_a_priority_and_then_to_the_next() -> None:
    batching = NewBatching(4, 30, priorities={0: 5, 3: 5})

    assert batching.turns([0, 1, 2, 3], next_index=2) == [2, 1, 0, 3]
    assert batching.turns([0, 1, 2, 3], next_index=3) == [3, 0, 1, 2]


def test_without_round_robin_the_least_priority_is_first_each_time() -> None:
    batching = NewBatching(4, 30, priorities={0: 5}, round_robin=False)

    assert batching.turns([0, 1, 2], next_index=2) == [1, 2, 0]


class NewMux:
    """A new muxer of two sources, running; with a config file where there are lines for one."""

    def __init__(self, folder: Path, lines: str = "", *, timeout_us: int | None = None) -> None:
        from plugins.standin.elements.nvstreammux import NewNvStreamMux  # noqa: PLC0415  Gst.init

        self.muxer = NewNvStreamMux()
        self.muxer.set_property("batch-size", 2)
        if lines:
            file = folder / "mux.txt"
            file.write_text(f"[property]\n{lines}")
            self.muxer.set_property("config-file-path", str(file))
        if timeout_us is not None:
            self.muxer.set_property("batched-push-timeout", timeout_us)
        self.pipeline, sink = Gst.Pipeline(), Gst.ElementFactory.make("fakesink")
        sink.set_property("async", False)
        for item in (self.muxer, sink):
            self.pipeline.add(item)
        self.muxer.link(sink)
        self.run, self.times_s = Run(), list[float]()
        watch(
            sink.get_static_pad("sink"),
            self.run,
            lambda _batch: self.times_s.append(time.monotonic()),
        )
        self.feeds = [Feed(self.muxer, 0), Feed(self.muxer, 1)]
        self.pipeline.set_state(Gst.State.PLAYING)
        for feed in self.feeds:
            feed.start()
        self.started_s = time.monotonic()

    def push(self, *indices: int) -> None:
        """Push a frame of each source named."""
        for index in indices:
            self.feeds[index].push()

    def came_s(self, index: int, number: int) -> float:
        """Wait for a frame, in whichever batch; return when it was pushed, from the start on."""

        def at() -> int | None:
            batches = enumerate(self.run.batches)
            return next((n for n, batch in batches if (index, number) in batch), None)

        assert wait_for(lambda: at() is not None)
        return self.times_s[at() or 0] - self.started_s


def test_the_files_batch_size_goes_before_the_property(tmp_path: Path, stopper: list[Any]) -> None:
    made = NewMux(tmp_path, "adaptive-batching=0\nbatch-size=1\n")
    stopper.append(made)

    made.push(0, 1)

    assert wait_for(lambda: made.run.batches == [[(0, 0)], [(1, 0)]])


def test_a_partial_batch_waits_for_the_least_rate_of_the_file(
    tmp_path: Path, stopper: list[Any]
) -> None:
    made = NewMux(tmp_path, "overall-min-fps-n=2\n")
    stopper.append(made)
    made.push(0, 1)
    made.came_s(1, 0)

    made.push(0)

    # The parser's own 5 batches a second would push it after 0.2 s.
    assert made.came_s(0, 1) >= 0.5


def test_a_timeout_counts_only_if_set_while_frames_flow(
    tmp_path: Path, stopper: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """What README says with its evidence: configure_module of 9.1's gstnvstreammux.cpp."""
    made = NewMux(tmp_path, timeout_us=20_000)
    stopper.append(made)
    assert "batched-push-timeout is forgotten when the stream starts" in caplog.text
    made.push(0, 1)
    made.came_s(1, 0)

    made.push(0)
    first_s = made.came_s(0, 1)
    made.muxer.set_property("batched-push-timeout", 500_000)
    made.push(0)
    second_s = made.came_s(0, 2)

    # By the parser's 5 batches a second, then by the property's 2.
    assert first_s >= 0.2
    assert second_s >= 0.2 + 0.5


def test_another_file_holds_from_the_next_batch(tmp_path: Path, stopper: list[Any]) -> None:
    made = NewMux(tmp_path, "overall-min-fps-n=1\noverall-min-fps-d=600\n")
    stopper.append(made)
    for feed in made.feeds:
        feed.push()
    assert wait_for(lambda: made.run.batches == [[(0, 0), (1, 0)]])
    made.feeds[0].push()

    file = tmp_path / "other.txt"
    file.write_text("[property]\nadaptive-batching=0\nbatch-size=1\n")
    made.muxer.set_property("config-file-path", str(file))

    # The frame that waited for ten minutes is a full batch now.
    assert wait_for(lambda: made.run.batches[1:] == [[(0, 1)]])


def test_a_file_that_cannot_be_read_while_frames_flow_leaves_the_defaults(
    tmp_path: Path, stopper: list[Any]
) -> None:
    made = NewMux(tmp_path, "overall-min-fps-n=1\noverall-min-fps-d=600\n")
    stopper.append(made)
    for feed in made.feeds:
        feed.push()
    assert wait_for(lambda: made.run.batches == [[(0, 0), (1, 0)]])
    made.feeds[0].push()

    made.muxer.set_property("config-file-path", str(tmp_path / "gone.txt"))

    # By the parser's five batches a second.
    assert wait_for(lambda: made.run.batches[1:] == [[(0, 1)]])
    message = made.pipeline.get_bus().pop_filtered(Gst.MessageType.WARNING)
    assert "gone.txt" in message.parse_warning()[0].message


def test_max_fps_control_holds_full_batches_back(tmp_path: Path, stopper: list[Any]) -> None:
    made = NewMux(tmp_path, "max-fps-control=1\noverall-max-fps-n=5\n")
    stopper.append(made)

    for _ in range(3):
        made.push(0, 1)

    assert [made.came_s(1, n) >= n * 0.2 for n in range(3)] == [True] * 3


def test_a_source_over_its_rate_waits_and_the_other_goes_on(
    tmp_path: Path, stopper: list[Any]
) -> None:
    made = NewMux(
        tmp_path,
        "adaptive-batching=0\nbatch-size=1\nenable-source-rate-control=1\n"
        "[source-config-0]\nmax-fps-n=1\nmax-fps-d=2\n",
    )
    stopper.append(made)

    made.push(0, 0, 1)

    assert made.came_s(0, 1) >= 2.0
    assert made.run.batches == [[(0, 0)], [(1, 0)], [(0, 1)]]
