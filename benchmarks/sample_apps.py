"""Run NVIDIA's Python samples, unmodified, on the stand-ins, and print how each of them went.

`python -m benchmarks.sample_apps CHECKOUT`, a checkout of NVIDIA-AI-IOT/deepstream_python_apps.
It is copied to a temporary folder that looks like an installation, with networks of ours where
NVIDIA's are named and a test picture as the film. What the scripts print is what is counted.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sample_models import write_samples

FRAMES = 60
TIMEOUT_S = 120

# Folder, script, arguments. Where words of an argument are {h264}, {uri} and {out}, see _run.
SAMPLES = (
    ("deepstream-test1", "deepstream_test_1.py", "{h264}"),
    ("deepstream-test1-rtsp-out", "deepstream_test1_rtsp_out.py", "-i {h264}"),
    ("deepstream-test2", "deepstream_test_2.py", "{h264}"),
    (
        "deepstream-test3",
        "deepstream_test_3.py",
        "-i {uri} {uri} --pgie nvinfer -c config_infer_primary_peoplenet.txt --no-display",
    ),
    (
        "deepstream-imagedata-multistream",
        "deepstream_imagedata-multistream.py",
        "{uri} {uri} {out}",
    ),
    (
        "deepstream-imagedata-multistream-redaction",
        "deepstream_imagedata-multistream_redaction.py",
        "-i {uri}",
    ),
    ("deepstream-rtsp-in-rtsp-out", "deepstream_test1_rtsp_in_rtsp_out.py", "-i {uri}"),
    ("runtime_source_add_delete", "deepstream_rt_src_add_del.py", "{uri}"),
    (
        "deepstream-demux-multi-in-multi-out",
        "deepstream_demux_multi_in_multi_out.py",
        "-i {uri} {uri}",
    ),
    ("deepstream-nvdsanalytics", "deepstream_nvdsanalytics.py", "{uri}"),
)


@dataclass(frozen=True)
class Row:
    """How one script went; None where it prints no such number."""

    app: str
    frames: int | None
    objects: int | None
    exit: str
    note: str


def _make_clips(folder: Path) -> None:
    """Make clip.h264 and clip.mp4 of the same frames."""
    subprocess.run(
        f"gst-launch-1.0 -q videotestsrc num-buffers={FRAMES} "
        "! video/x-raw,width=640,height=360,framerate=30/1 "
        "! x264enc key-int-max=10 speed-preset=ultrafast ! tee name=t "
        "! queue ! h264parse ! video/x-h264,stream-format=byte-stream "
        f"! filesink location={folder}/clip.h264 "
        f"t. ! queue ! h264parse ! mp4mux ! filesink location={folder}/clip.mp4".split(),
        check=True,
    )


def _run(root: Path, app: str, script: str, arguments: str) -> Row:
    words = {
        "h264": str(root / "clip.h264"),
        "uri": (root / "clip.mp4").as_uri(),
        "out": str(root / "pictures"),
    }
    command = [sys.executable, "-m", "ropewatch.cli", "standin", "run", script]
    command += [word.format(**words) for word in arguments.split()]
    try:
        done = subprocess.run(
            command,
            cwd=root / "sources/deepstream_python_apps/apps" / app,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Row(app, None, None, "none", f"still running after {TIMEOUT_S} s")
    return _row(app, done)


def _row(app: str, done: "subprocess.CompletedProcess[str]") -> Row:
    frames = re.findall(r"Frame Number=", done.stdout)
    objects = re.findall(r"Number of Objects= ?(\d+)", done.stdout)
    wrong = re.findall(
        r"^(?:error|Error): .*|^\w*Error: .*", done.stdout + done.stderr, re.MULTILINE
    )
    return Row(
        app,
        len(frames) if frames else None,
        sum(map(int, objects)) if objects else None,
        str(done.returncode),
        wrong[0][:100] if wrong else "",
    )


def main() -> int:
    """Run all and print the table; exit 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    args = parser.parse_args()
    print("| app | frames | objects | exit | what differs |\n| --- | --- | --- | --- | --- |")
    failed = False
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        shutil.copytree(args.checkout / "apps", root / "sources/deepstream_python_apps/apps")
        write_samples(root / "samples")
        _make_clips(root)
        for app, script, arguments in SAMPLES:
            row = _run(root, app, script, arguments)
            failed = failed or row.exit != "0" or bool(row.note)
            shown = ["-" if value is None else str(value) for value in (row.frames, row.objects)]
            print(f"| {app} | {' | '.join(shown)} | {row.exit} | {row.note} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
