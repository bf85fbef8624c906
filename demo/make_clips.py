"""Renders the demo clips and their truth: `python -m demo.make_clips [--output FOLDER]`."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

from demo.clips import CLIPS, FPS, Clip
from demo.render.layout import FRAME_WH_PX
from demo.truth import ClipTruth, PersonTruth, write_truth
from ropewatch.errors import RopewatchError

CLIPS_DIR = Path(__file__).parent / "clips"
QUANTISER = 28
"""H.264 quality: sharp, and far below 2 MB for 40 s."""


def make_clip(clip: Clip, output_dir: Path) -> Path:
    """Render, encode and write one clip and its truth.

    Returns:
        The path of the video.

    Raises:
        RopewatchError: the encoder failed.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    video = output_dir / f"{clip.camera}.mp4"
    scene, frames = clip.scene(), []
    width, height = clip.frame_wh_px
    with subprocess.Popen(
        _encoder(video, clip), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as encoder:
        assert encoder.stdin is not None
        for number in range(clip.frame_count):
            frame = scene.render(number / FPS)
            image = frame.image
            if clip.frame_wh_px != FRAME_WH_PX:
                image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            encoder.stdin.write(image.tobytes())
            frames.append(tuple(scaled(one, clip.frame_wh_px) for one in frame.people))
        encoder.stdin.close()
    if encoder.returncode:
        raise RopewatchError(
            f"{video}: gst-launch-1.0 ended with {encoder.returncode}, want 0; install the "
            f"GStreamer plugins that scripts/setup lists"
        )
    truth = ClipTruth(clip.camera, clip.seed, clip.frame_wh_px, FPS, tuple(frames))
    write_truth(truth, output_dir / f"{clip.camera}.truth.json")
    return video


def scaled(person: PersonTruth, frame_wh_px: tuple[int, int]) -> PersonTruth:
    """Truth of the staging frame in the pixels of a frame of the same shape."""
    share = frame_wh_px[0] / FRAME_WH_PX[0]
    left, top, width, height = (value * share for value in person.box_ltwh_px)
    return PersonTruth(person.person, (left, top, width, height), person.roped, person.visible)


def _encoder(video: Path, clip: Clip) -> list[str]:
    """BGR frames on standard input to H.264 in MP4; one thread, so that bytes repeat."""
    width, height = clip.frame_wh_px
    return [
        "gst-launch-1.0",
        "-q",
        "fdsrc",
        "fd=0",
        f"blocksize={width * height * 3}",
        "!",
        "rawvideoparse",
        "format=bgr",
        f"width={width}",
        f"height={height}",
        f"framerate={FPS}/1",
        "!",
        "videoconvert",
        "!",
        "video/x-raw,format=I420",
        "!",
        "x264enc",
        "pass=qual",
        f"quantizer={QUANTISER}",
        "speed-preset=slow",
        "bframes=0",
        f"key-int-max={FPS * 5}",
        "threads=1",
        "!",
        "h264parse",
        "!",
        "mp4mux",
        "!",
        "filesink",
        f"location={video}",
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Make both clips."""
    parser = argparse.ArgumentParser(prog="python -m demo.make_clips", description=__doc__)
    parser.add_argument("--output", type=Path, default=CLIPS_DIR, help="default: %(default)s")
    output: Path = parser.parse_args(argv).output
    for clip in CLIPS:
        try:
            video = make_clip(clip, output)
        except (RopewatchError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        size_kb = video.stat().st_size / 1000
        print(f"{video}: {clip.frame_count} frames, {size_kb:.0f} kB, seed {clip.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
