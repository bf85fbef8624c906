"""A box that takes commands over a real mosquitto: the runtime's parts without a graph."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from typing_extensions import Self

from deepstream.changes import AUDIT, Audit, Changes
from deepstream.clock import read_moment
from deepstream.commander import Camera, Commander
from deepstream.outbox import Outbox
from deepstream.publisher import Publisher
from demo.broker import PrivateBroker
from ropewatch.asking import Line
from ropewatch.commands import Answer
from ropewatch.incidents import Acknowledgement
from ropewatch.moment import Moment
from ropewatch.settings import SiteSettings
from ropewatch.wire import Wire
from tests.core.builders import site_data
from tests.deepstream.posts import post
from tests.waiting import TIMEOUT_S

LINE = Line("yard", "box1", "operator")
HOME = "ropewatch/v1/yard/box1"
ZONE = {"name": "roof", "kind": "include", "polygon": [[0, 0], [1, 0], [1, 1]]}


class Clock:
    """A clock that stands, and is put forward at will."""

    def __init__(self) -> None:
        self._begun = read_moment()
        self.ahead_s = 0.0

    def __call__(self) -> Moment:
        ahead_ns = int(self.ahead_s * 1e9)
        return replace(self._begun, monotonic_ns=self._begun.monotonic_ns + ahead_ns)


@dataclass
class Cameras:
    """Notes what it is asked to do; one incident is open."""

    site: SiteSettings
    followed: list[str] = field(default_factory=list)
    acknowledged: list[Acknowledgement] = field(default_factory=list)

    def follow(self, site: SiteSettings, camera: str) -> None:
        self.site = site
        self.followed.append(camera)

    def acknowledge(self, incident_id: str, acknowledgement: Acknowledgement) -> bool:
        if incident_id == "01OPEN":
            self.acknowledged.append(acknowledgement)
        return incident_id == "01OPEN"

    def threshold(self, camera: str) -> float:
        return self.site.judging(camera).decision.threshold


class Box:
    """The parts of a box that have to do with commands."""

    def __init__(
        self,
        broker: PrivateBroker,
        folder: Path,
        camera: Camera | None = None,
        **decision: Any,
    ) -> None:
        data = site_data()
        data["sources"] = [{"id": "cam1", "uri": "a.mp4"}, {"id": "cam2", "uri": "b.mp4"}]
        data["mqtt"] = {"host": broker.host, "port": broker.port, "require_broker": True}
        data["mqtt"]["commands"] = {"senders": ["operator", "deputy"]}
        data["decision"] |= decision
        self.base = SiteSettings.model_validate(data)
        self.folder = folder
        self.clock = Clock()
        self.changes = Changes(folder, self.base)
        self.cameras = Cameras(self.changes.applied())
        self.outbox = Outbox(folder, self.base.mqtt.outbox)
        wire = Wire("yard", "box1", self.outbox.boot_id)
        self.publisher = Publisher(
            self.base.mqtt, self.outbox, client_id="box-1", will=wire.will()
        )
        self.commander = Commander(
            self.cameras.site,
            wire,
            self.outbox,
            self.cameras,
            camera,
            changes=self.changes,
            audit=Audit(folder),
            clock=self.clock,
        )
        self.publisher.listen(self.commander)

    def __enter__(self) -> Self:
        self.commander.start()
        self.publisher.start()
        self.settle()
        return self

    def settle(self) -> None:
        """Wait until the broker knows what the box listens to, and has sent all that it had.

        Its word on a message comes behind both.
        """
        self.outbox.offer(post(0))
        assert self.outbox.drain(TIMEOUT_S) == 0

    def __exit__(self, *_: object) -> None:
        self.publisher.stop()
        self.commander.stop()
        self.outbox.close()


Ask = Callable[..., Answer]


def noted(folder: Path, name: str = AUDIT) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]
