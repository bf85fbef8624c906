"""Whose configuration a file is: nvinfer's, or which other plug-in's or program's."""

import re
from pathlib import Path
from typing import Final

from ropewatch.errors import ModelError
from ropewatch.lint.source import ConfigText, read_config, read_text
from ropewatch.nvinfer_keys import PROPERTY_GROUP

# Other plug-ins have a [property] group as well, but no model; one of these makes it nvinfer's.
_OURS: Final = frozenset(
    (
        *("onnx-file", "model-engine-file", "model-file", "tlt-encoded-model", "uff-file"),
        *("custom-network-config", "engine-create-func-name", "infer-dims", "network-mode"),
        *("int8-calib-file", "net-scale-factor", "model-color-format"),
    )
)
# By keys of [property], the first that fits; these have keys of nvinfer beside their own.
_Marks = tuple[tuple[str, tuple[str, ...]], ...]
_BY_KEY: Final[_Marks] = (
    ("nvdspreprocess", ("target-unique-ids", "network-input-shape")),
    ("nvinferaudio", ("audio-framesize", "audio-transform", "sample-rate")),
)
# By groups, the first that fits; digits at a group's end are left out.
_BY_GROUP: Final[_Marks] = (
    ("nvtracker's library", ("BaseConfig", "TargetManagement", "MultiViewAssociator", "NvDCF")),
    (
        "nvdsanalytics",
        (
            *("roi-filtering-stream-", "overcrowding-stream-"),
            *("line-crossing-stream-", "direction-detection-stream-"),
        ),
    ),
    ("nvdewarper", ("surface",)),
    ("nvinferserver", ("infer_config",)),
    ("a DeepStream program", ("application", "primary-gie", "secondary-gie", "source", "tracker")),
    ("a DeepStream program", ("deepstream", "source-list", "camera-list")),
    ("nvmsgconv or nvmsgbroker", ("sensor", "message-broker", "nvmsgbroker")),
)
_MUXER_KEYS: Final = ("algorithm-type", "overall-min-fps-n", "active-pad")
# Protocol-buffer text, also in files that are called .yml.
_SERVER: Final = re.compile(r"^\s*infer_config\s*:?\s*\{", re.MULTILINE)


def read_nvinfer(path: Path) -> ConfigText:
    """Read a configuration of nvinfer.

    Raises:
        ModelError: it cannot be read, or is somebody else's, as far as that can be told.
    """
    try:
        text = read_config(path)
    except ModelError:
        if _SERVER.search(read_text(path)) is None:
            raise
        kind: str | None = "nvinferserver"
    else:
        if _is_ours(text):
            return text
        kind = _other_kind(text)
    if kind is not None:
        raise ModelError(
            f"{path}: a configuration of {kind}, want one of nvinfer or a site file; others are "
            f"not checked"
        )
    spelt = [name for name, _line in text.groups if name.strip().lower() == PROPERTY_GROUP]
    if spelt and PROPERTY_GROUP not in spelt:
        raise ModelError(
            f"{path}: [{spelt[0]}], want [{PROPERTY_GROUP}]: nvinfer looks for this spelling "
            f"only, and does not start without it"
        )
    form = "YAML" if text.is_yaml else "ini"
    raise ModelError(
        f"{path}: no [property] group with keys of nvinfer, want an nvinfer configuration or a "
        f"site file; its suffix says that it is {form}, rename it if it is not"
    )


def _is_ours(text: ConfigText) -> bool:
    names = _property_keys(text)
    others = {key for _kind, keys in _BY_KEY for key in keys}
    return bool(names & _OURS) and not names & others


def _property_keys(text: ConfigText) -> set[str]:
    return {entry.name for entry in text.entries if entry.group == PROPERTY_GROUP}


def _other_kind(text: ConfigText) -> str | None:
    keys = _property_keys(text)
    groups = {name.rstrip("0123456789") for name, _line in text.groups}
    for kind, marks in _BY_KEY:
        if keys & set(marks):
            return kind
    for kind, marks in _BY_GROUP:
        if groups & set(marks):
            return kind
    if keys & set(_MUXER_KEYS):
        return "nvstreammux or nvdsmetamux"
    if {"gie-unique-id", "network-type"} <= keys:
        return "nvdspostprocess"
    return None
