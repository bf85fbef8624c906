"""The `ropewatch export ...` commands: command line only, the work is next door.

What it needs is imported when a command runs: --help works without torch, and fast.
"""

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ropewatch.errors import BackendError, ModelError

if TYPE_CHECKING:
    from export.frame import Frames
    from export.package import OnStage
    from ropewatch.manifest import Polarity


def add_export_commands(subparsers: Any) -> None:
    """Add the `export` commands; each sets `run`, args to exit code.

    Args:
        subparsers: what `argparse.ArgumentParser.add_subparsers` returned.
    """
    export = subparsers.add_parser("export", help="turn PyTorch weights into ONNX and a manifest")
    commands = export.add_subparsers(required=True, metavar="model")
    _add_detector(commands)
    _add_classifier(commands)
    from export.golden_command import add_golden  # noqa: PLC0415 (as the next)
    from export.typed_command import add_typed  # noqa: PLC0415 (it imports this module)

    add_typed(commands)
    add_golden(commands)


def size_wh(text: str) -> tuple[int, int]:
    """Read 640x384 as (640, 384)."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}, want WIDTHxHEIGHT in px, such as 640x384")
    return int(match[1]), int(match[2])


def batch_size(text: str) -> "str | int":
    """Read dynamic, or a number from 1 to 1024 (nvinfer's own limit)."""
    if text == "dynamic":
        return text
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r}, want dynamic or a number from 1 to 1024")
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """Read a,b as ("a", "b"); empty names and repetitions are errors."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts) or len(set(parts)) != len(parts):
        raise argparse.ArgumentTypeError(f"{text!r}, want names between commas, each once")
    return parts


def digest(text: str) -> str:
    """Read a sha256 as 64 hex digits."""
    if re.fullmatch(r"[0-9a-fA-F]{64}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r}, want a sha256 of 64 hex digits")
    return text.lower()


def model_name(text: str) -> str:
    """Read a file name without folder or suffix."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r}, want letters, digits, dot, - and _")
    return text


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--weights", type=Path, required=True, help="PyTorch checkpoint")
    command.add_argument("--output", type=Path, required=True, help="folder to write to")
    command.add_argument(
        "--name", type=model_name, help="of the model; default: the weights' name"
    )
    command.add_argument(
        "--batch",
        type=batch_size,
        default="dynamic",
        help="dynamic, or one size that the model then always takes; default: %(default)s",
    )
    command.add_argument(
        "--images",
        type=Path,
        help="folder with pictures: frames with people for a detector and for frame mode, crops "
        "for crop mode; the first by name become the golden outputs, by which engines are judged, "
        "and on all of them a detector's cost of padding is measured; default: two street "
        "pictures of ultralytics, or drawn ones, and no measurement",
    )


def _add_detector(commands: Any) -> None:
    command = commands.add_parser(
        "detector", help="YOLO11 to [batch, N, 6] rows: x1, y1, x2, y2, score, class"
    )
    _add_common(command)
    command.add_argument(
        "--size-wh",
        type=size_wh,
        default=(640, 384),
        help="network width and height, px, multiples of 32; default: 640x384",
    )
    command.add_argument(
        "--classes",
        type=names,
        default=("person",),
        help="classes to keep, between commas; their order becomes the class ids; default: person",
    )
    command.add_argument(
        "--padding",
        choices=["centre", "bottom-right"],
        default="centre",
        help="letterbox of the training: picture in the middle, as ultralytics has it, or at the "
        "top left; default: %(default)s",
    )
    command.add_argument(
        "--trust-pickle",
        action="store_true",
        help="read the checkpoint although reading a pickle can run any program in it",
    )
    command.add_argument(
        "--trusted-digest",
        type=digest,
        action="append",
        default=[],
        metavar="SHA256",
        help="read the checkpoint if this is its sha256, as whoever made it gave it to you; "
        "Ultralytics' own yolo11n to yolo11x are known; may be repeated",
    )
    command.set_defaults(run=_run_detector)


def _add_classifier(commands: Any) -> None:
    command = commands.add_parser(
        "classifier",
        help="rope classifier to probabilities, of crops or of boxes in frames",
    )
    _add_common(command)
    _add_modes(command)
    command.add_argument(
        "--architecture",
        type=Path,
        help="JSON file with the fields of export.classifier_model.Architecture that are known, "
        "for a checkpoint that does not carry its own; a summary.json beside it is read as well",
    )
    command.add_argument(
        "--state-dict",
        help="which weights to take of a checkpoint with several, such as model or ema",
    )
    command.add_argument(
        "--crop-wh", type=size_wh, help="network width and height, px; default: the architecture's"
    )
    command.add_argument(
        "--labels", type=names, help="in class order; must agree with the architecture's"
    )
    command.add_argument(
        "--score-label", help="label whose probability a threshold is about; with --alert-when"
    )
    command.add_argument(
        "--alert-when",
        choices=["at_or_above", "below"],
        help="side of the threshold that alerts; with --score-label both go into the manifest, "
        "and ropewatch check compares a site with them",
    )
    command.add_argument(
        "--golden",
        type=Path,
        help="what `ropewatch export golden` wrote: the architecture is verified by it",
    )
    command.set_defaults(run=_run_classifier)


def _add_modes(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--mode",
        choices=["crop", "frame"],
        default="crop",
        help="crop: one person crop a row, for nvinfer; frame: whole pictures and boxes; "
        "default: %(default)s",
    )
    command.add_argument(
        "--frame-wh", type=size_wh, help="frame mode: picture, px; default: 1280x720"
    )
    command.add_argument(
        "--roi-align",
        choices=["operator", "matmul"],
        help="frame mode: RoIAlign as the ONNX operator or as matrix products; default: operator",
    )
    command.add_argument(
        "--parts",
        choices=["one", "two"],
        help="frame mode: one ONNX, or NAME.backbone.onnx for stock nvinfer and NAME.head.npz for "
        "the host; default: one",
    )


