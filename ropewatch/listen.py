"""`ropewatch listen`, the reference consumer: incidents for a person, a program or a database.

Each message once, in the order of its box, gaps told; built on what every consumer may import.
"""

import argparse
import contextlib
import io
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ropewatch.album import Album
from ropewatch.client import WAIT_S, Received, Subscriber, incident_topic, incidents, log_gap
from ropewatch.errors import SettingsError
from ropewatch.incidents import EndReason, Phase
from ropewatch.payloads import IncidentMessage
from ropewatch.section import NAME_PATTERN
from ropewatch.sequencer import Gap, Incident
from ropewatch.store import Store, UnfitError, open_postgres, open_sqlite
from ropewatch.topics import SNAPSHOT
from ropewatch.wire import rfc3339

log = logging.getLogger("ropewatch.listen")

END_WORDS: Final = {
    EndReason.ROPE_SEEN: "rope is right again",
    EndReason.PERSON_GONE: "person has left",
    EndReason.LEFT_ZONE: "person has left the zone",
    EndReason.STREAM_ENDED: "video has ended",
    EndReason.SHUTDOWN: "box was stopped",
    EndReason.SOURCE_LOST: "camera was lost",
    EndReason.RESTART_RECOVERY: "box was restarted",
}


def listen(args: argparse.Namespace) -> int:
    """Subscribe, keep and print until the count or the time is reached.

    Args:
        args: as `ropewatch.cli` parses them.

    Raises:
        BrokerError: the broker is absent or refuses.
        SettingsError: the password's variable is not set or has no user name to go with, a
            certificate or the folder for pictures cannot be used, or pictures are wanted in a
            group.
        StoreError: the database cannot be used; what it does not have comes again.
    """
    pictures = _pictures(args)
    _print_anything(as_json=args.json)
    with _stores(args) as stores, subscriber_of(args, _topics(args)) as subscriber:
        # In a group most of a box's messages go to others: there is nothing to wait for.
        grouped = args.group is not None
        found = incidents(
            subscriber,
            wait_s=0 if grouped else WAIT_S,
            for_s=args.timeout_s,
            on_gap=_expected if grouped else log_gap,
            on_snapshot=None if pictures is None else pictures.add,
        )
        printed = 0
        for incident in found:
            if pictures is not None:
                pictures.see(incident.message)
            received_at = rfc3339(time.time_ns())
            # All of them first: a message is kept in each, or comes again for each.
            added = [_is_new(store, incident, received_at) for store in stores]
            if added and not any(added):
                continue
            print(_one_line(incident) if args.json else describe(incident.message), flush=True)
            printed += 1
            if printed == args.count:
                break
    return 0


def _print_anything(*, as_json: bool) -> None:
    """Let no character that the terminal's encoding has not end us; JSON is UTF-8 everywhere."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = "utf-8" if as_json else None
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")


def _is_new(store: Store, incident: Incident, received_at: str) -> bool:
    try:
        return store.add(incident, received_at=received_at)
    except UnfitError as error:
        # Else it comes again for ever and holds up the others; it is printed all the same.
        log.warning("message not kept count=%d reason=%s", store.unfit, error)
        return True


def _one_line(incident: Incident) -> str:
    # JSON has line breaks between its words only.
    return re.sub(r"[\r\n]+", " ", incident.payload.decode())


class _Pictures:
    """An album that tells, on stderr, what it kept and what it did not."""

    def __init__(self, folder: Path) -> None:
        self._album = Album(folder)

    def add(self, received: Received) -> None:
        """Take a picture."""
        self._tell(lambda: self._album.add(received.topic, received.payload))
        for topic in self._album.let_go():
            print(f"{topic}: no incident has told its digest; let go", file=sys.stderr, flush=True)

    def see(self, message: IncidentMessage) -> None:
        """Take a message about an incident."""
        self._tell(lambda: self._album.see(message))

    @staticmethod
    def _tell(keep: Callable[[], Path | None]) -> None:
        try:
            path = keep()
        except ValueError as error:
            print(error, file=sys.stderr, flush=True)
        else:
            if path is not None:
                print(f"snapshot {path}", file=sys.stderr, flush=True)


def _pictures(args: argparse.Namespace) -> _Pictures | None:
    if args.snapshots is None:
        return None
    if args.group is not None:
        raise SettingsError(
            "--snapshots: set with --shared, want one of them: in a group a picture and its "
            "incident go to different consumers; leave one out"
        )
    return _Pictures(args.snapshots)


def _expected(_gap: Gap) -> None:
    """Say nothing; the database of the group knows what is missing."""


@contextlib.contextmanager
def _stores(args: argparse.Namespace) -> Iterator[list[Store]]:
    with contextlib.ExitStack() as stack:
        stores = []
        if args.sqlite is not None:
            stores.append(stack.enter_context(contextlib.closing(open_sqlite(args.sqlite))))
        if args.postgres is not None:
            stores.append(stack.enter_context(contextlib.closing(open_postgres(args.postgres))))
        yield stores


def subscriber_of(args: argparse.Namespace, topics: tuple[str, ...]) -> Subscriber:
    """Make a subscriber by the arguments that say where the broker is and who asks.

    Raises:
        SettingsError: the password's variable is not set or has no user name to go with, or
            a certificate cannot be used.
    """

    def text(path: object) -> str | None:
        return None if path is None else str(path)

    return Subscriber(
        args.host,
        args.port,
        topics,
        username=args.username,
        password=_password(args.password_env, args.username),
        ca_file=text(args.ca_file),
        cert_file=text(args.cert_file),
        key_file=text(args.key_file),
        client_id=args.client_id,
        group=args.group,
    )


def _topics(args: argparse.Namespace) -> tuple[str, ...]:
    incident = incident_topic(args.site_name, args.box)
    if args.snapshots is None:
        return (incident,)
    return incident, SNAPSHOT.of(site=args.site_name, box=args.box, camera="+", incident_id="+")


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
    line = f"{message.time[11:19]} {at_s:7.2f} s  {text}  [{data.incident_id[-6:]}]{late}"
    # A label is whatever its sender writes, and a terminal obeys control characters.
    return "".join(each if each.isprintable() else "?" for each in line)


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


def group_name(text: str) -> str:
    """Check the name of a shared subscription.

    Raises:
        ValueError: MQTT does not allow it.
    """
    if not text or re.search(r"[/+#\s]", text):
        raise ValueError(f"{text!r}, want a name without /, +, # and spaces")
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
