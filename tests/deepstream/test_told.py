from pathlib import Path

import pytest

from deepstream.told import TOLD, ToldCameras


def test_cameras_of_a_run_that_was_killed_are_told_until_one_ends_in_order(tmp_path: Path) -> None:
    assert ToldCameras(tmp_path).begin(["gate", "yard"]) == ()
    assert ToldCameras(tmp_path).begin(["gate"]) == ("yard",)
    assert ToldCameras(tmp_path).begin(["gate"]) == ("yard",)

    ToldCameras(tmp_path).end()

    assert ToldCameras(tmp_path).begin(["gate"]) == ()


@pytest.mark.parametrize("content", ["", "{}", '["a/b"]', '["#"]', "[1]"])
def test_a_file_that_is_no_list_of_names_is_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / TOLD).write_text(content)

    assert ToldCameras(tmp_path).begin(["gate"]) == ()


def test_a_disk_that_takes_nothing_stops_no_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = ToldCameras(tmp_path / "file" / "state")

    assert told.begin(["gate"]) == ()
    told.end()
