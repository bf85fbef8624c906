"""The command line of export, which is read without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_export_help_is_shown_without_torch() -> None:
    program = (
        "import sys\n"
        "from ropewatch.cli import parser\n"
        "try:\n    parser().parse_args(['export', 'detector', '--help'])\n"
        "except SystemExit:\n    pass\n"
        "assert not {'torch', 'onnx', 'ultralytics', 'timm'} & set(sys.modules)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "--trust-pickle" in done.stdout


def test_export_says_which_extra_is_missing() -> None:
    program = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from ropewatch.cli import main\n"
        "sys.exit(main(['export', 'detector', '--weights', 'w.pt', '--output', 'o']))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "want the export extra; run scripts/setup --export" in done.stderr


def test_parity_without_weights_needs_no_torch() -> None:
    program = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['onnxslim'] = None\n"
        "import export.chain.parity, export.chain.show, export.chain.command\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_parity_says_what_a_machine_lacks() -> None:
    program = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "without = lambda name, *rest: None if name == 'cv2' else find(name, *rest)\n"
        "importlib.util.find_spec = without\n"
        "from ropewatch.cli import main\n"
        "sys.exit(main(['parity', '--site', 's', '--images', 'i', '--output', 'o']))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "parity: no module cv2, want onnxruntime and opencv-python-headless" in done.stderr


def test_export_wants_both_halves_of_a_polarity(capsys: pytest.CaptureFixture[str]) -> None:
    from ropewatch.cli import main  # noqa: PLC0415 (only the command line is under test here)

    pytest.importorskip("torch", reason="needs scripts/setup --export")
    command = ["export", "classifier", "--weights", "w.pt", "--output", "o"]

    assert main([*command, "--score-label", "unroped"]) == 1

    assert "--score-label unroped, --alert-when None, want both or neither" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--trusted-digest", "abc", "want a sha256 of 64 hex digits"),
        ("--size-wh", "640", "want WIDTHxHEIGHT in px, such as 640x384"),
        ("--batch", "0", "want dynamic or a number from 1 to 1024"),
        ("--classes", "person,person", "want names between commas, each once"),
        ("--name", "../person", "want letters, digits, dot, - and _"),
    ],
)
def test_export_says_what_an_option_wants(
    capsys: pytest.CaptureFixture[str], option: str, value: str, message: str
) -> None:
    from ropewatch.cli import main  # noqa: PLC0415 (only the command line is under test here)

    with pytest.raises(SystemExit, match="2"):
        main(["export", "detector", "--weights", "w.pt", "--output", "o", option, value])

    assert message in capsys.readouterr().err
