"""configs/broker with a real mosquitto: who gets in, who may publish what, who receives it."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from paho.mqtt import client as mqtt

from demo.broker import PrivateBroker
from ropewatch.client import Subscriber
from ropewatch.errors import BrokerError
from tests.house.tree import ROOT
from tests.publishing import new_client, publish, wait_until_ready

pytestmark = pytest.mark.broker

EXAMPLE = ROOT / "configs" / "broker"
BOX_1, BOX_2 = "north-tower/box-1", "south-yard/box-1"
USERS = (BOX_1, BOX_2, "dashboard", "north-tower-siren", "operator")
TIMEOUT_S = 10.0
NOT_AUTHORISED = 0x87
NOBODY_LISTENS = 0x10


class Site:
    """The example's broker with users, each with a password that is the name backwards.

    Args:
        folder: for what belongs to it.
        certificates: users log in by certificates instead.
    """

    def __init__(self, folder: Path, *, certificates: bool = False) -> None:
        self._folder, self._certificates = folder, certificates
        self.ca = folder / "ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca))
        server = authority.issue_cert("127.0.0.1", "localhost")
        server.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
        server.private_key_pem.write_to_path(str(folder / "server.key"))
        for user in USERS:
            papers = authority.issue_cert(f"{user.replace('/', '.')}.example", common_name=user)
            papers.private_key_and_cert_chain_pem.write_to_path(str(self._paper(user)))
        passwords = folder / "ropewatch.passwd"
        passwords.write_text("".join(f"{user}:{user[::-1]}\n" for user in USERS))
        subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
        # Root for the test's folder alone: mosquitto would give it up before it reads the files.
        self.broker = PrivateBroker(extra_config=f"{self._config()}\nuser root")

    def _paper(self, user: str) -> Path:
        return self._folder / f"{user.replace('/', '-')}.pem"

    def _config(self) -> str:
        text = (EXAMPLE / "mosquitto.conf").read_text("utf-8")
        assert "\nlistener 8883\n" in text
        text = text.replace("\nlistener 8883\n", "\n")
        text = text.replace("/etc/mosquitto/certs", str(self._folder))
        text = text.replace("/etc/mosquitto/ropewatch.acl", str(EXAMPLE / "ropewatch.acl"))
        text = text.replace("/etc/mosquitto", str(self._folder))
        if self._certificates:
            for line in ("cafile", "require_certificate", "use_identity_as_username"):
                assert f"\n#{line}" in text
                text = text.replace(f"\n#{line}", f"\n{line}")
            text = text.replace("\npassword_file", "\n#password_file")
        return text.replace("/var/lib/mosquitto", str(self._folder))

    def inbox(self, user: str, topic: str) -> Subscriber:
        return Subscriber(
            self.broker.host,
            self.broker.port,
            (topic,),
            username=user,
            password=user[::-1],
            ca_file=str(self.ca),
        )

    def publish(self, user: str, *topics: str) -> list[int]:
        """Publish the topic's own name on each topic; return the broker's reason codes."""
        pairs = [(topic, topic.encode()) for topic in topics]
        return publish(self.broker.host, self.broker.port, pairs, self.client(user))

    def client(self, user: str, client_id: str = "") -> mqtt.Client:
        """Return a client of a user that is not connected yet."""
        client = new_client(client_id)
        if self._certificates:
            client.tls_set(str(self.ca), certfile=str(self._paper(user)))
        else:
            client.username_pw_set(user, user[::-1])
            client.tls_set(str(self.ca))
        return client


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    with made.broker:
        yield made


def join(site: Site, client: mqtt.Client) -> None:
    """Connect, and stay."""
    client.connect(site.broker.host, site.broker.port)
    client.loop_start()
    wait_until_ready(client)


def vanish(site: Site, client: mqtt.Client) -> None:
    """Connect, and end the connection without a word, so that the will counts."""
    join(site, client)
    socket = client.socket()
    assert socket is not None
    client.loop_stop()
    socket.close()


def of(box: str, rest: str) -> str:
    return f"ropewatch/v1/{box}/{rest}"


def test_a_box_publishes_as_itself_and_as_nobody_else(site: Site) -> None:
    mine = [of(BOX_1, rest) for rest in ("status", "camera/gate/incident")]
    others = [
        of(BOX_2, "status"),
        of(BOX_2, "camera/gate/incident"),
        of(BOX_2, "command/operator/ping"),
        "ropewatch/v1/north-tower/status",
    ]
    with site.inbox("dashboard", "ropewatch/v1/#") as inbox:
        codes = site.publish(BOX_1, *others, *mine)
        received = [next(inbox.messages(TIMEOUT_S)).topic for _ in mine]
        more = list(inbox.messages(0.3))

    assert codes == [NOT_AUTHORISED] * 4 + [0] * 2
    assert received == mine
    assert more == []


def test_a_consumer_cannot_publish_anything(site: Site) -> None:
    topics = [
        of(BOX_1, "status"),
        of(BOX_1, "camera/gate/incident"),
        of(BOX_1, "command/operator/ping"),
        of(BOX_1, "command/dashboard/ping"),
        "ropewatch/v1/dashboard/status",
        "anything",
    ]

    assert site.publish("dashboard", *topics) == [NOT_AUTHORISED] * len(topics)
    assert site.publish("north-tower-siren", *topics) == [NOT_AUTHORISED] * len(topics)


def test_who_may_read_one_site_or_no_box_receives_nothing_else(site: Site) -> None:
    with (
        site.inbox("north-tower-siren", "ropewatch/v1/#") as siren,
        site.inbox(BOX_2, "ropewatch/v1/#") as other_box,
    ):
        site.publish(BOX_2, of(BOX_2, "camera/yard/incident"))
        site.publish(BOX_1, of(BOX_1, "camera/gate/incident"))

        assert next(siren.messages(TIMEOUT_S)).topic == of(BOX_1, "camera/gate/incident")
        assert list(siren.messages(0.3)) == []
        assert list(other_box.messages(0.3)) == []


def test_commands_come_from_those_permitted_under_their_own_name(site: Site) -> None:
    good = of(BOX_1, "command/operator/ping")
    under_another_name = of(BOX_1, "command/dashboard/ping")
    with site.inbox(BOX_1, of(BOX_1, "command/+/+")) as box:
        codes = site.publish("operator", good, under_another_name, of(BOX_1, "status"))
        received = [message.topic for message in box.messages(0.5)]

    assert codes == [0, NOT_AUTHORISED, NOT_AUTHORISED]
    assert received == [good]


def test_shared_subscriptions_obey_the_same_rights(site: Site) -> None:
    topic = of(BOX_1, "camera/gate/incident")
    with (
        site.inbox("dashboard", "$share/wall/ropewatch/v1/#") as permitted,
        site.inbox(BOX_2, "$share/spies/ropewatch/v1/#") as not_permitted,
    ):
        assert site.publish(BOX_1, topic) == [0]

        assert next(permitted.messages(TIMEOUT_S)).topic == topic
        assert list(not_permitted.messages(0.3)) == []


@pytest.mark.parametrize("topic", ["$SYS/#", "$share/spies/$SYS/#"])
@pytest.mark.parametrize("user", [BOX_1, "dashboard", "operator"])
def test_nobody_reads_what_the_broker_says_of_itself(user: str, topic: str, site: Site) -> None:
    with site.inbox(user, topic) as inbox:
        assert list(inbox.messages(0.5)) == []


@pytest.mark.parametrize("user", [BOX_1, "dashboard"])
def test_the_will_of_one_is_not_published_as_another_one_s(user: str, site: Site) -> None:
    dying = site.client(user)
    dying.will_set(of(BOX_2, "status"), b"offline", 1, retain=True)
    with (
        site.inbox("north-tower-siren", of(BOX_1, "#")) as own,
        site.inbox("operator", "#") as all_,
    ):
        vanish(site, dying)
        dying = site.client(BOX_1)
        dying.will_set(of(BOX_1, "status"), b"offline", 1, retain=True)
        vanish(site, dying)

        assert next(all_.messages(TIMEOUT_S)).topic == of(BOX_1, "status")
        assert next(own.messages(TIMEOUT_S)).topic == of(BOX_1, "status")
        assert list(all_.messages(0.3)) == []


def test_nobody_throws_a_box_off_by_its_client_id(site: Site) -> None:
    """Not by the one that it gives, nor by its user's name."""
    box, *others = (
        site.client(BOX_1, "box"),
        site.client("dashboard", "box"),
        site.client("operator", BOX_1),
    )
    gone = threading.Event()
    box.on_disconnect = lambda *_: gone.set()

    for each in (box, *others):
        join(site, each)

    assert not gone.wait(0.5)
    for each in (box, *others):
        each.disconnect()
        each.loop_stop()


