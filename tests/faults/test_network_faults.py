"""A network that is slow, silent, one-sided or gone."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.judge import Judgement
from tests.faults.rig import END_TIMEOUT_S, LONG_ONLY, PATIENT, Rig, start_program

pytestmark = [pytest.mark.broker, pytest.mark.slow]

Note = Callable[[str, Judgement], None]


def test_a_slow_network(rig: Rig, verdict: Note, long_form: bool) -> None:
    rig.proxy.bytes_per_s = 60_000
    box = rig.start()

    rig.watch(box, 30.0 if long_form else 3.0)
    rig.proxy.bytes_per_s = None

    assert rig.end(box) == 0
    verdict("60 kB/s, less than was to be sent", rig.judge())


@pytest.mark.parametrize(
    ("direction", "up", "down"),
    [
        pytest.param("to the broker", True, False, marks=LONG_ONLY),
        ("from the broker", False, True),
        pytest.param("both ways", True, True, marks=LONG_ONLY),
    ],
)
def test_bytes_vanish_before_the_connection_does(
    rig: Rig, verdict: Note, long_form: bool, direction: str, up: bool, down: bool
) -> None:
    box = rig.start()

    for _ in range(5 if long_form else 1):
        rig.watch(box, 1.0)
        rig.proxy.swallows_up, rig.proxy.swallows_down = up, down
        rig.watch(box, 2.0)
        rig.proxy.cut()
        rig.proxy.swallows_up = rig.proxy.swallows_down = False
        rig.watch(box, 1.0)

    assert rig.end(box) == 0
    judgement = rig.judge()
    # What arrived without the box knowing comes again.
    assert up or judgement.copies > 0
    verdict(f"bytes {direction} vanish, then a reset", judgement)


@LONG_ONLY
def test_a_network_falls_silent_until_the_keep_alive_notices(rig: Rig, verdict: Note) -> None:
    box = rig.start()
    rig.wait_for_box()
    rig.watch(box, 1.0)

    rig.proxy.swallows_up = rig.proxy.swallows_down = True
    rig.watch(box, 25.0)
    rig.proxy.swallows_up = rig.proxy.swallows_down = False
    rig.watch(box, 15.0)

    assert rig.end(box) == 0
    judgement = rig.judge()
    assert judgement.late > 0
    verdict("silent for 25 s, keep-alive of 5 s", judgement)


@pytest.fixture
def cable() -> Iterator[tuple[str, str, str]]:
    """Give a network namespace, this side's address and the name of the cable between."""
    number = os.getpid() % 65_000
    space, here, there = f"rw{number}", f"rwa{number}", f"rwb{number}"
    net = f"10.203.{number // 256}"
    low = number % 256 // 2 * 2
    commands = [
        f"ip netns add {space}",
        # paho wakes its own thread over loopback.
        f"ip -n {space} link set lo up",
        f"ip link add {here} type veth peer name {there} netns {space}",
        f"ip address add {net}.{low}/31 dev {here}",
        f"ip link set {here} up",
        f"ip -n {space} address add {net}.{low + 1}/31 dev {there}",
        f"ip -n {space} link set {there} up",
    ]
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed")
    try:
        for command in commands:
            made = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if made.returncode:
                pytest.skip(f"cannot make a network namespace here: {made.stderr.strip()}")
        yield space, f"{net}.{low}", here
    finally:
        subprocess.run(["ip", "netns", "delete", space], capture_output=True, check=False)


def test_a_pulled_cable(
    rig: Rig, verdict: Note, long_form: bool, cable: tuple[str, str, str]
) -> None:
    space, address, link = cable
    listener = f"listener {rig.broker.port + 1} {address}\n"
    rig.restart_broker(away_s=0, config=PATIENT + "allow_anonymous true\n" + listener)
    load = rig.load(host=address, port=rig.broker.port + 1)
    box = start_program(load, {}, "ip", "netns", "exec", space)
    rig.wait_for_box()

    for _ in range(3 if long_form else 1):
        time.sleep(1.0)
        subprocess.run(["ip", "link", "set", link, "down"], check=True)
        time.sleep(15.0 if long_form else 3.0)
        subprocess.run(["ip", "link", "set", link, "up"], check=True)
        time.sleep(1.0)
    box.terminate()

    assert box.wait(END_TIMEOUT_S) == 0
    judgement = rig.judge()
    assert judgement.late > 0
    verdict(f"cable pulled for {15 if long_form else 3} s", judgement)
