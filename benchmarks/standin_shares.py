"""Where the time of the stand-ins goes: decoding, scaling, preprocessing, inference, Python.

Run from the checkout: python -m benchmarks.standin_shares
The demo's graph on the demo's clips; with --detector also that model (a YOLO11n at 640x384 made by
`ropewatch export detector`) on --clip. Without a broker: messages go nowhere.

Inference is counted by wall time, as the share in which at least one model runs; all else by the
processor time of its thread, for each frame. Time in functions that call each other is counted
once, for the innermost.

Decoding is the time of the threads that the sources' demuxers, parsers and decoders make: those
that are neither the interpreter's nor a queue of the graph, and never reach the muxer. Scaling is
the time of the threads that bring frames to the muxer, without what the stand-ins' Python takes
there: conversion and scaling in C, and what of the decoder runs in them. The rest is what of the
process's time is in none of these: GStreamer itself, PyGObject, the writing of state, the start.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
WANT_SHARE = 0.9
WANT_MS = 1.0
INFERENCE, PREPROCESSING, STAND_INS, OURS = "inference", "preprocessing", "stand-ins", "ours"
KINDS = (INFERENCE, PREPROCESSING, STAND_INS, OURS)
DECODING, SCALING = "decoding", "scaling in C"
LOOK_EVERY_S = 0.05


class Shares:
    """Collects processor time by kind, and when inference ran."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(KINDS, 0.0)
        self.spans: list[tuple[float, float]] = []
        self.counts: Counter[str] = Counter()
        self.of_thread: defaultdict[int, float] = defaultdict(float)
        self.sources: set[int] = set()
        self._lock = threading.Lock()
        self._local = threading.local()

    def wrap(self, owner: type, name: str, kind: str) -> None:
        """Charge a method's own time to a kind."""
        inner: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(inner)
        def timed(*args: Any, **keys: Any) -> Any:
            return self._timed(kind, functools.partial(inner, *args, **keys))

        setattr(owner, name, timed)

    def wrap_steps(self, owner: type, name: str, kind: str) -> None:
        """Charge a generator's own time to a kind."""
        inner: Callable[..., Iterator[Any]] = getattr(owner, name)

        @functools.wraps(inner)
        def timed(*args: Any) -> Iterator[Any]:
            steps = inner(*args)
            ended = object()
            while (step := self._timed(kind, lambda: next(steps, ended))) is not ended:
                yield step

        setattr(owner, name, timed)

    def _timed(self, kind: str, work: Callable[[], Any]) -> Any:
        stack = self._local.__dict__.setdefault("stack", [])
        began, inside = time.perf_counter(), [0.0]
        before_s = time.thread_time()
        stack.append(inside)
        try:
            return work()
        finally:
            spent_s = time.thread_time() - before_s
            stack.pop()
            if stack:
                stack[-1][0] += spent_s
            with self._lock:
                self.seconds[kind] += spent_s - inside[0]
                self.of_thread[threading.get_native_id()] += spent_s - inside[0]
                if kind == INFERENCE:
                    self.spans.append((began, time.perf_counter()))


