"""A training repository of its own, its numbers, and our reconstruction checked against them."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ropewatch.cli import main
from ropewatch.errors import ModelError
from ropewatch.files import sha256_of
from ropewatch.golden import Golden
from ropewatch.manifest import load_verified

torch = pytest.importorskip("torch", reason="needs scripts/setup --export")
cv2 = pytest.importorskip("cv2")
model_module = pytest.importorskip("export.classifier_model")
training = pytest.importorskip("export.training_golden")

pytestmark = pytest.mark.export

ROOT = Path(__file__).parents[2]
LABELS = "rope_ok,rope_not_ok"
BACKBONE = {"embed_dim": 24, "depth": 2, "num_heads": 2, "init_values": 0.5}
# The training code: its own class around timm and torchvision, not ours.
TRAINING = """
import timm, torch
from torch import nn
from torchvision.ops import roi_align

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = timm.create_model("vit_small_patch16_dinov3", num_classes=0, **{backbone})
        self.head = nn.Sequential(
            nn.Linear(24, 16), nn.{activation}(), nn.Dropout({dropout}), nn.Linear(16, 2)
        )

    def forward(self, pixels, rois):
        mean = torch.tensor({mean}).reshape(1, 3, 1, 1)
        std = torch.tensor({std}).reshape(1, 3, 1, 1)
        images = (pixels.float() / 255 - mean) / std
        tokens = self.backbone.forward_features(images)[:, self.backbone.num_prefix_tokens:]
        size = [side // 16 for side in images.shape[-2:]]
        features = tokens.transpose(1, 2).unflatten(2, size)
        pooled = roi_align(features, rois, (7, 7), 1 / 16, {sampling}, {aligned})
        logits = self.head(pooled.mean((2, 3)))
        return {output}

def load(weights):
    net = Net()
    net.load_state_dict(torch.load(weights))
    return net{mode}
"""
DEFAULTS = {
    "backbone": BACKBONE,
    "activation": "GELU",
    "dropout": 0.0,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "sampling": 2,
    "aligned": True,
    "output": "logits",
    "mode": ".eval()",
}


class Repository:
    """A training's checkout: its code, weights, pictures and boxes."""

    def __init__(self, folder: Path, name: str, **changes: Any) -> None:
        self.folder, self.name = folder, name
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").touch()
        code = TRAINING.format(**{**DEFAULTS, **changes})
        (folder / name / "net.py").write_text(code)
        torch.manual_seed(3)
        model = model_module.build_roi_classifier(
            model_module.Architecture(
                labels=("a", "b"), crop_wh=(48, 80), backbone_kwargs=BACKBONE, hidden=(16,)
            )
        )
        with torch.no_grad():
            model.head[-1].weight.mul_(20)  # otherwise all probabilities are about one half
        self.weights = folder / "best.pt"
        torch.save(model.state_dict(), self.weights)
        self.architecture = folder / "architecture.json"
        self.architecture.write_text(json.dumps({"backbone_kwargs": BACKBONE}))
        random = np.random.default_rng(4)
        for number in range(2):
            blobs = random.integers(0, 256, (6, 8, 3)).repeat(16, 0).repeat(16, 1)
            cv2.imwrite(str(folder / f"{number}.png"), blobs.astype(np.uint8))
        self.boxes = folder / "boxes.json"
        self.boxes.write_text(
            json.dumps({"0.png": [[3, 5, 70, 90], [40, 10, 120, 60]], "1.png": [[0, 0, 33, 81.5]]})
        )
        self.golden = folder / "training.npz"

    def make(self, *more: str, gives: str = "logits", factory: str = "load") -> int:
        return main(
            ["export", "golden", "--model", f"{self.name}.net:{factory}", "--weights",
             str(self.weights), "--images", str(self.folder), "--boxes", str(self.boxes),
             "--gives", gives, "--output", str(self.golden), *more]
        )  # fmt: skip

    def export(self, *more: str) -> int:
        return main(
            ["export", "classifier", "--weights", str(self.weights), "--labels", LABELS,
             "--architecture", str(self.architecture), "--crop-wh", "48x80", "--name", "rope",
             "--golden", str(self.golden), "--output", str(self.folder / "out"), *more]
        )  # fmt: skip


@pytest.fixture
def repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., Repository]:
    """Makes a repository with a package name of its own, and works in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = "training_" + "".join(c if c.isalnum() else "_" for c in request.node.name)
    return lambda **changes: Repository(tmp_path, name, **changes)


@pytest.mark.parametrize(
    ("output", "gives"), [("logits", "logits"), ("logits.softmax(1)", "probabilities")]
)
def test_architecture_that_gives_the_trainings_numbers_is_verified(
    repository: Callable[..., Repository], output: str, gives: str
) -> None:
    repo = repository(output=output)

    assert repo.make(gives=gives) == 0
    assert repo.export() == 0

    golden = Golden.load(repo.golden)
    assert golden.origin["weights_sha256"] == sha256_of(repo.weights)
    assert golden.inputs["image_index"].tolist() == [0, 0, 1]
    assert golden.pixels.shape == (2, 3, 96, 128)
    manifest = load_verified(repo.folder / "out" / "rope.onnx")
    assert manifest.architecture_status == "verified"
    assert manifest.parity[-1].quantity == f"{gives} of the training code"


def test_frame_mode_is_verified_as_well(repository: Callable[..., Repository]) -> None:
    repo = repository()
    repo.make()

    main(
        ["export", "classifier", "--weights", str(repo.weights), "--labels", LABELS,
         "--architecture", str(repo.architecture), "--mode", "frame", "--frame-wh", "128x96",
         "--golden", str(repo.golden), "--output", str(repo.folder / "out"), "--name", "rope"]
    )  # fmt: skip

    assert load_verified(repo.folder / "out" / "rope.onnx").architecture_status == "verified"


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"aligned": False}, "they agree with aligned False: give it in --architecture"),
        ({"sampling": 4}, "they agree with sampling_ratio 4: give it"),
        ({"activation": "ReLU"}, "they agree with activation relu: give it"),
        (
            {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
            r"they agree with mean \(0\.5, 0\.5, 0\.5\), std",
        ),
        ({"activation": "Tanh"}, "no other value of one field agrees either"),
        ({"aligned": False, "activation": "ReLU"}, "no other value of one field agrees either"),
        ({"output": "logits.flip(1)"}, "no other value of one field agrees either"),
    ],
)
def test_training_code_that_computes_something_else_is_noticed(
    repository: Callable[..., Repository],
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    advice: str,
) -> None:
    repo = repository(**changes)
    repo.make()

    assert repo.export() == 1

    error = capsys.readouterr().err
    assert "logits differ from the training code's by" in error
    assert re.search(advice, error), error
    assert not (repo.folder / "out").exists()


def test_what_the_advice_says_is_what_helps(repository: Callable[..., Repository]) -> None:
    repo = repository(aligned=False)
    repo.make()
    repo.architecture.write_text(json.dumps({"backbone_kwargs": BACKBONE, "aligned": False}))

    assert repo.export() == 0


def test_numbers_of_other_weights_are_refused(
    repository: Callable[..., Repository], capsys: pytest.CaptureFixture[str]
) -> None:
    repo = repository()
    repo.make()
    state = torch.load(repo.weights)
    state["head.3.bias"] += 1
    torch.save(state, repo.weights)

    assert repo.export() == 1

    assert "made from weights" in capsys.readouterr().err


def test_labels_that_the_training_names_in_another_order_are_refused(
    repository: Callable[..., Repository], capsys: pytest.CaptureFixture[str]
) -> None:
    repo = repository()
    code = repo.folder / repo.name / "net.py"
    code.write_text(code.read_text() + "\nNet.labels = ('rope_not_ok', 'rope_ok')\n")
    repo.make()

    assert repo.export() == 1

    assert "rope_not_ok,rope_ok, want rope_ok, rope_not_ok" in capsys.readouterr().err


def test_numbers_of_pytorch_itself_are_no_training_code(
    repository: Callable[..., Repository], capsys: pytest.CaptureFixture[str]
) -> None:
    repo = repository()
    repo.make()
    golden = Golden.load(repo.golden)
    Golden(golden.pixels, golden.inputs, golden.outputs, {"reference": "pytorch"}).save(
        repo.golden
    )

    assert repo.export() == 1

    assert "outputs of pytorch, want the training code's" in capsys.readouterr().err


def test_boxes_that_all_give_the_same_compare_nothing(
    repository: Callable[..., Repository], capsys: pytest.CaptureFixture[str]
) -> None:
    repo = repository()
    repo.boxes.write_text(json.dumps({"0.png": [[3, 5, 70, 90], [3, 5, 70, 90]]}))
    repo.make()

    assert repo.export() == 1

    assert "want boxes that differ, or nothing is compared" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "kwargs", "message"),
    [
        ({"dropout": 0.5, "mode": ""}, {}, "two calls differ by .* switch dropout off"),
        ({"output": "logits[:1]"}, {}, r"gives \(1, 2\), want \(3, labels\), a row for each box"),
        ({"output": "logits[:, :1]"}, {}, r"gives \(3, 1\), want \(3, labels\)"),
        ({"output": "logits / 0"}, {}, "gives NaN or infinity"),
        ({}, {"gives": "probabilities"}, "gives no probabilities, want probabilities"),
        ({"output": "logits.softmax(1)"}, {}, "gives probabilities, want logits"),
        ({}, {"factory": "build"}, "has no attribute 'build', want a function"),
        ({}, {"factory": "__doc__"}, "NoneType, want a function"),
    ],
)
def test_training_side_that_does_not_fit_is_named(
    repository: Callable[..., Repository],
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    kwargs: dict[str, Any],
    message: str,
) -> None:
    repo = repository(**changes)

    assert repo.make(**kwargs) == 1

    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not repo.golden.exists()


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ("{", "want {.picture.jpg"),
        ("[]", "other content or no box"),
        ('{"0.png": []}', "other content or no box"),
        ('{"0.png": [[1, 2, 3]]}', "other content or no box"),
        ('{"0.png": [[1, 2, 3, NaN]]}', "other content or no box"),
        ('{"0.png": [[9, 2, 3, 8]]}', "want x1 < x2 and y1 < y2"),
        ('{"absent.png": [[1, 2, 3, 8]]}', "absent.png: no picture"),
        ('{"boxes.json": [[1, 2, 3, 8]]}', "boxes.json: no picture"),
        ('{"0.png": [[1, 2, 3, 8]], "s.png": [[1, 2, 3, 8]]}', "128x96.*want one size"),
    ],
)
def test_boxes_and_pictures_that_do_not_fit_are_named(
    repository: Callable[..., Repository],
    capsys: pytest.CaptureFixture[str],
    boxes: str,
    message: str,
) -> None:
    repo = repository()
    cv2.imwrite(str(repo.folder / "s.png"), np.zeros((8, 8, 3), np.uint8))
    repo.boxes.write_text(boxes)

    assert repo.make() == 1

    error = capsys.readouterr().err
    assert re.search(message, error), error


@pytest.mark.parametrize("factory", ["net", "net:", ":load", "absent.module:load"])
def test_factory_that_cannot_be_imported_is_named(
    repository: Callable[..., Repository], factory: str
) -> None:
    repo = repository()

    with pytest.raises(ModelError, match=f"--model {factory}: .*want"):
        training.make_training_golden(
            factory, repo.weights, pictures=repo.folder, boxes=repo.boxes, gives="logits"
        )


def test_golden_outputs_need_torch_numpy_and_a_picture_reader_alone(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "def load(weights):\n"
        "    return lambda pixels, rois: torch.cat([rois[:, 1:2], -rois[:, 2:3]], 1)\n"
    )
    (tmp_path / "w.pt").write_bytes(b"weights")
    cv2.imwrite(str(tmp_path / "0.png"), np.full((4, 6, 3), (1, 2, 3), np.uint8))
    (tmp_path / "boxes.json").write_text('{"0.png": [[1, 2, 3, 4]]}')
    absent = ("pydantic", "yaml", "onnx", "onnxruntime", "timm", "cv2", "rich", "gi", "paho")
    code = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError("blocked: " + name, name=name)
sys.meta_path.insert(0, Blocker())
sys.path.insert(0, {str(ROOT)!r})
from ropewatch.cli import main
sys.exit(main(["export", "golden", "--model", "net:load", "--weights", "w.pt", "--images", ".",
               "--boxes", "boxes.json", "--gives", "logits", "--output", "g.npz"]))
"""

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    golden = Golden.load(tmp_path / "g.npz")
    assert golden.outputs["logits"].tolist() == [[1, -2]]
    assert golden.pixels[0, :, 0, 0].tolist() == [3, 2, 1], "RGB"
