"""A whole box that is asked, changed, and changed back while it watches."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.broker import PrivateBroker
from ropewatch.asking import Line, ask
from ropewatch.client import Subscriber
from ropewatch.commands import AnswerStatus, Code
from ropewatch.topics import SNAPSHOT
from tests.pipeline.running import finish, start
from tests.pipeline.tiny_site import make_clip, tiny_site, write_models

pytestmark = [pytest.mark.gst, pytest.mark.broker, pytest.mark.timeout(90)]

LINE = Line("s", "b", "operator")
WAIT_S = 30.0
# All but the top of the picture, where nobody stands.
LOW = {"name": "low", "kind": "exclude", "polygon": [[0, 0.2], [1, 0.2], [1, 1], [0, 1]]}


def data_of(inbox: Subscriber) -> Iterator[dict[str, Any]]:
    for message in inbox.messages(WAIT_S):
        yield json.loads(message.payload)["data"]


def test_a_running_box_answers_changes_its_mind_and_says_by_which_settings(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    write_models(tmp_path)
    clip = make_clip(tmp_path / "unsafe.mp4", [("white", 30)])
    mqtt = {"host": broker.host, "port": broker.port, "commands": {"senders": ["operator"]}}
    site = tiny_site(
        tmp_path,
        {"cam": str(clip)},
        mqtt=mqtt,
        snapshots={"enabled": True},
        decision={"threshold": 0.5, "gone_after_s": 0.5},
    )
    site = site.model_copy(
        update={"sources": (site.sources[0].model_copy(update={"loop": True}),)}
    )
    where = (broker.host, broker.port)
    with (
        Subscriber(*where, ("ropewatch/v1/s/b/camera/+/incident",)) as incidents,
        Subscriber(*where, (LINE.answers,)) as answers,
        Subscriber(*where, (SNAPSHOT.filter,)) as pictures,
    ):
        box = start(site, tmp_path)
        try:
            told = data_of(incidents)
            begun = next(told)
            pong = ask(answers, LINE, "ping", {}, timeout_s=WAIT_S)
            ask(answers, LINE, "acknowledge", {"incident_id": begun["incident_id"], "note": "ok"})
            known = next(data for data in told if data["acknowledged"])
            # Nobody is watched any more, so the incident ends.
            change = {"request_id": "c-1", "camera": "cam", "decision": {"threshold": 0.6}}
            changed = ask(answers, LINE, "set", {**change, "zones": [LOW]})
            end = next(data for data in told if data["phase"] == "end")
            confirmed = ask(answers, LINE, "confirm", {"of": "c-1"})
            asked = ask(answers, LINE, "snapshot", {"request_id": "p-1", "camera": "cam"})
            taken = json.loads(next(answers.messages(WAIT_S)).payload)
            names = [taken["picture"]["topic"]]
            picture = next(m for m in pictures.messages(WAIT_S) if m.topic in names)
        finally:
            box.terminate()
        ran = finish(box, tmp_path)

    assert pong.code is Code.OK
    assert known["acknowledged"]["by"] == "operator"
    assert (changed.status, confirmed.code) == (AnswerStatus.APPLIED, Code.CONFIRMED)
    assert (end["threshold"], end["end_reason"]) == (0.6, "left_zone")
    assert end["evidence"]["versions"]["config"] == changed.config_digest
    assert begun["evidence"]["versions"]["config"] == pong.config_digest
    assert changed.config_digest != pong.config_digest
    assert (asked.status, taken["status"]) == (AnswerStatus.ACCEPTED, "applied")
    assert picture.topic == "ropewatch/v1/s/b/camera/cam/snapshot/operator-p-1"
    assert len(picture.payload) == taken["picture"]["size_bytes"]
    assert ran.code == 0, ran.output
    assert json.loads((tmp_path / "state" / "changes.json").read_text())["cam"]["overrides"] == {
        "decision": {"threshold": 0.6},
        "smoothing": {},
        "view": {},
    }
