"""`check --fix`: only what cannot mean anything else, one line at a time, and it holds."""

import difflib
import shutil
from pathlib import Path

import pytest

from ropewatch.cli import main
from ropewatch.errors import ModelError
from ropewatch.lint.check import check_files
from ropewatch.lint.fixing import diff_of, fixed_texts, write_texts
from tests.lint.test_lint_corpus import BROKEN, case_of, target_of

FIXED = {
    *("RW003", "RW005", "RW008", "RW015", "RW016", "RW107", "RW108"),
    *("RW201", "RW202", "RW212", "RW301", "RW302", "RW303", "RW305", "RW312"),
}
CASES = [case.name for case in sorted(BROKEN.iterdir())]


def _fix(path: Path) -> dict[Path, tuple[str, str]]:
    texts = fixed_texts(check_files([path]))
    write_texts(texts)
    return texts


@pytest.mark.parametrize("code", CASES)
def test_a_safe_fix_removes_its_finding_and_no_other_is_made(code: str, tmp_path: Path) -> None:
    path = case_of(code, tmp_path)
    findings = check_files([path], target_of(BROKEN / code))
    assert bool(findings[0].edits) == (code in FIXED)

    _fix(path)

    left = check_files([path], target_of(BROKEN / code))
    assert [one.code for one in left] == ([] if code in FIXED else [code])
    assert _fix(path) == {}


def test_persons_at_the_edge_are_kept_in_a_site_only(tmp_path: Path) -> None:
    site = case_of("RW302", tmp_path)
    config = site.with_name("person.config.txt")
    text = config.read_text()
    config.write_text(text.replace("crop-objects-to-roi-boundary=1\n", ""))

    alone = check_files([config])
    _fix(site)

    assert [(one.code, one.edits) for one in alone] == [("RW115", ())]
    assert "crop-objects-to-roi-boundary=1\n" in config.read_text()


def test_an_onnx_that_the_engine_leads_to_is_taken_out(tmp_path: Path) -> None:
    site = case_of("RW302", tmp_path)
    for file in ("rope.onnx", "rope.onnx.manifest.json"):
        shutil.copy(BROKEN / "RW201" / file, site.with_name(file))
    config = site.with_name("rope.config.txt")
    engine = "model-engine-file=rope.onnx_b16_gpu0_fp16.engine\n"
    config.write_text(config.read_text().replace(engine, engine + "onnx-file=rope.onnx\n"))

    _fix(site)

    assert "onnx-file" not in config.read_text()
    assert engine in config.read_text()


def _written(folder: Path, text: str, name: str = "config.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_comments_order_line_ends_and_rights_stay(tmp_path: Path) -> None:
    text = (
        "# A camera\r\n[property]\r\ngie-unique-id=2\r\n# old\r\nis-classifier = 1\r\n"
        "network-mode=0\r\nworkspace-size=100\r\n\r\n[other]\r\nx=1"
    )
    path = _written(tmp_path, text)
    path.chmod(0o640)

    _fix(path)

    assert path.read_bytes().decode() == text.replace(
        "is-classifier = 1", "network-type = 1"
    ).replace("workspace-size=100\r\n", "")
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["config.txt"]


def test_a_yaml_file_keeps_its_comments_and_indentation(tmp_path: Path) -> None:
    text = (
        "property:\n    gie-unique-id: 1  # of the detector\n    network-mode: 0\n"
        "    maintain-aspect-ratio: true  # letterbox\n"
        "class-attrs-all:\n    threshold: 0.3  # chosen in May\n"
    )
    path = _written(tmp_path, text, "config.yml")

    _fix(path)

    assert path.read_text() == text.replace("ratio: true", "ratio: 1").replace(
        "threshold: 0.3", "pre-cluster-threshold: 0.3"
    )


def test_several_keys_on_one_yaml_line_are_refused(tmp_path: Path) -> None:
    text = "property: {gie-unique-id: 1, network-mode: 0, enable-dla: true}\n"
    path = _written(tmp_path, text, "config.yml")

    with pytest.raises(ModelError, match=r"not one key a line, want .* on its own line"):
        _fix(path)

    assert path.read_text() == text


def test_a_new_key_goes_behind_the_last_of_its_group(tmp_path: Path) -> None:
    path = case_of("RW301", tmp_path)

    texts = _fix(path)

    ((old, new),) = texts.values()
    changed = [
        line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line[0] != " "
    ]
    assert changed == ["+ secondary-reinfer-interval=0"]
    assert new.splitlines()[-1] == "secondary-reinfer-interval=0"


def test_a_misspelt_line_becomes_the_right_one(tmp_path: Path) -> None:
    site = case_of("RW301", tmp_path)
    config = site.with_name("rope.config.txt")
    before = config.read_text()
    config.write_text(
        before.replace("network-mode", "secondary-reinfer-intervall=5\nnetwork-mode")
    )
    assert {one.code for one in check_files([site])} == {"RW301", "RW313"}

    _fix(site)

    assert check_files([site]) == []
    assert config.read_text() == before.replace(
        "network-mode", "secondary-reinfer-interval=0\nnetwork-mode"
    )


def test_an_old_key_beside_the_new_one_goes(tmp_path: Path) -> None:
    path = _written(
        tmp_path, "[property]\nnetwork-mode=0\nis-classifier=1\nnetwork-type=0\ngie-unique-id=1\n"
    )

    _fix(path)

    assert path.read_text() == "[property]\nnetwork-mode=0\nnetwork-type=0\ngie-unique-id=1\n"


def test_a_linked_file_stays_a_link(tmp_path: Path) -> None:
    real = _written(
        tmp_path, "[property]\ngie-unique-id=1\nnetwork-mode=0\nworkspace-size=9\n", "r"
    )
    link = tmp_path / "config.txt"
    link.symlink_to(real)

    _fix(link)

    assert link.is_symlink()
    assert "workspace-size" not in real.read_text()


def test_a_place_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="want a file in a folder that can be written"):
        write_texts({tmp_path / "gone" / "config.txt": ("", "x")})


def test_diff_shows_and_fix_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = case_of("RW008", tmp_path)
    before = path.read_text()

    assert main(["check", "--diff", str(path)]) == 1
    shown = capsys.readouterr().out
    assert path.read_text() == before
    assert main(["check", "--fix", str(path)]) == 0

    assert "-workspace-size=" in shown
    assert "-workspace-size=" in capsys.readouterr().out
    assert "workspace-size" not in path.read_text()


def test_colours_are_for_a_terminal() -> None:
    texts = {Path("a.txt"): ("x=1\n", "x=2\n")}

    assert "\x1b[31m-x=1\x1b[0m" in diff_of(texts, colour=True)
    assert "\x1b" not in diff_of(texts, colour=False)
