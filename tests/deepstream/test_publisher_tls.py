"""TLS against a real mosquitto, with certificates made for the test."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trustme

from deepstream.lanes import Lane, Post
from deepstream.outbox import Outbox
from deepstream.publisher import Publisher
from demo.broker import PrivateBroker
from ropewatch.client import Subscriber
from ropewatch.errors import BrokerError, SettingsError
from ropewatch.mqtt_settings import MqttSettings
from ropewatch.wire import Message

pytestmark = pytest.mark.broker

WILL = Message("box/status", b"{}", 1, True, None, "application/json")


class Papers:
    """A certificate authority, the broker's certificate and the box's, as files."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca, self.cert, self.key = folder / "ca.pem", folder / "box.pem", folder / "box.key"
        authority.cert_pem.write_to_path(str(self.ca))
        box = authority.issue_cert("box-1@example.org")
        box.cert_chain_pems[0].write_to_path(str(self.cert))
        box.private_key_pem.write_to_path(str(self.key))
        server = authority.issue_cert("127.0.0.1", "localhost")
        server.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
        server.private_key_pem.write_to_path(str(folder / "server.key"))
        # mosquitto gives up root before it reads its key.
        for file in folder.iterdir():
            file.chmod(0o644)
        folder.chmod(0o755)
        self.config = (
            f"cafile {self.ca}\ncertfile {folder / 'server.pem'}\nkeyfile {folder / 'server.key'}"
        )


@pytest.fixture
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    return Papers(folder)


def send_one(broker: PrivateBroker, *, within_s: float = 60, **tls: Path) -> Outbox:
    settings = MqttSettings.model_validate(
        {
            "host": broker.host,
            "port": broker.port,
            "tls": tls,
            "require_broker": True,
            "connect_timeout_s": within_s,
        }
    )
    with TemporaryDirectory() as folder:
        outbox = Outbox(Path(folder), settings.outbox)
        sender = Publisher(settings, outbox, client_id="box-1", will=WILL)
        sender.start()
        message = Message("box/state", b"hello", 1, True, None, "application/json")
        outbox.offer(Post(message, Lane.STATE))
        assert outbox.drain(60.0) == 0
        sender.stop()
        outbox.close()
    return outbox


def test_messages_travel_over_tls(papers: Papers) -> None:
    with PrivateBroker(extra_config=papers.config) as broker:
        send_one(broker, ca_file=papers.ca)

        with Subscriber(
            broker.host, broker.port, ("box/state",), ca_file=str(papers.ca)
        ) as subscriber:
            assert next(subscriber.messages(60.0)).payload == b"hello"


def test_a_broker_that_wants_a_certificate_gets_ours(papers: Papers) -> None:
    with PrivateBroker(extra_config=f"{papers.config}\nrequire_certificate true") as broker:
        outbox = send_one(broker, ca_file=papers.ca, cert_file=papers.cert, key_file=papers.key)

    assert outbox.counters.delivered == 1


def test_a_certificate_of_somebody_else_is_refused(papers: Papers, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))

    with (
        PrivateBroker(extra_config=papers.config) as broker,
        pytest.raises(BrokerError, match=f"127.0.0.1:{broker.port}: .*certificate"),
    ):
        send_one(broker, ca_file=stranger, within_s=5)


def test_a_broker_without_tls_is_never_spoken_to_in_clear(papers: Papers) -> None:
    with PrivateBroker() as broker, pytest.raises(BrokerError, match="want a broker within 2 s"):
        send_one(broker, ca_file=papers.ca, within_s=2)


def test_a_missing_ca_file_is_named(papers: Papers, tmp_path: Path) -> None:
    with (
        PrivateBroker() as broker,
        pytest.raises(SettingsError, match=r"mqtt\.tls: .*readable PEM"),
    ):
        send_one(broker, ca_file=tmp_path / "gone.pem")
