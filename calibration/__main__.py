"""Offline tools: `python -m calibration COMMAND`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ropewatch.errors import RopewatchError


def parser() -> argparse.ArgumentParser:
    """Describe the command line; kept apart so that tests and docs can read it."""
    root = argparse.ArgumentParser(prog="python -m calibration", description=__doc__)
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("evaluate", help="compare a recording with the truth")
    command.add_argument("recording", type=Path, help="JSON lines, as `ropewatch run` writes them")
    command.add_argument(
        "--truth",
        type=Path,
        action="append",
        required=True,
        help="truth of one camera, JSON (calibration/truth.py says how); may be repeated",
    )
    command.add_argument(
        "--threshold", type=float, help="default: the one in the recording's incidents"
    )
    command.add_argument(
        "--alert-when",
        choices=["at_or_above", "below"],
        help="default: as in the recording's incidents",
    )
    command.add_argument(
        "--iou-min",
        type=float,
        default=0.3,
        help="least overlap of a recorded and a true box; default: %(default)s",
    )
    command.add_argument(
        "--min-visible",
        type=float,
        default=0.3,
        help="share of a body below which nothing is expected; default: %(default)s",
    )
    command.add_argument("--json", action="store_true", help="print JSON instead of tables")
    command.set_defaults(run=_evaluate)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 the inputs are wrong, 2 the command line is wrong."""
    args = parser().parse_args(argv)
    try:
        return int(args.run(args))
    except RopewatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output has gone, as with `| head`.
        sys.stderr.close()
        return 0


def _evaluate(args: argparse.Namespace) -> int:
    # Imported here, so that --help does not wait for scikit-learn.
    from rich.console import Console  # noqa: PLC0415

    from calibration.evaluate import evaluate  # noqa: PLC0415
    from calibration.tables import print_evaluation  # noqa: PLC0415
    from ropewatch.settings import AlertWhen  # noqa: PLC0415

    evaluation = evaluate(
        args.recording,
        args.truth,
        threshold=args.threshold,
        alert_when=None if args.alert_when is None else AlertWhen(args.alert_when),
        iou_min=args.iou_min,
        min_visible=args.min_visible,
    )
    if args.json:
        print(json.dumps(evaluation.to_json(), indent=1))
    else:
        # A file or a pipe has no width of its own, and 80 columns would cut the numbers.
        print_evaluation(evaluation, Console(width=None if sys.stdout.isatty() else 120))
    return 0


if __name__ == "__main__":
    sys.exit(main())
