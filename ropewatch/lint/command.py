"""The commands `ropewatch check` and `ropewatch explain`: command line only."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ropewatch.errors import RopewatchError
from ropewatch.nvinfer_keys import Release


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
    check.add_argument(
        "--target",
        choices=[one.value for one in Release],
        help="DeepStream release to run on; finds what it does not have",
    )
    changes = check.add_mutually_exclusive_group()
    changes.add_argument(
        "--fix", action="store_true", help="apply the fixes that cannot mean anything else"
    )
    changes.add_argument(
        "--diff", action="store_true", help="show what --fix would change, and change nothing"
    )
    check.set_defaults(run=_check)
    explain = subparsers.add_parser("explain", help="say what an nvinfer key or a code means")
    explain.add_argument("name", metavar="KEY|CODE")
    explain.add_argument("--site", type=Path, help="say what it means for this site")
    explain.set_defaults(run=_explain)


def _check(args: argparse.Namespace) -> int:
    from ropewatch.lint import fixing, report  # noqa: PLC0415 - needs YAML and pydantic
    from ropewatch.lint.check import check_files  # noqa: PLC0415 - the same

    try:
        target = Release(args.target) if args.target else None
        findings = check_files(args.files, target)
        if args.fix or args.diff:
            texts = fixing.fixed_texts(findings)
            shown = fixing.diff_of(texts, colour=sys.stdout.isatty())
            # A document on standard output stays one.
            print(shown, file=sys.stdout if args.format == "text" else sys.stderr)
        if args.fix:
            fixing.write_texts(texts)
            findings = check_files(args.files, target)
    except RopewatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    views = {"text": report.as_text, "json": report.as_json, "sarif": report.as_sarif}
    shown = views[args.format](findings)
    try:
        print(shown, end="\n" if shown else "", flush=True)
    except BrokenPipeError:
        # The reader has gone, as with `| head`; what was found was found.
        sys.stderr.close()
    return 1 if findings else 0


def _explain(args: argparse.Namespace) -> int:
    from ropewatch.lint.report import explain  # noqa: PLC0415 - needs YAML and pydantic

    print(explain(args.name, args.site))
    return 0