def test_what_is_planted_and_retained_is_refused_where_it_is_not_ones_own(site: Site) -> None:
    planted = [of(BOX_2, "camera/gate/incident"), of(BOX_2, "command/operator/set"), "$SYS/x"]

    for user in (BOX_1, "dashboard", "operator"):
        mine = [t for t in planted if user != "operator" or "/command/" not in t]
        pairs = [(topic, b"planted") for topic in mine]
        where = (site.broker.host, site.broker.port)
        codes = publish(*where, pairs, site.client(user), retain=True)
        assert codes == [NOT_AUTHORISED] * len(mine)

    with site.inbox("dashboard", "#") as inbox:
        assert list(inbox.messages(0.5)) == []


def test_strangers_and_wrong_passwords_do_not_get_in(site: Site) -> None:
    where = (site.broker.host, site.broker.port, ("#",))

    for username, password in ((None, None), ("dashboard", "guess")):
        with (
            pytest.raises(BrokerError, match="refused: Not authorized"),
            Subscriber(*where, ca_file=str(site.ca), username=username, password=password),
        ):
            pass


def test_plain_text_does_not_get_in(site: Site) -> None:
    with (
        pytest.raises(BrokerError, match=r"no answer|connection lost"),
        Subscriber(site.broker.host, site.broker.port, ("#",)),
    ):
        pass


def test_a_certificate_names_a_box_as_a_password_does(tmp_path: Path) -> None:
    site = Site(tmp_path, certificates=True)
    with site.broker:
        codes = site.publish(BOX_1, of(BOX_1, "status"), of(BOX_2, "status"))
        with (
            pytest.raises(BrokerError, match=r"connection lost|want a broker"),
            site.inbox("dashboard", "ropewatch/v1/#"),
        ):
            pass

    assert codes == [NOBODY_LISTENS, NOT_AUTHORISED]


def test_a_certificate_of_another_authority_is_nobody_s(tmp_path: Path) -> None:
    site = Site(tmp_path, certificates=True)
    forged = trustme.CA().issue_cert("box.example", common_name=BOX_1)
    paper = tmp_path / "forged.pem"
    forged.private_key_and_cert_chain_pem.write_to_path(str(paper))
    with (
        site.broker,
        pytest.raises(BrokerError, match=r"connection lost|want a broker"),
        Subscriber(
            site.broker.host,
            site.broker.port,
            (of(BOX_1, "command/+/+"),),
            ca_file=str(site.ca),
            cert_file=str(paper),
        ),
    ):
        pass
