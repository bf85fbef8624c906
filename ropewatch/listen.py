"""`ropewatch listen`: incidents as a person wants to read them, or as JSON lines."""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import Final

from ropewatch.client import Received, Subscriber
from ropewatch.errors import SettingsError
from ropewatch.incidents import EndReason, Phase
from ropewatch.payloads import IncidentMessage
from ropewatch.reading import parse_incident
from ropewatch.section import NAME_PATTERN

END_WORDS: Final = {
    EndReason.ROPE_SEEN: "rope is right again",
    EndReason.PERSON_GONE: "person has left",
    EndReason.STREAM_ENDED: "video has ended",
    EndReason.SHUTDOWN: "box was stopped",
    EndReason.SOURCE_LOST: "camera was lost",
    EndReason.RESTART_RECOVERY: "box was restarted",
}
MAX_REMEMBERED_IDS: Final = 100_000


def listen(args: argparse.Namespace) -> int:
    """Subscribe and print until the count or the time is reached.

    Args:
        args: as `ropewatch.cli` parses them.

    Raises:
        BrokerError: the broker is absent or refuses.
        SettingsError: the password's variable is not set or has no user name to go with, or
            the CA bundle cannot be used.
    """
    topic = f"ropewatch/v1/{args.site_name}/{args.box}/camera/+/incident"
    password = _password(args.password_env, args.username)
    seen: dict[str, None] = {}
    with Subscriber(
        args.host,
        args.port,
        (topic,),
        username=args.username,
        password=password,
        ca_file=None if args.ca_file is None else str(args.ca_file),
    ) as subscriber:
        for count, received in enumerate(_until(subscriber, args.timeout_s), start=1):
            _print(received, seen, as_json=args.json)
            if count == args.count:
                break
    return 0


def describe(message: IncidentMessage) -> str:
    """Return one line about an incident event for a person."""
    data = message.data
    at_s = data.pts_ns / 1e9
    side = ">=" if data.alert_when.value == "at_or_above" else "<"
    where = f"{data.camera} person {data.person}"
    score = f"p({data.score_label}) {data.smoothed:.2f} {side} {data.threshold:g}"
    if data.phase is Phase.START:
        text = f"START  {where}: rope is not right, {score}"
    elif data.phase is Phase.UPDATE:
        text = f"UPDATE {where}: {data.state.value}, p({data.score_label}) {data.smoothed:.2f}"
    else:
        assert data.end_reason is not None
        text = f"END    {where}: {END_WORDS[data.end_reason]} after {data.duration_s or 0:.1f} s"
    delivery = data.delivery
    late = f"  late by {delivery.queued_ms / 1e3:.0f} s" if delivery and delivery.late else ""
    return f"{message.time[11:19]} {at_s:7.2f} s  {text}  [{data.incident_id[-6:]}]{late}"


def _until(subscriber: Subscriber, timeout_s: float | None) -> Iterator[Received]:
    """Yield messages until the time is over."""
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left_s = None if deadline_s is None else deadline_s - time.monotonic()
        if left_s is not None and left_s <= 0:
            return
        received = next(subscriber.messages(left_s), None)
        if received is None:
            return
        yield received


def _print(received: Received, seen: dict[str, None], *, as_json: bool) -> None:
    try:
        message = parse_incident(received.payload)
    except ValueError as error:
        print(f"{received.topic}: {error}; not shown", file=sys.stderr, flush=True)
        return
    # Delivery is at least once.
    if message.id in seen:
        return
    seen[message.id] = None
    if len(seen) > MAX_REMEMBERED_IDS:
        del seen[next(iter(seen))]
    line = received.payload.decode() if as_json else describe(message)
    print(line, flush=True)


def name_or_any(text: str) -> str:
    """Check one level of a topic: a name as in site files, or + for all.

    Raises:
        ValueError: it is neither, so it would match nothing that a box sends.
    """
    if text != "+" and not re.fullmatch(NAME_PATTERN, text):
        raise ValueError(
            f"{text!r}, want a name as in the site file (letters, digits, - and _, 64 at most), "
            "or + for all"
        )
    return text


def _password(variable: str | None, username: str | None) -> str | None:
    if variable is None:
        return None
    if username is None:
        raise SettingsError(
            "--password-env: set without --username, want both; add --username, or the broker "
            "never sees the password"
        )
    try:
        return os.environ[variable]
    except KeyError:
        raise SettingsError(
            f"--password-env: {variable} is not set, want the password in it; export it first"
        ) from None
