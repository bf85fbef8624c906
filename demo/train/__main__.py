"""Train, export and measure the demo models: `python -m demo.train`; see --help."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ropewatch.errors import RopewatchError

MODELS_DIR = Path(__file__).parent.parent / "models"


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(prog="python -m demo.train", description=__doc__)
    root.add_argument(
        "what",
        nargs="?",
        default="both",
        choices=["detector", "classifier", "both", "measure"],
        help="what to train; measure takes the models as they are; default: %(default)s",
    )
    root.add_argument("--output", type=Path, default=MODELS_DIR, help="default: %(default)s")
    root.add_argument(
        "--work", type=Path, default=Path("out/train"), help="checkpoints; default: %(default)s"
    )
    root.add_argument("--scenes", type=int, help="training scenes; default: the recipe's")
    root.add_argument(
        "--measured-scenes",
        type=int,
        default=200,
        help="scenes to choose the threshold on, and as many to measure on; default: %(default)s",
    )
    root.add_argument("--threads", type=int, default=2, help="of torch; default: %(default)s")
    root.add_argument(
        "--bfloat16", action="store_true", help="detector in bfloat16: faster with AMX only"
    )
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 done, 1 it could not be done, 2 the command line is wrong."""
    args = parser().parse_args(argv)
    try:
        from demo.train.course import run  # noqa: PLC0415 (torch; --help works without it)
    except ModuleNotFoundError as error:
        print(f"error: {error.name}: not installed; run scripts/setup --export", file=sys.stderr)
        return 1
    try:
        run(args)
    except RopewatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
