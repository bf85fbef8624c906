"""The corpus of broken configurations, one a code, and our own configurations, which are clean."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from ropewatch.cli import main
from ropewatch.errors import ModelError
from ropewatch.lint.check import check_files
from ropewatch.lint.findings import RULES, Severity
from ropewatch.lint.report import code_table
from ropewatch.nvinfer_keys import CLASS_KEYS, PROPERTY_KEYS, Release

REPOSITORY = Path(__file__).parents[2]
BROKEN = Path(__file__).with_name("broken")


def case_of(code: str, folder: Path) -> Path:
    """Copy a case; engines and libraries are never in the repository, they are made here."""
    copy = folder / code
    shutil.copytree(BROKEN / code, copy)
    if any("parser.so" in one.read_text() for one in copy.glob("*config.*")):
        (copy / "parser.so").write_bytes(b"")
    if code in ("RW210", "RW221", "RW222", "RW223"):
        engine = copy / "person.onnx_b2_gpu0_fp16.engine"
        engine.write_bytes(b"x")
    if code == "RW210":
        written_s = (copy / "person.onnx").stat().st_mtime
        os.utime(engine, (written_s - 60, written_s - 60))
    site = copy / "site.yaml"
    return site if site.exists() else next(copy.glob("config.*"))


def target_of(case: Path) -> Release | None:
    """The release that a case of RW4.. is for."""
    file = case / "target"
    return Release(file.read_text().strip()) if file.exists() else None


def test_every_code_has_a_case_and_every_case_a_code() -> None:
    assert {case.name for case in BROKEN.iterdir()} == set(RULES)


@pytest.mark.parametrize("code", [case.name for case in sorted(BROKEN.iterdir())])
def test_each_case_gives_exactly_its_finding(code: str, tmp_path: Path) -> None:
    findings = check_files([case_of(code, tmp_path)], target_of(BROKEN / code))
    assert [one.code for one in findings] == [code]
    assert findings[0].line >= 1
    assert findings[0].reason
    assert findings[0].fix


def test_shipped_configurations_and_sites_are_clean(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "configs", tmp_path / "configs")
    shutil.copytree(REPOSITORY / "demo" / "models", tmp_path / "demo" / "models")
    library = tmp_path / "plugins" / "nvdsinfer_ropewatch" / "libnvdsinfer_ropewatch.so"
    library.parent.mkdir(parents=True)
    # The library is built by scripts/setup and is no part of the repository.
    library.write_bytes(b"")
    configs = tmp_path / "configs"
    files = [*sorted((configs / "nvinfer").glob("*.txt")), *sorted(configs.glob("*.yaml"))]
    assert len(files) >= 6
    assert check_files(files) == []
    assert check_files(files, Release.DS_9_1) == []
    # On 7.1 only what nobody here can know.
    notes = {(one.code, one.severity) for one in check_files(files, Release.DS_7_1)}
    assert notes == {("RW403", Severity.NOTE), ("RW404", Severity.NOTE)}


def test_a_finding_names_the_line_and_the_nearest_key() -> None:
    (finding,) = check_files([BROKEN / "RW001" / "config.txt"])
    line = (BROKEN / "RW001" / "config.txt").read_text().splitlines()[finding.line - 1]
    assert line == "batch-sise=2"
    assert finding.fix == "write batch-size"


def test_a_refused_value_is_not_taken_for_the_default(tmp_path: Path) -> None:
    text = (BROKEN / "RW110" / "config.txt").read_text()
    path = tmp_path / "config.txt"
    path.write_text(text.replace("[property]", "[property]\ncluster-mode=7", 1))

    codes = [one.code for one in check_files([path])]

    assert "RW002" in codes
    assert "RW110" not in codes


def test_a_value_in_a_group_that_nvinfer_does_not_read_is_no_error(tmp_path: Path) -> None:
    path = case_of("RW010", tmp_path)
    path.write_text(path.read_text() + "\n[class-attrs-0]\nnms-iou-threshold=seven\n")

    assert {one.code for one in check_files([path])} == {"RW010"}


def test_what_only_building_reads_may_be_absent_beside_an_engine(tmp_path: Path) -> None:
    path = case_of("RW209", tmp_path)
    text = path.read_text()
    (engine,) = re.findall(r"model-engine-file=(.*)", text)
    path.write_text(text + "\n[property]\nint8-calib-file=gone.bin\n")
    assert "RW011" in {one.code for one in check_files([path])}

    path.with_name(engine).write_bytes(b"")

    assert "RW011" not in {one.code for one in check_files([path])}


@pytest.mark.parametrize("text", ["[property]\nno equals sign\n", "gie-unique-id=1\n", "", "\xff"])
def test_what_glib_refuses_is_unusable(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.txt"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r"config\.txt"):
        check_files([path])


def test_the_exit_code_says_clean_findings_or_unusable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = REPOSITORY / "configs" / "nvinfer" / "demo_rope.txt"
    assert main(["check", str(clean)]) == 0
    assert main(["check", str(BROKEN / "RW111" / "config.txt")]) == 1
    assert "RW111: topk=0" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "nowhere.txt")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_json_and_sarif_carry_the_same_findings(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(BROKEN / "RW102" / "config.txt")
    main(["check", "--format", "json", path])
    (one,) = json.loads(capsys.readouterr().out)
    main(["check", "--format", "sarif", path])
    (result,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    assert one["code"] == result["ruleId"] == "RW102"
    region = result["locations"][0]["physicalLocation"]["region"]
    assert one["line"] == region["startLine"] > 1


@pytest.mark.parametrize("name", [*PROPERTY_KEYS, *CLASS_KEYS, *RULES])
def test_every_key_and_every_code_is_explained(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", name]) == 0
    assert capsys.readouterr().out.startswith(name)


def test_an_unknown_name_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "cluster-mod"]) == 1
    assert "did you mean cluster-mode" in capsys.readouterr().err


def test_the_document_has_the_table_of_the_rules() -> None:
    assert code_table() in (REPOSITORY / "docs" / "check.md").read_text(encoding="utf-8")


def test_every_field_pitfall_has_a_code_or_a_reason() -> None:
    text = (REPOSITORY / "docs" / "check.md").read_text(encoding="utf-8")
    table = text.partition("## Field pitfalls")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("| ") and line[2].isdigit()
    ]

    assert [int(row[0]) for row in rows] == list(range(1, 63))
    for number, symptom, codes, rest in rows:
        assert symptom, number
        found = re.findall(r"RW\d{3}", codes)
        assert set(found) <= set(RULES), number
        assert found or rest, number


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("probationAge: 0", "probationAge: 3", "probationAge: 3"),
        # What is not said is the default, which is five frames without a newcomer.
        (
            "  probationAge: 0",
            "  minIouDiff4NewTarget: 1",
            "probationAge is missing, 5 by default",
        ),
        ("TargetManagement:\n  probationAge: 0", "", "probationAge is missing, 5 by default"),
        # NVIDIA's own files have their licence first.
        ("%YAML:1.0\n", "# A licence.\n%YAML:1.0\nStateEstimator: {}\n", None),
        (
            "probationAge: 0",
            "probationAge: 0\nDataAssociator:\n  associationMatcherType: 1",
            "tentativeDetectorConfidence: 0.5 above pre-cluster-threshold=0.35",
        ),
    ],
)
def test_what_the_tracker_would_drop_is_found(
    tmp_path: Path, old: str, new: str, said: str | None
) -> None:
    site = case_of("RW311", tmp_path)
    tracker = site.with_name("tracker.yml")
    text = tracker.read_text().replace("minDetectorConfidence: 0.6", "minDetectorConfidence: 0.1")
    assert old in text
    tracker.write_text(text.replace(old, new))

    wanted = [] if said is None else [("RW311", said)]
    assert [(one.code, one.what) for one in check_files([site])] == wanted


def test_more_people_than_the_tracker_s_default_number_of_targets_is_found(tmp_path: Path) -> None:
    site = case_of("RW311", tmp_path)
    tracker = site.with_name("tracker.yml")
    tracker.write_text(tracker.read_text().replace("Confidence: 0.6", "Confidence: 0.1"))
    config = site.with_name("person.config.txt")
    config.write_text(config.read_text() + "\n[class-attrs-0]\ntopk=31\n")

    (found,) = check_files([site])

    assert found.what == "maxTargetsPerStream is missing, 30 by default, below topk=31"


def test_the_person_s_own_class_group_counts_before_that_of_all(tmp_path: Path) -> None:
    site = case_of("RW311", tmp_path)
    config = site.with_name("person.config.txt")
    config.write_text(config.read_text() + "\n[class-attrs-0]\npre-cluster-threshold=0.7\n")
    assert check_files([site]) == []

    config.write_text(config.read_text().replace("threshold=0.7", "threshold=1.5"))

    (found,) = check_files([site])
    assert (found.code, found.what) == ("RW306", "pre-cluster-threshold=1.5, scores end at 1")


def test_a_camera_of_another_scheme_stays_lost_too(tmp_path: Path) -> None:
    site = case_of("RW314", tmp_path)
    text = site.read_text().replace(", rtsp_reconnect_interval_s: 0", "")
    site.write_text(text.replace("rtsp://192", "rtsps://192"))

    found = check_files([site], target_of(BROKEN / "RW314"))

    assert [one.code for one in found] == ["RW314"]
    assert found[0].what == "sources.0.uri: rtsps (one)"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("=35", "=0.35"), None),
        (("=35", "=1"), None),
        (("classes=1", "classes=2"), "pre-cluster-threshold=35"),
        (
            ("=35", "=0.35\n[class-attrs-0]\npre-cluster-threshold=1.5"),
            "pre-cluster-threshold=1.5",
        ),
        # One class of two is shut out, which somebody may want.
        (("classes=1", "classes=2\n[class-attrs-1]\npre-cluster-threshold=0.4"), None),
        (("classes=1", "classes=2\nfilter-out-class-ids=1;0"), "filter-out-class-ids=1;0"),
        (("classes=1", "classes=1\nparse-bbox-func-name=F\ncustom-lib-path=parser.so"), "=35"),
    ],
)
def test_a_detector_of_which_no_class_passes_is_named(
    tmp_path: Path, change: tuple[str, str], line: str | None
) -> None:
    path = case_of("RW125", tmp_path)
    path.write_text(path.read_text().replace(*change))
    lines = path.read_text().splitlines()

    found = [lines[one.line - 1] for one in check_files([path]) if one.code == "RW125"]

    assert len(found) == (line is not None)
    assert all(line in one for one in found if line)


@pytest.mark.parametrize(("threshold", "named"), [("70", True), ("1", True), ("0.99", False)])
def test_a_classifier_whose_threshold_no_score_passes_is_named(
    tmp_path: Path, threshold: str, *, named: bool
) -> None:
    path = case_of("RW123", tmp_path)
    before = path.read_text()
    path.write_text(before.replace("classifier-threshold=0", f"classifier-threshold={threshold}"))

    assert ("RW125" in {one.code for one in check_files([path])}) is named


def test_a_model_that_a_librarys_function_builds_needs_no_file(tmp_path: Path) -> None:
    path = case_of("RW126", tmp_path)
    assert "RW126" in {one.code for one in check_files([path])}

    path.write_text(path.read_text() + "\n[property]\nengine-create-func-name=Build\n")

    assert "RW126" not in {one.code for one in check_files([path])}


@pytest.mark.parametrize(
    ("dims", "keys", "named"),
    [
        ("3;192;320", "", False),
        ("1;192;320", "", True),
        ("3;192;320", "model-color-format=2", True),
        ("1;192;320", "model-color-format=2", False),
        ("192;320;3", "network-input-order=1", False),
        ("192;320;3", "input-tensor-from-meta=1", False),
    ],
)
def test_dims_of_other_channels_than_the_colours_are_named(
    tmp_path: Path, dims: str, keys: str, *, named: bool
) -> None:
    path = case_of("RW127", tmp_path)
    path.write_text(path.read_text().replace("192;320;3", f"{dims}\n{keys}"))

    assert ("RW127" in {one.code for one in check_files([path])}) is named
