"""Run NVIDIA's Python samples, unmodified, on the stand-ins, and print how each of them went.

`python -m benchmarks.sample_apps CHECKOUT [APP...]`, a checkout of
NVIDIA-AI-IOT/deepstream_python_apps. Those that cannot run yet are tried too, and have to end with
the reason. The checkout is copied to a temporary folder that looks like an
installation, with networks of ours where NVIDIA's are named, a test picture as the film and a real
RTSP server as the camera. Video that a script serves is read by a real RTSP client meanwhile.
"""

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sample_models import write_samples
from tests.rtsp_server import RtspServer

TIMEOUT_S = 150
CAMERA_PORT = 8661
# Where the scripts serve their own video; fixed in them.
SERVED = "rtsp://127.0.0.1:8554/ds-test"
_COMPLAINT = r"^(?:error|Error|[\w.]*BackendError): (.*)|^(\w+Error: .*)"


@dataclass(frozen=True)
class Sample:
    """One script: folder, file, arguments.

    Words in the arguments: {h264} and {uri} are a film of two seconds, {film} one of ten, {out} a
    folder, {camera} an RTSP server that sends the file `camera` to each that connects.
    `stop_after_s` is when Ctrl-C ends a script that would go on for ever.
    """

    folder: str
    script: str
    arguments: str
    camera: str = ""
    serves: bool = False
    stop_after_s: float = TIMEOUT_S


SAMPLES = (
    Sample("deepstream-test1", "deepstream_test_1.py", "{h264}"),
    Sample("deepstream-test1-rtsp-out", "deepstream_test1_rtsp_out.py", "-i {film}", serves=True),
    Sample("deepstream-test2", "deepstream_test_2.py", "{h264}"),
    Sample(
        "deepstream-test3",
        "deepstream_test_3.py",
        "-i {uri} {uri} --pgie nvinfer -c config_infer_primary_peoplenet.txt --no-display",
    ),
    Sample(
        "deepstream-imagedata-multistream",
        "deepstream_imagedata-multistream.py",
        "{uri} {uri} {out}",
    ),
    Sample(
        "deepstream-imagedata-multistream-redaction",
        "deepstream_imagedata-multistream_redaction.py",
        "-i {uri}",
    ),
    Sample(
        "deepstream-rtsp-in-rtsp-out",
        "deepstream_test1_rtsp_in_rtsp_out.py",
        "-i {camera} --rtsp-ts",
        camera="long.mp4",
        serves=True,
        stop_after_s=40,
    ),
    Sample(
        "deepstream-demux-multi-in-multi-out",
        "deepstream_demux_multi_in_multi_out.py",
        "-i {uri} {uri}",
    ),
    Sample("deepstream-custom-binding-test", "deepstream_custom_binding_test.py", "{h264}"),
    # It adds a source every ten seconds up to four, then deletes one every ten seconds.
    Sample(
        "runtime_source_add_delete",
        "deepstream_rt_src_add_del.py",
        "{camera}",
        camera="long.mp4",
    ),
)

NOT_YET = (
    Sample(
        "deepstream-test4",
        "deepstream_test_4.py",
        "-i {h264} -p libnvds_mqtt_proto.so --conn-str localhost;1883 --no-display",
    ),
    Sample("deepstream-nvdsanalytics", "deepstream_nvdsanalytics.py", "{uri}"),
    Sample("deepstream-ssd-parser", "deepstream_ssd_parser.py", "{h264}"),
    Sample(
        "deepstream-segmentation",
        "deepstream_segmentation.py",
        "dstest_segmentation_config_semantic.txt {h264} {out}-classes",
    ),
    Sample("deepstream-segmask", "deepstream_segmask.py", "-i {uri} -o {out}-masks"),
    Sample("deepstream-preprocess-test", "deepstream_preprocess_test.py", "-i {uri}"),
    Sample("deepstream-opticalflow", "deepstream-opticalflow.py", "{uri} {out}-flow"),
    Sample(
        "deepstream-imagedata-multistream-cupy",
        "deepstream_imagedata-multistream_cupy.py",
        "-i {uri}",
    ),
)


@dataclass(frozen=True)
class Row:
    """How one script went; None where nothing was counted."""

    app: str
    frames: dict[str, int] | None
    objects: dict[str, int] | None
    exit: str
    note: str
    complaint: str = ""


def _make_clip(folder: Path, name: str, *, frames: int, fps: int) -> None:
    """Make NAME.h264 and NAME.mp4 of the same frames."""
    subprocess.run(
        f"gst-launch-1.0 -q videotestsrc num-buffers={frames} "
        f"! video/x-raw,width=640,height=360,framerate={fps}/1 "
        "! x264enc key-int-max=10 bframes=0 speed-preset=ultrafast ! tee name=t "
        "! queue ! h264parse ! video/x-h264,stream-format=byte-stream "
        f"! filesink location={folder}/{name}.h264 "
        f"t. ! queue ! h264parse ! mp4mux ! filesink location={folder}/{name}.mp4".split(),
        check=True,
    )


