"""The `ropewatch engine ...` commands: command line only, the work is next door.

What it needs is imported when a command runs: --help works without TensorRT, and fast.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ropewatch.engine_names import MAX_BATCH
from ropewatch.errors import ModelError

if TYPE_CHECKING:
    from export.engine.build import Request
    from export.engine.roads import Road
    from ropewatch.engine_manifest import Machine
    from ropewatch.manifest import Manifest
    from ropewatch.receipt import Receipt

# What the nvinfer files under configs/ ask for: frames of four cameras, crops of sixteen persons.
_FRAMES: Final = 4
_CROPS: Final = 16
_WORKSPACE_MIB: Final = 1024
_MOST_MIB: Final = 1 << 20


def add_engine_commands(subparsers: Any) -> None:
    """Add `engine build|verify|list|prune`; each sets `run`, args to exit code.

    Args:
        subparsers: what `argparse.ArgumentParser.add_subparsers` returned.
    """
    engine = subparsers.add_parser("engine", help="TensorRT engines, on the box")
    commands = engine.add_subparsers(required=True, metavar="COMMAND")
    _add_build(commands)
    verify = commands.add_parser(
        "verify", help="compare an engine with the golden outputs, and write its receipt"
    )
    verify.add_argument("engine", type=Path, metavar="ENGINE")
    verify.add_argument(
        "--site",
        type=Path,
        metavar="SITE.yaml",
        help="whose thresholds decisions are compared at; default: a sweep for classifiers, 0.2, "
        "0.35 and 0.5 for detectors",
    )
    verify.set_defaults(run=_verify)
    listing = commands.add_parser(
        "list", help="engines of a folder, and whether they may run here"
    )
    _add_folder(listing)
    listing.set_defaults(run=_list)
    prune = commands.add_parser(
        "prune", help="remove cached engines that no engine of the folder is"
    )
    _add_folder(prune)
    prune.set_defaults(run=_prune)


def _add_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "folder", type=Path, nargs="?", default=Path(), metavar="DIR", help="default: this folder"
    )


def _add_build(commands: Any) -> None:
    build = commands.add_parser(
        "build",
        help="ONNX to an engine that gives the golden outputs, from the cache if possible",
    )
    build.add_argument("onnx", type=Path, metavar="MODEL.onnx")
    build.add_argument(
        "--precision",
        choices=["fp16", "fp32", "int8"],
        default="fp16",
        help="what to begin with; fp16 ends in fp32 where no half precision is right, int8 wants "
        "an ONNX with Q/DQ nodes; default: %(default)s",
    )
    build.add_argument(
        "--max-batch",
        type=_number(MAX_BATCH, "a batch"),
        help="greatest batch, nvinfer's batch-size; default: the ONNX's own, else 16 for crops "
        "and 4 for whole pictures",
    )
    build.add_argument(
        "--opt-batch",
        type=_number(MAX_BATCH, "a batch"),
        help="batch that the engine is made fast for; default: the greatest",
    )
    build.add_argument(
        "--workspace-mib",
        type=_number(_MOST_MIB, "MiB"),
        default=_WORKSPACE_MIB,
        help="memory that one kernel may use beside weights and activations; default: %(default)s",
    )
    build.add_argument(
        "--road",
        choices=["python", "trtexec"],
        default="python",
        help="TensorRT's Python API, or its own program; default: %(default)s",
    )
    build.add_argument(
        "--output", type=Path, metavar="ENGINE", help="default: nvinfer's name beside the ONNX"
    )
    build.set_defaults(run=_build)


def _number(most: int, what: str) -> Any:
    def read(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r}, want {what} from 1 to {most}")
        return int(text)

    return read


def _build(args: argparse.Namespace) -> int:
    from export.engine.build import Builder  # noqa: PLC0415 (pydantic)
    from export.engine.gate import verify  # noqa: PLC0415 (numpy)
    from export.engine.machine import this_machine  # noqa: PLC0415 (as above)
    from ropewatch.engine_manifest import (  # noqa: PLC0415 (as above)
        EngineManifest,
        engine_manifest_of,
    )

    machine = this_machine()
    request = _request(args)
    print(f"TensorRT {machine.tensorrt}, CUDA {machine.cuda}, {machine.gpu}")
    with _road(args.road, machine) as road:
        target = Builder(machine, road, verify, print).build(request)
    built = EngineManifest.load(engine_manifest_of(target))
    print(f"wrote {target} ({built.engine.size_bytes / 1e6:.1f} MB), {built.recipe}")
    if built.precision != args.precision:
        print(
            f"  asked for {args.precision}, got {built.precision}: nothing faster gave the golden "
            f"outputs"
        )
    mode = {"fp32": 0, "int8": 1, "fp16": 2}[built.precision]
    print(
        f"  for the nvinfer file: model-engine-file={target.name} (with its folder), "
        f"batch-size={request.max_batch}, network-mode={mode}"
    )
    return 0


def _request(args: argparse.Namespace) -> "Request":
    from export.engine.build import Request  # noqa: PLC0415 (pydantic)
    from ropewatch.manifest import load_verified  # noqa: PLC0415 (as above)

    most = args.max_batch or default_batch(load_verified(args.onnx))
    return Request(
        onnx=args.onnx,
        precision=args.precision,
        opt_batch=args.opt_batch or most,
        max_batch=most,
        workspace_bytes=args.workspace_mib << 20,
        output=args.output,
    )


def default_batch(manifest: "Manifest") -> int:
    """Return the batch that an ONNX is fixed to, else what the graph will want of it."""
    batch = manifest.inputs[0].shape[0]
    if isinstance(batch, int):
        return batch
    return _CROPS if manifest.mode == "crop" else _FRAMES


@contextmanager
def _road(name: str, machine: "Machine") -> "Iterator[Road]":
    if name == "trtexec":
        from export.engine.trtexec_road import (  # noqa: PLC0415 (pydantic)
            TrtexecRoad,
            find_trtexec,
        )

        yield TrtexecRoad(find_trtexec(), machine, tell=lambda line: print(line, file=sys.stderr))
        return
    from export.engine.machine import import_tensorrt  # noqa: PLC0415 (pydantic)
    from export.engine.progress import bars  # noqa: PLC0415 (rich)
    from export.engine.tensorrt_road import TensorRtRoad  # noqa: PLC0415 (pydantic)

    with bars("engine") as monitor:
        yield TensorRtRoad(import_tensorrt(), machine, monitor=monitor)


def _verify(args: argparse.Namespace) -> int:
    from export.engine.cache import Cache  # noqa: PLC0415 (pydantic)
    from export.engine.gate import verify  # noqa: PLC0415 (numpy)
    from export.engine.lock import locked  # noqa: PLC0415 (with the cache)
    from export.engine.machine import this_machine  # noqa: PLC0415 (pydantic)
    from export.engine.operating import operating_point  # noqa: PLC0415 (YAML)
    from ropewatch.manifest import load_verified, onnx_of_engine  # noqa: PLC0415 (pydantic)

    this_machine()
    if not args.engine.is_file():
        raise ModelError(f"{args.engine}: no such file, want an engine; fix the path")
    point = None
    if args.site is not None:
        kind = load_verified(onnx_of_engine(args.engine)).kind
        point = operating_point(args.site, kind)
    with locked(Cache(args.engine.parent).lock, tell=print):
        receipt = verify(args.engine, point=point)
    _tell(receipt)
    return 0 if receipt.verdict == "passed" else 1


def _tell(receipt: "Receipt") -> None:
    print(
        f"{receipt.engine.file}: {receipt.verdict} at batch {', '.join(map(str, receipt.batches))}"
    )
    for number in receipt.numbers:
        print(
            f"  {number.quantity}, batch {number.batch}: differs by at most "
            f"{number.max_abs_difference:.1e} of {number.tolerance:g} allowed"
        )
    for one in receipt.decisions:
        print(
            f"  {one.what} at {one.threshold:g}: {one.changed} of {one.compared} decided otherwise"
        )
    for reason in receipt.reasons:
        print(f"  refused: {reason}")
    for note in receipt.notes:
        print(f"  note: {note}")


def _list(args: argparse.Namespace) -> int:
    from export.engine.listing import rows  # noqa: PLC0415 (pydantic)
    from export.engine.machine import this_machine  # noqa: PLC0415 (as above)

    for row in rows(_folder(args), this_machine()):
        print(row)
    return 0


def _prune(args: argparse.Namespace) -> int:
    from export.engine.listing import prune  # noqa: PLC0415 (pydantic)
    from export.engine.machine import this_machine  # noqa: PLC0415 (as above)

    freed_bytes = 0
    for entry, size_bytes in prune(_folder(args), this_machine(), tell=print):
        freed_bytes += size_bytes
        print(f"removed {entry}")
    print(f"freed {freed_bytes / 1e6:.1f} MB")
    return 0


def _folder(args: argparse.Namespace) -> Path:
    folder: Path = args.folder
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder, want one with engines; fix the path")
    return folder