class Threads(threading.Thread):
    """Looks at the processor time of each thread of this process, also of those that end."""

    def __init__(self) -> None:
        super().__init__(name="threads", daemon=True)
        self._own = Path("/proc/self/comm").read_text().strip()
        self._seconds: dict[int, tuple[str, float]] = {}
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Look until asked to stop."""
        while not self._stop_asked.wait(LOOK_EVERY_S):
            for task in Path("/proc/self/task").iterdir():
                try:
                    name = (task / "comm").read_text().strip()
                    on_cpu_ns = int((task / "schedstat").read_text().split()[0])
                except OSError:
                    continue
                self._seconds[int(task.name)] = name, on_cpu_ns / 1e9

    def split(self, shares: Shares) -> dict[str, float]:
        """Stop, and return the seconds of decoding and of scaling."""
        self._stop_asked.set()
        self.join()
        seconds = {DECODING: 0.0, SCALING: 0.0}
        for thread, (name, spent_s) in self._seconds.items():
            if thread in shares.sources:
                seconds[SCALING] += max(0.0, spent_s - shares.of_thread[thread])
            elif name != self._own and not name.startswith(("queue-", "gmain")):
                seconds[DECODING] += spent_s
        return seconds


def running_s(spans: list[tuple[float, float]]) -> float:
    """Length of the time in which at least one span is under way."""
    total, end = 0.0, 0.0
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def watch(site_file: Path) -> dict[str, Any]:
    """Run a site in this process and return what was counted."""
    from deepstream.backend import BackendChoice, load_backend  # noqa: PLC0415 - registers elements

    load_backend(BackendChoice.CPU)
    shares = _instrument()
    from deepstream.app import run_site  # noqa: PLC0415
    from ropewatch.load import load_site  # noqa: PLC0415

    threads = Threads()
    threads.start()
    before_s = time.process_time()
    code = run_site(load_site(site_file), backend="cpu")
    process_s = time.process_time() - before_s
    seconds = threads.split(shares) | shares.seconds
    frames, persons = shares.counts["frames"], shares.counts["persons"]
    wall_s = max(stop for _, stop in shares.spans) - min(start for start, _ in shares.spans)
    return {
        "code": code,
        "frames": frames,
        "persons": persons,
        "wall_s": wall_s,
        "inference_share": running_s(shares.spans) / wall_s,
        "ms_a_frame": {kind: 1000 * spent_s / frames for kind, spent_s in seconds.items()},
        "rest_ms_a_frame": 1000 * (process_s - sum(seconds.values())) / frames,
    }


def _instrument() -> Shares:
    from deepstream.dispatcher import Dispatcher  # noqa: PLC0415
    from deepstream.probes.guard import GuardedProbe  # noqa: PLC0415
    from plugins.standin.elements.mux_core import MuxCore  # noqa: PLC0415
    from plugins.standin.nvinfer.inference import Inference  # noqa: PLC0415
    from plugins.standin.nvinfer.preprocess import Preprocessor  # noqa: PLC0415
    from plugins.standin.nvinfer.session import Session  # noqa: PLC0415
    from plugins.standin.nvtracker.element import NvTracker  # noqa: PLC0415

    shares = Shares()
    finish = Inference.finish

    def counted(self: Inference, pending: Any) -> None:
        name = "persons" if self.config.on_objects else "frames"
        shares.counts[name] += len(pending.units)
        finish(self, pending)

    Inference.finish = counted  # type: ignore[method-assign]
    shares.wrap(Session, "run", INFERENCE)
    shares.wrap(Preprocessor, "fill", PREPROCESSING)
    shares.wrap_steps(Inference, "prepare", STAND_INS)
    shares.wrap(Inference, "finish", STAND_INS)
    shares.wrap(NvTracker, "on_batch", STAND_INS)
    on_buffer = MuxCore.on_buffer

    def noted(self: MuxCore, pad: Any, buffer: Any) -> Any:
        shares.sources.add(threading.get_native_id())
        return on_buffer(self, pad, buffer)

    MuxCore.on_buffer = noted  # type: ignore[method-assign]
    shares.wrap(MuxCore, "on_buffer", STAND_INS)
    shares.wrap(MuxCore, "_step", STAND_INS)
    # With the functions of the stand-in pyds that they call.
    shares.wrap(GuardedProbe, "__call__", OURS)
    shares.wrap(Dispatcher, "_hand_over", OURS)
    return shares


def demo_site(folder: Path) -> dict[str, Any]:
    """Return the demo's settings, without its painted video."""
    site: dict[str, Any] = yaml.safe_load((ROOT / "configs/dev-cpu.yaml").read_text())
    site.pop("video", None)
    for source in site["sources"]:
        source["uri"] = str((ROOT / "configs" / source["uri"]).resolve())
    for section in ("detector", "classifier"):
        site[section]["config_file"] = str(ROOT / "configs" / site[section]["config_file"])
    site["tracker"]["ll_config_file"] = str(ROOT / "configs" / site["tracker"]["ll_config_file"])
    site["state_dir"] = str(folder / "state")
    return site


def large_site(folder: Path, detector: Path, clip: Path) -> dict[str, Any]:
    """Return settings for a detector of one's own on one clip, with the demo's classifier."""
    site = demo_site(folder)
    site["sources"] = [{"id": "clip", "uri": str(clip.resolve())}]
    shipped = ROOT / "configs/nvinfer/yolo11n_person.txt"
    lines = shipped.read_text().replace("../..", str(ROOT)).replace("../", f"{ROOT}/configs/")
    kept = [
        f"onnx-file={detector.resolve()}" if line.startswith("model-engine-file=") else line
        for line in lines.splitlines()
    ]
    config = folder / "detector.txt"
    config.write_text("\n".join(kept) + "\n")
    site["detector"]["config_file"] = str(config)
    return site


def measure(title: str, site: dict[str, Any], folder: Path) -> bool:
    """Run a site in a process of its own and print its shares; say whether they are as wanted."""
    file = folder / "site.yaml"
    file.write_text(yaml.safe_dump(site))
    command = [sys.executable, "-m", "benchmarks.standin_shares", "--site", str(file)]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(ran.stdout.splitlines()[-1])
    frames, share = found["frames"], found["inference_share"]
    print(
        f"{title}: {frames} frames, {found['persons'] / frames:.1f} persons a frame, "
        f"{frames / found['wall_s']:.1f} frames/s on {len(os.sched_getaffinity(0))} cores"
    )
    print(f"  wall time in which a model runs: {share:.0%}, want {WANT_SHARE:.0%}")
    for kind, milliseconds in found["ms_a_frame"].items():
        wanted = f", want at most {WANT_MS:g}" if kind == OURS else ""
        print(f"  {kind:14} {milliseconds:7.2f} ms a frame{wanted}")
    print(f"  {'rest':14} {found['rest_ms_a_frame']:7.2f} ms a frame")
    return bool(share >= WANT_SHARE and found["ms_a_frame"][OURS] <= WANT_MS)


def main() -> int:
    """Print the shares; 1 when one is not as wanted."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--detector", type=Path, help="an ONNX of 640x384; default: not measured")
    parser.add_argument("--clip", type=Path, default=ROOT / "demo/clips/site-a.mp4")
    parser.add_argument("--site", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.site is not None:
        print(json.dumps(watch(args.site)))
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = [measure("demo", demo_site(folder), folder)]
        if args.detector is None:
            print("YOLO11n at 640x384: not measured; make one and give --detector")
        else:
            site = large_site(folder, args.detector, args.clip)
            good.append(measure(args.detector.stem, site, folder))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
