"""What people write around values and in bytes: taken as nvinfer takes it, with the way out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ropewatch.cli import main
from ropewatch.errors import ModelError
from ropewatch.lint.check import check_files
from ropewatch.lint.findings import Finding
from ropewatch.lint.source import read_config
from tests.lint.test_lint_corpus import case_of

DETECTOR, CLASSIFIER = "RW102", "RW124"


def _changed(folder: Path, code: str, *changes: tuple[str, str]) -> Path:
    path = case_of(code, folder)
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def _of(path: Path, code: str) -> list[Finding]:
    return [one for one in check_files([path]) if one.code == code]


@pytest.mark.parametrize(
    ("old", "new", "code", "fix"),
    [
        ("size=2", "size=2\ninfer-dims=3,192,320", "RW002", "write 3;192;320, with semicolons"),
        ("size=2", "size=2\ninfer-dims=3, 192, 320", "RW002", "write 3;192;320, with semicolons"),
        ("=0.00392156862745098", "=1/255", "RW002", "write 0.003921568627: nobody divides"),
        ("=0.00392156862745098", "=0,0039", "RW002", "write 0.0039, with a point"),
        ("=0.35", "=0.35 # ours", "RW002", "put the comment on a line of its own"),
        ("=0.35", "=0.35 ", "RW002", "take away what is invisible behind the value"),
        ("network-mode=2", "network-mode=fp", "RW002", "0 FP32, 1 INT8, 2 FP16"),
        ("=person.txt", '="person.txt"', "RW011", "take the quotes away"),
        ("=person.txt", "=person.txt ", "RW011", "take away what is invisible"),
        ("=person.txt", "=person.txt # ours", "RW011", "put the comment on a line of its own"),
        ("=person.txt", "=~/person.txt", "RW011", "write the whole path"),
        ("=person.txt", "=$HOME/person.txt", "RW011", "write the whole path"),
        ("=person.txt", "=models\\person.txt", "RW002", "write / for each backslash"),
        ("=person.txt", "=gone.txt", "RW011", "bring the file"),
    ],
)
def test_what_stands_around_a_value_is_told(
    tmp_path: Path, old: str, new: str, code: str, fix: str
) -> None:
    path = _changed(tmp_path, DETECTOR, (old, new))

    (found,) = _of(path, code)

    assert fix in found.fix


def test_an_empty_path_is_the_folder_and_not_nothing(tmp_path: Path) -> None:
    path = _changed(tmp_path, DETECTOR, ("labelfile-path=person.txt", "labelfile-path="))

    (found,) = _of(path, "RW011")

    assert found.what == "labelfile-path: empty, which names the file's own folder"


def test_a_comment_in_another_encoding_is_taken_as_by_glib(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = case_of("RW003", tmp_path)
    path.write_bytes(b"# Gr\xf6\xdfe\r\n" + path.read_bytes())

    assert [one.code for one in check_files([path])] == ["RW003"]
    assert main(["check", "--fix", str(path)]) == 0
    assert path.read_bytes().startswith(b"# Gr\xf6\xdfe\r\n")
    assert "Gr\\xf6\\xdfe" in capsys.readouterr().out


def test_a_value_in_another_encoding_is_refused_as_by_glib(tmp_path: Path) -> None:
    path = case_of(DETECTOR, tmp_path)
    path.write_bytes(path.read_bytes().replace(b"=person.txt", b"=gr\xf6.txt"))

    (found,) = _of(path, "RW002")

    assert found.what.startswith("labelfile-path: 'gr\\udcf6.txt'")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.txt", b"\xef\xbb\xbf[property]\n", r"config\.txt:1: a byte order mark"),
        ("config.txt", "[property]\n".encode("utf-16"), r"config\.txt:1: .*want \[group\]"),
        ("config.txt", b"[Property]\nonnx-file=a\n", r"\[Property\], want \[property\]"),
        ("config.yml", b"property:\n\tbatch-size: 1\n", r"config\.yml:2: found character"),
        (
            "config.yml",
            b"property:\n  b: 2\n  a=1\n  c: 3\n",
            r"config\.yml:3: could not find expected",
        ),
    ],
)
def test_a_file_of_another_form_is_told_with_its_line(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(ModelError, match=said):
        check_files([path])


def test_of_two_equal_groups_in_yaml_the_first_counts(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(
        "property:\n  onnx-file: a.onnx\n  batch-size: 2\nproperty:\n  batch-size: 4\n"
    )

    assert [(one.name, one.text) for one in read_config(path).entries] == [
        ("onnx-file", "a.onnx"),
        ("batch-size", "2"),
    ]
    (found,) = _of(path, "RW003")
    assert (found.line, found.what) == (4, "property, also in line 1, which alone is read")


@pytest.mark.parametrize(
    ("text", "taken"),
    [("20", True), ("0x10", True), ("20 ", True), ("1.5", False), ("20a", False), ("08", False)],
)
def test_integers_of_a_yaml_class_group_are_whole(
    tmp_path: Path, text: str, *, taken: bool
) -> None:
    path = tmp_path / "config.yml"
    path.write_text(
        "property:\n  onnx-file: a.onnx\n  num-detected-classes: 1\n  batch-size: 1.5\n"
        f"class-attrs-all:\n  topk: {text}\n"
    )

    assert len(_of(path, "RW002")) == (not taken)


@pytest.mark.parametrize(
    ("group", "fix"),
    [
        ("class-attr-all", "write class-attrs-all"),
        ("Property", "write property"),
        ("tests", "correct the group's name, or take it out"),
    ],
)
def test_a_misspelt_group_gets_the_nearest(tmp_path: Path, group: str, fix: str) -> None:
    path = case_of("RW111", tmp_path)
    path.write_text(path.read_text() + f"\n[{group}]\ntopk=1\n")

    (found,) = _of(path, "RW004")

    assert found.fix == fix


@pytest.mark.parametrize(
    ("key", "fix"), [("workspace-size=9", "trtexec"), ("proto-file=a", "Caffe and UFF are gone")]
)
def test_a_key_that_does_nothing_says_what_does_it_today(
    tmp_path: Path, key: str, fix: str
) -> None:
    path = _changed(tmp_path, DETECTOR, ("[property]", f"[property]\n{key}"))

    (found,) = _of(path, "RW008")

    assert fix in found.fix


def test_what_was_refused_is_not_called_missing(tmp_path: Path) -> None:
    path = _changed(
        tmp_path,
        DETECTOR,
        ("scaling-filter=1", "scaling-filter=bilinear"),
        ("symmetric-padding=1", "symmetric-padding=1\nmaintain-aspect-ratio=yes"),
        ("model-engine-file=", "onnx-file=\\m"),
    )

    assert {one.code for one in check_files([path])} == {"RW002"}


@pytest.mark.parametrize(
    ("mode", "more", "named"),
    [
        ("1", "", True),
        ("3", "", True),
        ("2", "", False),
        ("1", "engine-create-func-name=F", False),
    ],
)
def test_int8_needs_a_cache_unless_a_library_builds(
    tmp_path: Path, mode: str, more: str, *, named: bool
) -> None:
    path = _changed(tmp_path, DETECTOR, ("network-mode=2", f"network-mode={mode}\n{more}"))

    assert bool(_of(path, "RW109")) is named


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("offsets=0.485;0.456;0.406", "write 123.675;116.28;103.53, if"),
        ("offsets=0;0;0", None),
        ("offsets=123.675;116.28;103.53", None),
        ("net-scale-factor=255", "which is 1/255"),
        ("net-scale-factor=1", None),
    ],
)
def test_offsets_and_factors_of_another_unit_are_told(
    tmp_path: Path, keys: str, said: str | None
) -> None:
    path = _changed(tmp_path, CLASSIFIER, ("[property]", f"[property]\n{keys}"))

    found = _of(path, "RW128")

    assert len(found) == (said is not None)
    assert all(said in one.fix for one in found if said)


@pytest.mark.parametrize(
    ("labels", "code"),
    [(b"", "RW205"), (b"\n\n", "RW205"), ("ja;für".encode("latin-1"), "RW216")],
)
def test_labels_of_which_nothing_comes_are_named(tmp_path: Path, labels: bytes, code: str) -> None:
    path = case_of(CLASSIFIER, tmp_path)
    path.with_name("rope.txt").write_bytes(labels)

    assert code in {one.code for one in check_files([path])}


def test_dbscan_with_boxes_of_one_class_is_meant(tmp_path: Path) -> None:
    path = case_of("RW129", tmp_path)
    path.write_text(path.read_text() + "\n[class-attrs-0]\nminBoxes=2\n")

    assert _of(path, "RW129") == []


def test_a_path_with_a_blank_is_a_uri_in_sarif(tmp_path: Path) -> None:
    path = case_of("RW102", tmp_path).rename(tmp_path / "my config.txt")
    command = [sys.executable, "-m", "ropewatch.cli", "check", "--format", "sarif", path.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    results = json.loads(done.stdout)["runs"][0]["results"]

    places = [one["locations"][0]["physicalLocation"]["artifactLocation"] for one in results]
    assert {one["uri"] for one in places} == {"my%20config.txt"}


@pytest.mark.parametrize("form", ["text", "sarif"])
def test_findings_are_findings_after_the_reader_has_gone(form: str, tmp_path: Path) -> None:
    path = case_of("RW102", tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "ropewatch.cli", "check", "--format", form, str(path)]

    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)

    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
