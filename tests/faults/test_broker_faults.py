"""A broker that dies, hangs, forgets, refuses, and can take little."""

import subprocess
import time
from collections.abc import Callable

import pytest

from tests.faults.judge import Judgement
from tests.faults.rig import LONG_ONLY, PATIENT, Rig

pytestmark = [pytest.mark.broker, pytest.mark.slow]

Note = Callable[[str, Judgement], None]
# More than the payload of many incidents, less than that of others and of every picture.
SMALL_PACKET_BYTES = 1900


@pytest.mark.parametrize(
    ("fault", "orderly", "persistent"),
    [
        ("broker killed", False, False),
        pytest.param("broker restarted, its state lost", True, False, marks=LONG_ONLY),
        pytest.param("broker restarted, its state kept", True, True, marks=LONG_ONLY),
    ],
)
def test_a_broker_goes_and_comes_back(
    rig: Rig, verdict: Note, long_form: bool, fault: str, orderly: bool, persistent: bool
) -> None:
    if persistent:
        (rig.folder / "broker").mkdir(mode=0o777)
        (rig.folder / "broker").chmod(0o777)
        location = f"persistence true\npersistence_location {rig.folder / 'broker'}/\nuser root\n"
        rig.restart_broker(away_s=0, config=PATIENT + location)
    box = rig.start()
    rig.wait_for_box()
    rounds, away_s = (4, 6.0) if long_form else (1, 1.5)

    for _ in range(rounds):
        rig.watch(box, 1.0)
        rig.restart_broker(away_s=away_s, orderly=orderly)
        rig.watch(box, 1.0)

    assert rig.end(box) == 0
    judgement = rig.judge()
    assert judgement.late > 0
    verdict(f"{fault}, {rounds} x {away_s:g} s", judgement)


def test_a_broker_hangs(rig: Rig, verdict: Note, long_form: bool) -> None:
    box = rig.start()
    rig.wait_for_box()
    hangs_s = 30.0 if long_form else 3.0
    rig.watch(box, 1.0)

    rig.broker.pause()
    rig.watch(box, hangs_s)
    rig.broker.resume()
    rig.watch(box, 1.0)

    assert rig.end(box) == 0
    judgement = rig.judge()
    assert judgement.late > 0
    verdict(f"broker paused (SIGSTOP) for {hangs_s:g} s", judgement)


def test_a_broker_refuses_the_password_for_some_time(
    rig: Rig, verdict: Note, long_form: bool
) -> None:
    right, wrong = rig.folder / "right", rig.folder / "wrong"
    for file, password in ((right, "box"), (wrong, "another")):
        program = ["mosquitto_passwd", "-c", "-b", str(file), "box", password]
        subprocess.run(program, check=True)
        file.chmod(0o644)
    # Who gives no name may listen: the witness.
    config = f"{PATIENT}allow_anonymous true\nuser root\npassword_file "
    rig.restart_broker(away_s=0, config=config + str(wrong))
    box = rig.start(username="box")
    rig.wait_for_box()
    refused_s = 20.0 if long_form else 1.5

    rig.watch(box, refused_s)
    rig.restart_broker(away_s=0, config=config + str(right))
    rig.watch(box, 1.0)

    assert rig.end(box) == 0
    judgement = rig.judge()
    assert judgement.late > 0
    assert rig.counts["broker_refusals"] > 0
    verdict(f"password refused for {refused_s:g} s", judgement)


def test_a_broker_does_not_allow_the_topics_for_some_time(
    rig: Rig, verdict: Note, long_form: bool
) -> None:
    open_list, closed_list = rig.folder / "open", rig.folder / "closed"
    open_list.write_text("topic readwrite #\n")
    closed_list.write_text("topic read #\ntopic write ropewatch/v1/+/+/status\n")
    config = f"{PATIENT}user root\nacl_file "
    rig.restart_broker(away_s=0, config=config + str(closed_list))
    box = rig.start()
    refused_s = 20.0 if long_form else 1.0

    rig.wait_for_reason("messages set aside: Not authorized")
    rig.watch(box, refused_s)
    rig.restart_broker(away_s=0, config=config + str(open_list))
    rig.watch(box, 2.0)

    # What is set aside may be left to the next run.
    rig.end(box)
    judgement = rig.judge(recover=True)
    assert rig.counts["refused_messages"] > 0
    verdict(f"topics not allowed for {refused_s:g} s", judgement)


def test_a_broker_takes_small_packets_only_for_some_time(
    rig: Rig, verdict: Note, long_form: bool
) -> None:
    small = f"{PATIENT}max_packet_size {SMALL_PACKET_BYTES}\n"
    rig.restart_broker(away_s=0, config=small)
    box = rig.start()

    rig.wait_for_reason(f"takes {SMALL_PACKET_BYTES}")
    rig.watch(box, 20.0 if long_form else 0.5)
    rig.restart_broker(away_s=0, config=PATIENT)
    rig.watch(box, 2.0)

    rig.end(box)
    judgement = rig.judge(recover=True)
    assert rig.counts["refused_messages"] > 0
    verdict(f"packets of {SMALL_PACKET_BYTES} bytes only", judgement)


def test_a_broker_takes_one_message_at_a_time(rig: Rig, verdict: Note, long_form: bool) -> None:
    # For the witness too, so that it is slower than the box.
    rig.restart_broker(away_s=0, config="max_queued_messages 1000000\nmax_inflight_messages 1\n")
    box = rig.start(pause_s=0.01)

    rig.watch(box, 20.0 if long_form else 2.0)

    assert rig.end(box) == 0
    verdict("receive maximum of 1", rig.judge())


@LONG_ONLY
def test_a_broker_flaps(rig: Rig, verdict: Note) -> None:
    box = rig.start()
    flaps = 40

    for _ in range(flaps):
        rig.watch(box, 0.5)
        rig.proxy.cut()
    time.sleep(1.0)

    assert rig.end(box) == 0
    verdict(f"connection reset {flaps} times", rig.judge())
