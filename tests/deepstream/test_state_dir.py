from pathlib import Path

import pytest

from deepstream.compose import state_dir
from ropewatch.errors import SettingsError
from tests.sites import site

SOURCES = [{"id": "cam", "uri": "/a.mp4"}]


def test_the_folder_of_the_site_file_is_taken_as_it_is() -> None:
    assert state_dir(site(SOURCES, state_dir="/var/x"), {"STATE_DIRECTORY": "/s"}) == Path(
        "/var/x"
    )


@pytest.mark.parametrize(
    ("environment", "base"),
    [
        ({"STATE_DIRECTORY": "/var/lib/rw:/var/lib/other", "XDG_STATE_HOME": "/x"}, "/var/lib/rw"),
        ({"XDG_STATE_HOME": "/x"}, "/x"),
        ({}, "/home/me/.local/state"),
    ],
)
def test_without_one_each_box_has_its_own_below_the_state_home(
    environment: dict[str, str], base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")

    assert state_dir(site(SOURCES), environment) == Path(base) / "ropewatch" / "s-b"


def test_a_user_without_a_home_is_asked_for_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    # A user that the system does not know: a container with --user 4711.
    monkeypatch.setattr(Path, "expanduser", nowhere)

    with pytest.raises(SettingsError, match="state_dir: not set, and this user has no home, want"):
        state_dir(site(SOURCES), {})
