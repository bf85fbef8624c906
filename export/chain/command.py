"""`ropewatch parity`: command line only, the work is next door."""

import argparse
import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from export.cli import digest, progress, require_torch
from ropewatch.errors import BackendError, ModelError
from ropewatch.files import replace_file


def add_parity_command(subparsers: Any) -> None:
    """Add `parity`; it sets `run`, args to exit code.

    Args:
        subparsers: what `argparse.ArgumentParser.add_subparsers` returned.
    """
    command = subparsers.add_parser(
        "parity",
        help="run pictures through PyTorch, ONNX, graph and engine, and compare",
        description="Exit codes: 0 all that was run agrees, 1 it differs or cannot be run.",
    )
    command.add_argument("--site", type=Path, required=True, help="site file, YAML")
    command.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting of the site file, for example "
        "classifier.config_file=tuned.txt; may be repeated",
    )
    command.add_argument(
        "--images", type=Path, required=True, help="folder with frames, BMP, JPEG or PNG"
    )
    command.add_argument("--output", type=Path, required=True, help="folder to write to")
    command.add_argument(
        "--weights",
        type=Path,
        nargs="+",
        default=[],
        help="checkpoints that the site's models were exported from; without, no PyTorch column",
    )
    command.add_argument("--state-dict", help="as for ropewatch export classifier")
    command.add_argument("--trust-pickle", action="store_true", help="as for export detector")
    command.add_argument(
        "--trusted-digest",
        type=digest,
        action="append",
        default=[],
        metavar="SHA256",
        help="as for export detector",
    )
    command.set_defaults(run=_parity)


def _parity(args: argparse.Namespace) -> int:
    _require_runtime()
    if args.weights:
        require_torch()
    from rich.console import Console  # noqa: PLC0415 (the command line is read without it)

    from export.chain.parity import STAGES, Inputs, find_parity  # noqa: PLC0415 (cv2)
    from export.chain.show import as_json, as_page, print_parity  # noqa: PLC0415 (cv2)
    from export.trust import Trust  # noqa: PLC0415 (only when it runs)
    from ropewatch.load import ANY_ENVIRONMENT, load_site  # noqa: PLC0415 (YAML)

    inputs = Inputs(
        site=load_site(args.site, overrides=args.overrides, environment=ANY_ENVIRONMENT),
        images=args.images,
        weights=args.weights,
        trust=Trust(every_pickle=args.trust_pickle, digests=frozenset(args.trusted_digest)),
        state_dict=args.state_dict,
    )
    with progress(STAGES) as on_stage, tempfile.TemporaryDirectory() as scratch:
        parity = find_parity(inputs, scratch=Path(scratch), on_stage=on_stage)
    # A file or a pipe has no width of its own, and 80 columns would cut the numbers.
    print_parity(parity, Console(width=None if sys.stdout.isatty() else 120))
    found, shown = args.output / "parity.json", args.output / "parity.html"
    contents = {found: json.dumps(as_json(parity), indent=1) + "\n", shown: as_page(parity)}
    try:
        args.output.mkdir(parents=True, exist_ok=True)
        for path, text in contents.items():
            replace_file(path, text.encode())
    except OSError as error:
        raise ModelError(
            f"{args.output}: {error.strerror or error}, want a folder that can be written; give "
            f"another --output"
        ) from error
    print(f"wrote {found} and {shown.name}")
    return 0 if parity.agree else 1


def _require_runtime() -> None:
    """Torch is for --weights alone: a box with TensorRT has none."""
    for name in ("cv2", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            raise BackendError(
                f"parity: no module {name}, want onnxruntime and opencv-python-headless; run "
                f"scripts/setup, or install both with pip"
            )
