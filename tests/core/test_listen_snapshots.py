"""`ropewatch listen --snapshots` with a real mosquitto: what is verified is kept, nothing else."""

import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from demo.broker import PrivateBroker
from ropewatch.cli import main
from ropewatch.incidents import Phase, Snapshot
from ropewatch.moment import Moment
from ropewatch.wire import Message, Wire
from tests.incident_events import START
from tests.publishing import publish

WIRE = Wire(site="yard", box="box1", boot_id="01JD0000000000000000000001")
JPEG = b"\xff\xd8 a picture"


def update(sequence: int, incident_id: str, jpeg: bytes) -> Message:
    snapshot = Snapshot(hashlib.sha256(jpeg).hexdigest(), len(jpeg), (64, 36), 0)
    event = replace(
        START, phase=Phase.UPDATE, revision=2, incident_id=incident_id, snapshot=snapshot
    )
    now = Moment(1_795_223_378_000_000_000, 1_000_000_000)
    return WIRE.incident(event, sequence=sequence, now=now)


@pytest.mark.broker
def test_listen_keeps_the_pictures_whose_digest_was_told(
    broker: PrivateBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = [
        WIRE.snapshot(START.source_id, "FIRST", JPEG),
        update(1, "FIRST", JPEG),
        update(2, "FORGED", JPEG),
        WIRE.snapshot(START.source_id, "FORGED", b"another picture"),
        update(3, "SECOND", JPEG * 2),
        WIRE.snapshot(START.source_id, "SECOND", JPEG * 2),
        WIRE.snapshot(START.source_id, "NEVER-TOLD", JPEG),
    ]
    pairs = [(message.topic, message.payload) for message in messages]
    sending = threading.Timer(0.5, publish, (broker.host, broker.port, pairs))
    sending.start()

    words = ["listen", "--port", str(broker.port), "--snapshots", str(tmp_path / "pictures")]
    code = main([*words, "--timeout-s", "3"])

    sending.join()
    said = capsys.readouterr()
    assert code == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "pictures").iterdir()} == {
        "FIRST.jpg": JPEG,
        "SECOND.jpg": JPEG * 2,
    }
    assert len(said.out.splitlines()) == 3
    assert f"snapshot {tmp_path / 'pictures' / 'FIRST.jpg'}" in said.err
    assert "snapshot/FORGED: a picture of 15 bytes with SHA-256 " in said.err


def test_listen_refuses_pictures_in_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "--shared", "wall", "--snapshots", "pictures"]) == 1

    assert (
        "error: --snapshots: set with --shared, want one of them: in a group a picture and its "
        "incident go to different consumers; leave one out"
    ) in capsys.readouterr().err
