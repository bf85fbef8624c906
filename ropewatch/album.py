"""Pictures of incidents at a consumer: kept as files when their digest is the one told."""

import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import Final

from ropewatch.errors import SettingsError
from ropewatch.files import replace_file
from ropewatch.payloads import IncidentMessage
from ropewatch.topics import SNAPSHOT, topic_of

MAX_WAITING: Final = 64
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
MAX_TOLD: Final = 10_000


class Album:
    """Pairs pictures with the incidents that tell their digest; either may come first, or twice.

    Attributes:
        folder: where `INCIDENT.jpg` is written; it is made when it does not exist.
        kept: the newest pictures by incident id.

    Raises:
        SettingsError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: dict[str, Path] = {}
        self._told: OrderedDict[str, str] = OrderedDict()
        self._waiting: OrderedDict[str, bytes] = OrderedDict()
        self._let_go: list[str] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(folder, error) from None

    @property
    def unpaired(self) -> tuple[str, ...]:
        """Topics of pictures whose digest no incident has told yet."""
        return tuple(self._waiting)

    def let_go(self) -> list[str]:
        """Return, once, the topics of pictures that have waited for an incident in vain."""
        found, self._let_go = self._let_go, []
        return found

    def see(self, message: IncidentMessage) -> Path | None:
        """Take a message about an incident; return the picture's file if it is complete now.

        Raises:
            ValueError: the picture that waits for it is another one, or it tells of another's.
            SettingsError: the file cannot be written.
        """
        data, reference = message.data, message.data.snapshot
        if reference is None:
            return None
        own = SNAPSHOT.of(
            site=data.site, box=data.box, camera=data.camera, incident_id=data.incident_id
        )
        if reference.topic != own:
            raise ValueError(
                f"{reference.topic[:300]}: told as its picture by {own}; not believed"
            )
        self._told[reference.topic] = reference.sha256
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        jpeg = self._waiting.pop(reference.topic, None)
        return None if jpeg is None else self._keep(reference.topic, jpeg, reference.sha256)

    def add(self, topic: str, jpeg: bytes) -> Path | None:
        """Take a picture; return its file if its incident has told the digest.

        Raises:
            ValueError: it is another picture, or the topic is none of a snapshot.
            SettingsError: the file cannot be written.
        """
        # The file's name comes from the topic: only what is a name may be one.
        if topic_of(topic) is not SNAPSHOT:
            raise ValueError(f"{topic}: no topic of a snapshot")
        told = self._told.get(topic)
        if told is not None:
            return self._keep(topic, jpeg, told)
        self._waiting.pop(topic, None)
        self._waiting[topic] = jpeg
        while len(self._waiting) > MAX_WAITING or self._waiting_bytes > MAX_WAITING_BYTES:
            self._let_go.append(self._waiting.popitem(last=False)[0])
        return None

    @property
    def _waiting_bytes(self) -> int:
        return sum(len(jpeg) for jpeg in self._waiting.values())

    def _keep(self, topic: str, jpeg: bytes, told: str) -> Path:
        found = hashlib.sha256(jpeg).hexdigest()
        if found != told:
            raise ValueError(
                f"{topic}: a picture of {len(jpeg)} bytes with SHA-256 {found}, want {told} as "
                "its incident says; it is not kept"
            )
        incident_id = topic.rpartition("/")[2]
        path = self.folder / f"{incident_id}.jpg"
        try:
            replace_file(path, jpeg)
        except OSError as error:
            raise _unusable(self.folder, error) from None
        self.kept[incident_id] = path
        if len(self.kept) > MAX_TOLD:
            del self.kept[next(iter(self.kept))]
        return path


def _unusable(folder: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"--snapshots: {folder}: {error.strerror}, want a folder that can be written; correct the "
        "path, or make room"
    )
