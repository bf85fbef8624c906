"""A consumer keeps a picture when its digest is the one that the incident told."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ropewatch import album as album_module
from ropewatch.album import MAX_WAITING, Album
from ropewatch.errors import SettingsError
from ropewatch.incidents import Phase, Snapshot
from ropewatch.moment import ClockSource, Moment
from ropewatch.payloads import IncidentMessage
from ropewatch.reading import parse_incident
from ropewatch.wire import Wire
from tests.incident_events import START

WIRE = Wire(site="yard", box="box1", boot_id="01BOOT")
NOW = Moment(1_795_223_378_000_000_000, 5_000_250_000, ClockSource.KERNEL, synced=True)
JPEG = b"\xff\xd8 a picture"
TOPIC = WIRE.snapshot(START.source_id, "01INCIDENT", JPEG).topic


def told(jpeg: bytes = JPEG) -> IncidentMessage:
    snapshot = Snapshot(hashlib.sha256(jpeg).hexdigest(), len(jpeg), (64, 36), 0)
    update = replace(START, phase=Phase.UPDATE, revision=2, snapshot=snapshot)
    return parse_incident(WIRE.incident(update, sequence=2, now=NOW).payload)


def test_a_picture_is_kept_under_its_incidents_id(tmp_path: Path) -> None:
    album = Album(tmp_path / "new" / "pictures")

    first = album.see(told())
    second = album.add(TOPIC, JPEG)

    assert first is None
    assert second == tmp_path / "new" / "pictures" / "01INCIDENT.jpg"
    assert second.read_bytes() == JPEG
    assert album.kept == {"01INCIDENT": second}
    assert album.unpaired == ()


def test_a_picture_may_come_before_its_digest_and_either_may_come_twice(tmp_path: Path) -> None:
    album = Album(tmp_path)

    assert album.add(TOPIC, JPEG) is None
    assert album.unpaired == (TOPIC,)
    assert album.see(told()) is not None
    assert album.add(TOPIC, JPEG) is not None
    assert album.see(told()) is None

    assert [path.name for path in tmp_path.iterdir()] == ["01INCIDENT.jpg"]


@pytest.mark.parametrize("digest_first", [True, False])
def test_another_picture_than_the_one_told_is_not_kept(tmp_path: Path, digest_first: bool) -> None:
    album = Album(tmp_path)

    calls: list[Callable[[], object]] = [
        lambda: album.see(told()),
        lambda: album.add(TOPIC, b"another"),
    ]
    first, second = calls if digest_first else reversed(calls)

    first()
    with pytest.raises(ValueError, match=r"of 7 bytes with SHA-256 .*, want .* it is not kept"):
        second()

    assert list(tmp_path.iterdir()) == []


def test_an_incident_without_a_picture_asks_for_none(tmp_path: Path) -> None:
    album = Album(tmp_path)

    assert album.see(parse_incident(WIRE.incident(START, sequence=1, now=NOW).payload)) is None


@pytest.mark.parametrize(
    "topic",
    [
        "ropewatch/v1/yard/box1/camera/gate/snapshot/..",
        "ropewatch/v1/yard/box1/camera/gate/snapshot/a/b",
        "ropewatch/v1/yard/box1/camera/gate/incident",
    ],
)
def test_a_topic_names_no_file_outside_the_folder(tmp_path: Path, topic: str) -> None:
    with pytest.raises(ValueError, match="no topic of a snapshot"):
        Album(tmp_path).add(topic, JPEG)


def test_pictures_without_an_incident_are_bounded(tmp_path: Path) -> None:
    album = Album(tmp_path)

    for number in range(MAX_WAITING + 5):
        album.add(f"{TOPIC}{number}", JPEG)

    assert len(album.unpaired) == MAX_WAITING
    assert album.let_go() == [f"{TOPIC}{number}" for number in range(5)]
    assert album.let_go() == []


def test_bytes_of_pictures_without_an_incident_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(album_module, "MAX_WAITING_BYTES", 2 * len(JPEG))
    album = Album(tmp_path)

    for number in range(3):
        album.add(f"{TOPIC}{number}", JPEG)

    assert album.let_go() == [f"{TOPIC}0"]
    assert len(album.unpaired) == 2


def test_an_incident_tells_nothing_of_another_ones_picture(tmp_path: Path) -> None:
    message = told()
    assert message.data.snapshot is not None
    foreign = message.data.snapshot.model_copy(
        update={"topic": TOPIC.replace("/01INCIDENT", "/02INCIDENT")}
    )
    data = message.data.model_copy(update={"snapshot": foreign})

    with pytest.raises(
        ValueError, match=r"02INCIDENT: told as its picture by .*01INCIDENT; not believed"
    ):
        Album(tmp_path).see(message.model_copy(update={"data": data}))


def test_kept_pictures_are_remembered_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(album_module, "MAX_TOLD", 0)
    album = Album(tmp_path)
    album.add(TOPIC, JPEG)

    path = album.see(told())

    assert path is not None
    assert path.exists()
    assert album.kept == {}


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match=r"--snapshots: .*file.*, want a folder that can"):
        Album(tmp_path / "file" / "pictures")


def test_a_folder_that_goes_away_says_so(tmp_path: Path) -> None:
    album = Album(tmp_path / "pictures")
    album.see(told())
    (tmp_path / "pictures").rmdir()

    with pytest.raises(SettingsError, match=r"--snapshots: .*, want a folder that can be"):
        album.add(TOPIC, JPEG)
