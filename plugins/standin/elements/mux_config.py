"""The new muxer's config file: its keys, its defaults, and what it says of all others.

As in MuxConfigParser.cpp of DeepStream 9.1: an unknown key is named and passed over, a value that
is no integer counts as absent, and groups of other names are not looked at.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from plugins.standin.gst import GLib

ROUND_ROBIN = 1

_COMMON = {
    "algorithm-type": ROUND_ROBIN,
    "batch-size": 0,
    "adaptive-batching": 1,
    "enable-source-rate-control": 0,
    "max-fps-control": 0,
    "overall-max-fps-n": 120,
    "overall-max-fps-d": 1,
    "overall-min-fps-n": 5,
    "overall-min-fps-d": 1,
    "max-same-source-frames": 1,
}
_OF_SOURCE = {
    "max-fps-n": 60,
    "max-fps-d": 1,
    "min-fps-n": 30,
    "min-fps-d": 1,
    "priority": 0,
    "max-num-frames-per-batch": 1,
}
_NO_EFFECT = {"min-fps-n": 30, "min-fps-d": 1, "max-num-frames-per-batch": 1}
_SOURCE = "source-config-"

Groups = dict[str, dict[str, str]]


@dataclass(frozen=True)
class MuxConfig:
    """What a file says.

    Attributes:
        batch_size: 0 where the file does not say.
        same_source: frames of one source in a batch at most.
        max_fps: batches a second at most; None without max-fps-control.
        min_fps: a batch that is not full is pushed so many times a second.
        priorities: of the sources named in the file; the others have 0, which comes first.
        source_max_fps: frames a second at most of each source; None without rate control.
        notes: what is to be shown once: keys that are unknown, or without effect.
    """

    batch_size: int
    adaptive: bool
    round_robin: bool
    same_source: int
    min_fps: float
    max_fps: float | None
    priorities: dict[int, int] = field(default_factory=dict)
    source_max_fps: dict[int, float] | None = None
    notes: tuple[str, ...] = ()


def load_mux_config(path: Path) -> MuxConfig:
    """Read a file, as YAML when it is called .yml or .yaml and else as an ini file.

    Raises:
        ValueError: it cannot be read, or a frame rate in it is none.
    """
    notes: list[str] = []
    groups = _groups(path)
    # As strncmp does it: whatever begins so.
    names = [name for name in groups if name.startswith("property")]
    common = dict(_COMMON)
    for name in names:
        common |= _integers(path, name, groups[name], _COMMON, notes)
    sources = {}
    for name, entries in groups.items():
        if found := re.match(rf"{_SOURCE}(\d+)", name):
            values = _integers(path, name, entries, _OF_SOURCE, notes)
            notes += [
                f"{path}: [{name}] {key}={values[key]} has no effect, nor has it in the muxer"
                for key, default in _NO_EFFECT.items()
                if values.get(key, default) != default
            ]
            sources[int(found[1])] = _OF_SOURCE | values
    controlled = bool(common["enable-source-rate-control"])
    return MuxConfig(
        batch_size=common["batch-size"],
        adaptive=bool(common["adaptive-batching"]),
        round_robin=common["algorithm-type"] == ROUND_ROBIN,
        same_source=max(1, common["max-same-source-frames"]),
        min_fps=_fps(path, common, "overall-min-fps"),
        max_fps=_fps(path, common, "overall-max-fps") if common["max-fps-control"] else None,
        priorities={index: values["priority"] for index, values in sources.items()},
        source_max_fps={index: _fps(path, each, "max-fps") for index, each in sources.items()}
        if controlled
        else None,
        notes=tuple(notes),
    )


def _fps(path: Path, values: Mapping[str, int], name: str) -> float:
    above, below = values[f"{name}-n"], values[f"{name}-d"]
    if above <= 0 or below <= 0:
        raise ValueError(f"{path}: {name}-n/d: {above}/{below}, want both above 0; correct them")
    return above / below


def _integers(
    path: Path, group: str, entries: dict[str, str], known: Mapping[str, int], notes: list[str]
) -> dict[str, int]:
    values = {}
    for key, text in entries.items():
        if key not in known:
            notes.append(f"{path}: Unknown key '{key}' for group [{group}]")
        elif re.fullmatch(r"[+-]?\d+", text.strip()) is None:
            notes.append(f"{path}: [{group}] {key}={text} is no integer, {known[key]} holds")
        else:
            values[key] = int(text)
    return values


def _groups(path: Path) -> Groups:
    try:
        if path.suffix in (".yml", ".yaml"):
            document = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506  it makes texts, no objects
            if not isinstance(document, dict):
                raise ValueError(f"{path}: no mapping of groups, want a muxer config file")
            return {name: entries or {} for name, entries in document.items()}
        ini = GLib.KeyFile()
        ini.load_from_file(str(path), GLib.KeyFileFlags.NONE)
    except (OSError, yaml.YAMLError, GLib.Error) as error:
        raise ValueError(
            f"config-file-path: {path}: {error}, want a muxer config file; correct it"
        ) from error
    names = ini.get_groups()[0]
    return {
        name: {key: ini.get_value(name, key) for key in ini.get_keys(name)[0]} for name in names
    }
