"""A configuration that contradicts its model's manifest, made to run all the same on a CPU.

`ropewatch run` refuses it. Parity is there to show what such a configuration does, so the graph
gets a copy beside the same ONNX without its manifest, in a scratch folder and nowhere else.
"""

from pathlib import Path
from typing import Final

from export.chain.models import Model
from ropewatch.lint.check import check_configs
from ropewatch.nvinfer_keys import PROPERTY_GROUP, PROPERTY_KEYS, Kind

# Preprocessing that differs from the manifest's.
_CODE: Final = "RW201"
_MODEL_KEYS: Final = frozenset({"onnx-file", "model-engine-file"})


def contradictions(model: Model) -> list[str]:
    """What `ropewatch check` says of a configuration's preprocessing."""
    return [
        f"{found.file.name}:{found.line}: {found.code}: {found.what}"
        for found in check_configs([model.config])
        if found.code == _CODE
    ]


def without_manifest(model: Model, folder: Path) -> Path:
    """Write a copy of a configuration that leads to the ONNX alone; return its path.

    Args:
        model: with the configuration.
        folder: made; for this copy alone.
    """
    folder.mkdir()
    onnx = folder / "model.onnx"
    onnx.symlink_to(model.onnx.resolve())
    lines = []
    for group, _line in model.config.text.groups:
        lines.append(f"[{group}]")
        if group == PROPERTY_GROUP:
            lines.append(f"onnx-file={onnx}")
        for entry in model.config.text.entries:
            if entry.group == group and entry.text is not None and entry.name not in _MODEL_KEYS:
                key = PROPERTY_KEYS.get(entry.name) if group == PROPERTY_GROUP else None
                text = entry.text.strip()
                if key is not None and key.kind is Kind.PATH and text:
                    text = str(model.path.resolve().parent / text)
                lines.append(f"{entry.name}={text}")
    copy = folder / f"{model.path.stem}.txt"
    copy.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return copy