def _run_detector(args: argparse.Namespace) -> int:
    require_torch()
    from export.detector import STAGES, export_detector  # noqa: PLC0415 (torch, see the module)
    from export.trust import Trust  # noqa: PLC0415 (pydantic)

    with progress(STAGES) as on_stage:
        written = export_detector(
            args.weights,
            size_wh=args.size_wh,
            output_dir=args.output,
            classes=args.classes,
            batch=args.batch,
            symmetric_padding=args.padding == "centre",
            trust=Trust(every_pickle=args.trust_pickle, digests=frozenset(args.trusted_digest)),
            name=args.name,
            images=args.images,
            on_stage=on_stage,
        )
    _tell(written)
    return 0


def _run_classifier(args: argparse.Namespace) -> int:
    require_torch()
    from export.classifier import STAGES, export_classifier  # noqa: PLC0415 (torch, as above)

    with progress(STAGES) as on_stage:
        written = export_classifier(
            args.weights,
            output_dir=args.output,
            architecture=_read_architecture(args.architecture),
            crop_wh=args.crop_wh,
            labels=args.labels,
            polarity=_polarity(args),
            frames=_frames(args),
            batch=args.batch,
            name=args.name,
            state_dict=args.state_dict,
            training_golden=args.golden,
            images=args.images,
            on_stage=on_stage,
        )
    _tell(written)
    return 0


def _polarity(args: argparse.Namespace) -> "Polarity | None":
    from ropewatch.manifest import Polarity  # noqa: PLC0415 (pydantic)

    if (args.score_label is None) != (args.alert_when is None):
        raise ModelError(
            f"--score-label {args.score_label}, --alert-when {args.alert_when}, want both or "
            f"neither; a score has no meaning without its side"
        )
    if args.score_label is None:
        return None
    return Polarity(score_label=args.score_label, alert_when=args.alert_when)


def _frames(args: argparse.Namespace) -> "Frames | None":
    from export.frame import Frames  # noqa: PLC0415 (torch, as above)

    idle = ("crop_wh",) if args.mode == "frame" else ("frame_wh", "roi_align", "parts")
    for name in idle:
        if getattr(args, name) is not None:
            raise ModelError(
                f"--{name.replace('_', '-')}: given with --mode {args.mode}, which has no use for "
                f"it; leave it out, or change the mode"
            )
    if args.mode == "crop":
        return None
    if args.parts == "two" and args.roi_align is not None:
        raise ModelError(
            "--roi-align: given with --parts two, where the host pools; leave one of them out"
        )
    default = Frames()
    return Frames(
        size_wh=args.frame_wh or default.size_wh,
        form=args.roi_align or default.form,
        parts=args.parts or default.parts,
    )


def require_torch() -> None:
    """Raise a BackendError where the export extra is not installed."""
    try:
        import onnxslim  # noqa: F401, PLC0415 (only to see that the extra is there)
        import torch  # noqa: F401, PLC0415
    except ImportError as error:
        raise BackendError(
            f"export: {error}, want the export extra; run scripts/setup --export"
        ) from error


def _read_architecture(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file, want an architecture in JSON") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}; want the fields of Architecture in JSON") from error
    if not isinstance(fields, dict):
        raise ModelError(
            f"{path}: {type(fields).__name__}, want the fields of Architecture in a JSON object"
        )
    return fields


@contextmanager
def progress(stages: int) -> "Iterator[OnStage]":
    """A bar on the error stream that moves on each time a stage begins."""
    from rich.console import Console  # noqa: PLC0415 (the command line is read without it)
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns: Sequence[Any] = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        # Starting at -1 makes the first stage begin at 0 done.
        task = bar.add_task("starting", total=stages, completed=-1)
        yield lambda stage: bar.update(task, description=stage, advance=1)


def _tell(written: Path) -> None:
    from export.engine.judging import golden_notes  # noqa: PLC0415 (numpy)
    from export.report import (  # noqa: PLC0415 (onnx)
        padding_words,
        report_of,
        worst_by_quantity,
    )
    from ropewatch.golden import load_golden  # noqa: PLC0415 (numpy)
    from ropewatch.manifest import manifest_of  # noqa: PLC0415 (pydantic)

    manifest, golden = load_golden(written)
    size_mb = manifest.onnx.size_bytes / 1e6
    beside = f"{manifest_of(written).name} and {report_of(written).name}"
    print(f"wrote {written} ({size_mb:.1f} MB), {beside}")
    for tensor in (*manifest.inputs, *manifest.outputs):
        print(f"  {tensor.name}: {tensor.dtype} [{', '.join(map(str, tensor.shape))}]")
    print(f"  labels: {', '.join(manifest.labels)}")
    if manifest.gmacs is not None:
        print(f"  multiplies: {manifest.gmacs:.3g} GMAC, attention included")
    for quantity, worst, batches in worst_by_quantity(manifest):
        print(
            f"  differs from PyTorch in {quantity}: at most {worst.max_abs_difference:.1e} of "
            f"{worst.tolerance:g} allowed (batch {', '.join(map(str, batches))})"
        )
    if manifest.kind == "detector":
        print(f"  black padding instead of grey: {padding_words(manifest.padding_cost)}")
    if manifest.architecture_origins:
        assumed = [
            name for name, origin in manifest.architecture_origins.items() if origin == "default"
        ]
        print(f"  architecture: {manifest.architecture_status}; by default: {', '.join(assumed)}")
    for note in golden_notes(manifest, golden):
        print(f"  golden outputs: {note}")
    for note in manifest.licence_notes:
        print(f"  licence: {note}")
