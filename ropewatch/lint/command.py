"""The commands `ropewatch check` and `ropewatch explain`: command line only."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ropewatch.errors import RopewatchError


def add_lint_commands(subparsers: Any) -> None:
    """Add `check` and `explain`; each sets `run`, args to exit code.

    Args:
        subparsers: what `argparse.ArgumentParser.add_subparsers` returned.
    """
    check = subparsers.add_parser(
        "check",
        help="find faults in nvinfer configurations and sites",
        description="Exit codes: 0 clean, 1 findings, 2 a file cannot be used.",
    )
    check.add_argument("files", type=Path, nargs="+", metavar="FILE|SITE.yaml")
    check.add_argument("--format", choices=["text", "json", "sarif"], default="text")
    check.set_defaults(run=_check)
    explain = subparsers.add_parser("explain", help="say what an nvinfer key or a code means")
    explain.add_argument("name", metavar="KEY|CODE")
    explain.set_defaults(run=_explain)


def _check(args: argparse.Namespace) -> int:
    from ropewatch.lint import report  # noqa: PLC0415 - needs YAML and pydantic
    from ropewatch.lint.check import check_files  # noqa: PLC0415 - the same

    try:
        findings = check_files(args.files)
    except RopewatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    views = {"text": report.as_text, "json": report.as_json, "sarif": report.as_sarif}
    shown = views[args.format](findings)
    if shown:
        print(shown)
    return 1 if findings else 0


def _explain(args: argparse.Namespace) -> int:
    from ropewatch.lint.report import explain  # noqa: PLC0415 - needs YAML and pydantic

    print(explain(args.name))
    return 0
