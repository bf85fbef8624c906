"""The command line: `ropewatch COMMAND`. Each command imports what it needs when it runs.

Exit codes: 0 done, 1 the job could not be done, 2 the command line is wrong, 3 the run ended
but a source was lost or messages were left undelivered.
"""

import argparse
import importlib.util
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ropewatch.errors import RopewatchError

MAX_PORT: Final = 65_535
MAX_COUNT: Final = 1_000_000_000
MAX_TIMEOUT_S: Final = 365 * 24 * 3600


def parser() -> argparse.ArgumentParser:
    """Describe the command line; kept apart so that tests and docs can read it."""
    root = argparse.ArgumentParser(prog="ropewatch", description="Watches safety ropes.")
    root.add_argument("--verbose", action="store_true", help="log at debug level")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_graph(commands)
    _add_listen(commands)
    _add_command(commands)
    # Its module imports argparse and the core only; torch waits until a command runs.
    from export.cli import add_export_commands  # noqa: PLC0415 - the core reaches outward lazily

    add_export_commands(commands)
    from export.engine.cli import add_engine_commands  # noqa: PLC0415 - TensorRT waits as well

    add_engine_commands(commands)
    from export.chain.command import add_parity_command  # noqa: PLC0415 - torch waits as well

    add_parity_command(commands)
    # A box's image has no stand-ins, hence no commands for them.
    if importlib.util.find_spec("plugins.standin") is not None:
        from plugins.standin.cli import add_standin_commands  # noqa: PLC0415 - GStreamer waits too

        add_standin_commands(commands)
    from ropewatch.lint.command import add_lint_commands  # noqa: PLC0415 - YAML waits as well

    add_lint_commands(commands)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = parser().parse_args(argv)
    logging.basicConfig(
        level=logging.DEBUG if args.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    try:
        return int(args.run(args))
    except RopewatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone, as with `| head`.
        sys.stderr.close()
        return 0


def _site_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--site", type=Path, required=True, help="site file, YAML")
    command.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting of the site file, for example mqtt.port=1884; may be repeated",
    )


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("run", help="watch the cameras of a site")
    _site_arguments(command)
    command.add_argument(
        "--backend",
        choices=["auto", "deepstream", "cpu"],
        default="auto",
        help="whose elements: NVIDIA's, our CPU stand-ins, or NVIDIA's where they exist (auto)",
    )
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from deepstream.app import run_site  # noqa: PLC0415 - needs gi
    from ropewatch.load import load_site  # noqa: PLC0415 - needs YAML and pydantic

    site = load_site(args.site, overrides=args.overrides)
    return run_site(site, backend=args.backend)


def _add_graph(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("graph", help="show the graph of a site; starts nothing")
    _site_arguments(command)
    command.add_argument("--format", choices=["json", "dot", "svg"], default="json")
    command.set_defaults(run=_graph)


def _graph(args: argparse.Namespace) -> int:
    from deepstream import plan, plan_views  # noqa: PLC0415
    from ropewatch.lint.check import site_configs  # noqa: PLC0415 - needs YAML and pydantic
    from ropewatch.load import ANY_ENVIRONMENT, load_site  # noqa: PLC0415 - the same

    views = {"json": plan_views.to_json, "dot": plan_views.to_dot, "svg": plan_views.to_svg}
    # Nothing is opened, so nobody's password is needed; but a graph without its files is none.
    site = load_site(args.site, overrides=args.overrides, environment=ANY_ENVIRONMENT)
    site_configs(site)
    print(views[args.format](plan.make_plan(site)))
    return 0


def _broker_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", default="127.0.0.1", help="broker; default: %(default)s")
    command.add_argument("--port", type=_port, default=1883, help="default: %(default)s")
    command.add_argument("--username", help="user name at the broker")
    command.add_argument("--password-env", help="environment variable that holds the password")
    command.add_argument("--ca-file", type=Path, help="CA bundle; sets TLS")
    command.add_argument("--cert-file", type=Path, help="client certificate, PEM")
    command.add_argument("--key-file", type=Path, help="its key, PEM")


def _add_listen(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "listen", help="subscribe to incidents; print them, keep them in a database"
    )
    _broker_arguments(command)
    command.add_argument(
        "--client-id", help="name of this consumer: the broker keeps what comes while it is away"
    )
    command.add_argument(
        "--shared",
        dest="group",
        type=_group,
        metavar="GROUP",
        help="share the messages with the other consumers of this group",
    )
    command.add_argument("--site-name", type=_name, default="+", help="one site; default: all")
    command.add_argument("--box", type=_name, default="+", help="one box; default: all")
    command.add_argument("--json", action="store_true", help="one JSON object a line, as received")
    command.add_argument(
        "--snapshots",
        type=Path,
        metavar="DIR",
        help="keep the pictures of incidents in this folder",
    )
    command.add_argument("--sqlite", type=Path, metavar="FILE", help="keep them in this database")
    command.add_argument(
        "--postgres", metavar="DSN", help="keep them in PostgreSQL; a password in PGPASSWORD"
    )
    command.add_argument("--count", type=_count, help="end after this many messages")
    command.add_argument("--timeout-s", type=_timeout_s, help="end after this many seconds")
    command.set_defaults(run=_listen)


def _add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("command", help="ask a box to do something")
    command.add_argument("verb", choices=["ping", "snapshot", "acknowledge", "set", "confirm"])
    _broker_arguments(command)
    command.add_argument("--site-name", type=_one_name, required=True, help="the box's site")
    command.add_argument("--box", type=_one_name, required=True, help="the box")
    command.add_argument(
        "--sender", type=_one_name, required=True, help="who asks; one of the box's senders"
    )
    command.add_argument(
        "--content", default="{}", metavar="JSON", help="what the command says; docs/commands.md"
    )
    command.add_argument("--timeout-s", type=_timeout_s, help="wait so long for the answer")
    command.set_defaults(run=_command, client_id=None, group=None)


def _command(args: argparse.Namespace) -> int:
    from ropewatch.asking import command  # noqa: PLC0415 - needs the MQTT library

    return command(args)


def _one_name(text: str) -> str:
    if text == "+":
        raise argparse.ArgumentTypeError("'+', want one name: a command goes to one box")
    return _name(text)


def _name(text: str) -> str:
    from ropewatch.listen import name_or_any  # noqa: PLC0415 - needs the MQTT library

    try:
        return name_or_any(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _group(text: str) -> str:
    from ropewatch.listen import group_name  # noqa: PLC0415 - needs the MQTT library

    try:
        return group_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _port(text: str) -> int:
    return _whole_number(text, MAX_PORT, "a TCP port")


def _count(text: str) -> int:
    return _whole_number(text, MAX_COUNT, "a number of messages")


def _whole_number(text: str, most: int, what: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r}, want {what} from 1 to {most}")
    return int(text)


def _timeout_s(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MAX_TIMEOUT_S:
        raise argparse.ArgumentTypeError(
            f"{text!r}, want seconds above 0 and up to {MAX_TIMEOUT_S}, which is a year"
        )
    return seconds


def _listen(args: argparse.Namespace) -> int:
    from ropewatch.listen import listen  # noqa: PLC0415 - needs the MQTT library

    return listen(args)


if __name__ == "__main__":
    sys.exit(main())