@contextmanager
def _client(out: Path) -> Iterator[None]:
    """Read what a script serves, again and again until there is something, into a log."""
    line = f"rtspsrc location={SERVED} latency=200 ! decodebin ! fakesink silent=false sync=false"
    # One that connects before there is a picture may wait for ever.
    command = f"while true; do timeout 12 gst-launch-1.0 -v {line}; sleep 0.5; done"
    with out.open("w") as log:
        client = subprocess.Popen(
            ["timeout", str(TIMEOUT_S), "bash", "-c", command], stdout=log, stderr=log
        )
        try:
            yield
        finally:
            client.terminate()
            client.wait()


def _run(root: Path, sample: Sample) -> Row:
    camera = RtspServer(root / sample.camera, CAMERA_PORT) if sample.camera else None
    words = {
        "h264": str(root / "clip.h264"),
        "film": str(root / "film.h264"),
        "uri": (root / "clip.mp4").as_uri(),
        "out": str(root / "pictures"),
        "camera": camera.url if camera else "",
    }
    counts, seen = root / "counts.json", root / "client.log"
    counts.unlink(missing_ok=True)
    counter = Path(__file__).parent / "sample_counter.py"
    command = [sys.executable, str(counter), str(counts), sample.script]
    command += [word.format(**words) for word in sample.arguments.split()]
    with camera or nullcontext(), _client(seen) if sample.serves else nullcontext():
        started_s = time.monotonic()
        script = subprocess.Popen(
            command,
            cwd=root / "sources/deepstream_python_apps/apps" / sample.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = _wait(script, sample.stop_after_s)
    notes = [f"{time.monotonic() - started_s:.0f} s"]
    if sample.serves:
        notes.append(f"an RTSP client decoded {seen.read_text().count('chain   *')} pictures")
    if said is None:
        late = f"still running after {TIMEOUT_S} s"
        return Row(sample.folder, None, None, "none", notes[0], late)
    return _row(sample.folder, said, str(script.returncode), counts, notes)


def _wait(script: "subprocess.Popen[str]", stop_after_s: float) -> str | None:
    """Return what a script printed, None when it had to be killed; Ctrl-C ends it in time."""
    try:
        return "".join(script.communicate(timeout=stop_after_s))
    except subprocess.TimeoutExpired:
        script.send_signal(signal.SIGINT)
    try:
        return "".join(script.communicate(timeout=20))
    except subprocess.TimeoutExpired:
        script.kill()
        script.communicate()
        return None


def _row(app: str, said: str, code: str, counts: Path, notes: list[str]) -> Row:
    found = json.loads(counts.read_text()) if counts.exists() else {}
    notes += _changes(said)
    wrong = re.findall(
        r"^(?:error|Error|[\w.]*BackendError): (.*)|^(\w+Error: .*)", said, re.MULTILINE
    )
    # What is wrong stands first, what to do about it behind.
    complaint = "".join(wrong[0]).split(";")[0] if wrong else ""
    return Row(app, found.get("frames"), found.get("objects"), code, "; ".join(notes), complaint)


def _changes(text: str) -> list[str]:
    """Say how many sources were added and deleted while the script ran."""
    added, deleted = len(re.findall("Calling Start", text)), len(re.findall("Calling Stop", text))
    return [f"{added} sources added, {deleted} deleted"] if added or deleted else []


def _shown(counts: dict[str, int] | None) -> str:
    """Write counts by source, as `60 + 60`."""
    return " + ".join(str(counts[pad]) for pad in sorted(counts, key=int)) if counts else "-"


def _run_all(root: Path, apps: list[str]) -> bool:
    """Print the table of those that run; return whether one of them failed."""
    print("| app | frames | objects | exit | what differs |\n| --- | --- | --- | --- | --- |")
    failed = False
    for sample in SAMPLES:
        if apps and sample.folder not in apps:
            continue
        row = _run(root, sample)
        failed = failed or row.exit != "0" or bool(row.complaint) or not row.frames
        note = f"{row.note}; **{row.complaint}**" if row.complaint else row.note
        cells = (row.app, _shown(row.frames), _shown(row.objects), row.exit, note)
        print(f"| {' | '.join(cells)} |", flush=True)
    return failed


def _try_all(root: Path, apps: list[str]) -> bool:
    """Print the table of those that cannot run yet; return whether one of them gave no reason."""
    print("\n| not yet | ends with |\n| --- | --- |")
    failed = False
    for sample in NOT_YET:
        if apps and sample.folder not in apps:
            continue
        row = _run(root, sample)
        failed = failed or not row.complaint
        print(f"| {row.app} | {row.complaint or '**nothing**'} |", flush=True)
    return failed


def main() -> int:
    """Run all, or those named, and print the tables; exit 1 if one went otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("apps", nargs="*", help="folders of single samples")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        shutil.copytree(args.checkout / "apps", root / "sources/deepstream_python_apps/apps")
        write_samples(root / "samples")
        _make_clip(root, "clip", frames=60, fps=30)
        _make_clip(root, "film", frames=150, fps=15)
        _make_clip(root, "long", frames=500, fps=5)
        failed = [_run_all(root, args.apps), _try_all(root, args.apps)]
    return 1 if any(failed) else 0


if __name__ == "__main__":
    sys.exit(main())
