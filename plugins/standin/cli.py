"""The `ropewatch standin ...` commands: command line only, the work is next door.

What it needs is imported when a command runs: --help works without GStreamer, and fast.
"""

import argparse
import json
from pathlib import Path
from typing import Any


def add_standin_commands(subparsers: Any) -> None:
    """Add `standin post` and `standin run`; each sets `run`, args to exit code.

    Args:
        subparsers: what `argparse.ArgumentParser.add_subparsers` returned.
    """
    standin = subparsers.add_parser("standin", help="use the CPU stand-ins by themselves")
    commands = standin.add_subparsers(required=True, metavar="command")
    _add_post(commands)
    _add_run(commands)
    _add_env(commands)


def _add_post(commands: Any) -> None:
    command = commands.add_parser(
        "post", help="replay raw candidates or scores through nvinfer's post-processing"
    )
    command.add_argument("cases", type=Path, help="one case a line, JSON")
    command.set_defaults(run=_post)


def _post(args: argparse.Namespace) -> int:
    from plugins.standin.post_cases import run_cases  # noqa: PLC0415 (numpy)

    for answer in run_cases(args.cases):
        print(json.dumps(answer, ensure_ascii=False))
    return 0


def _add_run(commands: Any) -> None:
    command = commands.add_parser(
        "run", help="run a DeepStream script in Python, unmodified, on the CPU"
    )
    command.add_argument("script", type=Path, help="for example deepstream_test_1.py")
    command.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="the script's own arguments"
    )
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from plugins.standin.script import run_script  # noqa: PLC0415 (needs gi)

    return run_script(args.script, args.arguments)


def _add_env(commands: Any) -> None:
    command = commands.add_parser(
        "env", help='let gst-launch-1.0 find the stand-ins: eval "$(ropewatch standin env)"'
    )
    command.set_defaults(run=_env)


def _env(_args: argparse.Namespace) -> int:
    from plugins.standin.shell import shell_lines  # noqa: PLC0415 (needs gi)

    print("\n".join(shell_lines()))
    return 0
