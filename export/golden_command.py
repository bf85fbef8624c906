"""The command `ropewatch export golden`: arguments and what it tells; the work is next door."""

import argparse
from pathlib import Path
from typing import Any

from ropewatch.errors import BackendError


def add_golden(commands: Any) -> None:
    """Add `export golden`; see `export.cli.add_export_commands`."""
    command = commands.add_parser(
        "golden",
        help="outputs of the training code's own model, for `export classifier --golden`",
        description="Needs torch, numpy and OpenCV or Pillow: run it beside the training "
        "environment, in the training's checkout.",
    )
    command.add_argument(
        "--model",
        required=True,
        metavar="PACKAGE.MODULE:FACTORY",
        help="a function of the training code, called with the path of the weights; what it "
        "returns is called with pixels (B, 3, H, W) uint8 RGB and rois (R, 5), index, x1, y1, "
        "x2, y2 in px, and gives (R, labels)",
    )
    command.add_argument("--weights", type=Path, required=True, help="the checkpoint to export")
    command.add_argument("--images", type=Path, required=True, help="folder, pictures of one size")
    command.add_argument(
        "--boxes",
        type=Path,
        required=True,
        help='JSON: {"picture.jpg": [[x1, y1, x2, y2], ...]}, px, as the model is given them',
    )
    command.add_argument(
        "--gives", choices=["logits", "probabilities"], required=True, help="what the model gives"
    )
    command.add_argument("--output", type=Path, required=True, help="file to write, .npz")
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    try:
        import torch  # noqa: F401, PLC0415 (only to see that it is there)
    except ImportError as error:
        raise BackendError(
            f"export golden: {error}, want the training's environment; start it there"
        ) from error
    from export.training_golden import make_training_golden  # noqa: PLC0415 (numpy)

    golden = make_training_golden(
        args.model, args.weights, pictures=args.images, boxes=args.boxes, gives=args.gives
    )
    golden.save(args.output)
    (output,) = golden.outputs.values()
    print(
        f"wrote {args.output}: {len(output)} boxes in {len(golden.pixels)} pictures, "
        f"{args.gives} from {output.min():.3g} to {output.max():.3g}"
    )
    return 0
