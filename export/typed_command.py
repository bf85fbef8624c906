"""The command `ropewatch export typed`: its arguments and what it tells; the work is next door."""

import argparse
from pathlib import Path
from typing import Any

from export.cli import names, progress, require_torch


def add_typed(commands: Any) -> None:
    """Add `export typed`; see `export.cli.add_export_commands`."""
    command = commands.add_parser(
        "typed", help="exported ONNX to half precision, for engines with strong typing"
    )
    command.add_argument("model", type=Path, metavar="MODEL.onnx", help="from export, float32")
    command.add_argument(
        "--precision", choices=["fp16"], default="fp16", help="default: %(default)s"
    )
    command.add_argument(
        "--keep-fp32",
        type=names,
        default=(),
        metavar="OP,...",
        help="operators that stay float32 as well, such as Softmax; layer norms, RoIAlign, boxes "
        "and what comes after the last weights always do",
    )
    command.add_argument("--output", type=Path, help="folder to write to; default: the model's")
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    require_torch()
    from export.precision import require_autocast  # noqa: PLC0415 (onnx, see export.cli)

    require_autocast()
    from export.typed import STAGES, export_typed  # noqa: PLC0415 (onnx, as above)

    with progress(STAGES) as on_stage:
        written = export_typed(
            args.model, output_dir=args.output, keep_fp32=args.keep_fp32, on_stage=on_stage
        )
    _tell(written)
    return 0


def _tell(written: Path) -> None:
    from ropewatch.manifest import load_verified  # noqa: PLC0415 (pydantic)

    manifest = load_verified(written)
    made = manifest.derived_from
    assert made is not None, "what was just written is typed"
    size_mb, parent_mb = (each.size_bytes / 1e6 for each in (manifest.onnx, made.onnx))
    print(f"wrote {written} ({size_mb:.1f} MB, from {parent_mb:.1f} MB) by {made.tool}")
    for precision, counts in (("fp16", made.fp16_operators), ("fp32", made.fp32_operators)):
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        print(f"  {precision}: {sum(counts.values())} operators: {listed}")
    print(f"  casts: {manifest.operators.get('Cast', 0)}")
    print(
        f"  weights at the largest number of half precision: {made.largest_weights}, at the "
        f"smallest: {made.smallest_weights}"
    )
    for fact in manifest.parity:
        print(
            f"  differs from the golden outputs in {fact.quantity}: at most "
            f"{fact.max_abs_difference:.1e} of {fact.tolerance:g} allowed"
        )
    print("  on the CPU; what TensorRT makes of it, `ropewatch engine build` measures")
