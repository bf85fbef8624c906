"""`ropewatch listen` with arguments that cannot work; no broker is needed to refuse them."""

from pathlib import Path

import pytest

from ropewatch.cli import main, parser
from ropewatch.client import Subscriber
from ropewatch.errors import BrokerError, SettingsError


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--site-name a#", "argument --site-name: 'a#', want a name as in the site file (letters"),
        ("--site-name #", "argument --site-name: '#', want a name as in the site file"),
        ("--box a/b", "argument --box: 'a/b', want a name as in the site file (letters, digits, "),
        ("--box ++", "at most), or + for all"),
        ("--port 70000", "argument --port: '70000', want a TCP port from 1 to 65535"),
        ("--port 0", "argument --port: '0', want a TCP port from 1 to 65535"),
        ("--port mqtt", "argument --port: 'mqtt', want a TCP port from 1 to 65535"),
        ("--shared a/b", "argument --shared: 'a/b', want a name without /, +, # and spaces"),
        ("--count 0", "argument --count: '0', want a number of messages from 1 to 1000000000"),
        ("--count 1.5", "argument --count: '1.5', want a number of messages from 1"),
        ("--timeout-s 0", "argument --timeout-s: '0', want seconds above 0 and up to 31536000"),
        ("--timeout-s nan", "argument --timeout-s: 'nan', want seconds above 0"),
        ("--timeout-s inf", "argument --timeout-s: 'inf', want seconds above 0"),
        ("--timeout-s soon", "argument --timeout-s: 'soon', want seconds above 0"),
    ],
)
def test_argument_that_cannot_work_ends_with_exit_code_2_and_is_named(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["listen", *words.split()])

    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_arguments_that_can_work_are_taken() -> None:
    words = "listen --site-name north-tower --box + --port 65535 --count 1 --timeout-s 0.5"

    args = parser().parse_args(words.split())

    assert (args.site_name, args.box, args.port, args.count, args.timeout_s) == (
        "north-tower",
        "+",
        65535,
        1,
        0.5,
    )


def test_ca_file_that_cannot_be_used_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "README.md"
    text.write_text("no certificate\n")

    assert main(["listen", "--ca-file", "/nope"]) == 1
    assert main(["listen", "--ca-file", str(text)]) == 1

    absent, no_certificate = capsys.readouterr().err.splitlines()
    assert absent == (
        "error: ca_file: /nope: No such file or directory, want readable PEM files of "
        "certificates; correct the path"
    )
    assert no_certificate.startswith(f"error: ca_file: {text}: ")
    assert no_certificate.endswith(", want readable PEM files of certificates; correct the path")


def test_ca_file_of_a_subscriber_is_refused_before_it_connects() -> None:
    with pytest.raises(SettingsError, match=r"ca_file: /nope: No such file"):
        Subscriber("127.0.0.1", 1, ("a",), ca_file="/nope")


def test_certificate_without_tls_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"cert_file: me\.pem: set without ca_file, want both"):
        Subscriber("127.0.0.1", 1, ("a",), cert_file="me.pem")


def test_password_without_user_name_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROPEWATCH_TEST_PW", "secret")

    assert main(["listen", "--password-env", "ROPEWATCH_TEST_PW"]) == 1

    message = "error: --password-env: set without --username, want both; add --username"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("host", ["", "a..b"])
def test_host_that_is_no_name_is_a_broker_error(host: str) -> None:
    with (
        pytest.raises(BrokerError, match=r"want a broker; start it, or correct host and port"),
        Subscriber(host, 1883, ("a",)),
    ):
        pass
