"""Reads nvinfer configuration files, ini and YAML, into typed values. Meaning is config.py's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plugins.standin.gst import GLib
from ropewatch.errors import ModelError
from ropewatch.lint.source import YAML_SUFFIXES, read_config, read_value
from ropewatch.nvinfer_keys import (
    CLASS_GROUP_PREFIX,
    CLASS_KEYS,
    PROPERTY_GROUP,
    PROPERTY_KEYS,
    Key,
    Kind,
    Value,
)

ALL_CLASSES = "all"
Group = dict[str, Value]


@dataclass(slots=True)
class FileValues:
    """What a file says: `[property]`, the class groups by their suffix, and what was unknown."""

    path: Path
    properties: Group = field(default_factory=dict)
    classes: dict[str, Group] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_config_file(path: Path) -> FileValues:
    """Read a file; its suffix alone decides the format, as in nvinfer.

    Raises:
        ModelError: no such file, not of that format, no [property], or a value that nvinfer's
            parser refuses.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file, want an nvinfer configuration; correct the path")
    groups = _yaml_groups(path) if path.suffix in YAML_SUFFIXES else _ini_groups(path)
    if PROPERTY_GROUP not in groups:
        raise ModelError(
            f"{path}: no group [{PROPERTY_GROUP}], want one in an nvinfer configuration; "
            f"a file that ends in .yml or .yaml is read as YAML, any other as ini"
        )
    found = FileValues(path)
    found.properties = _typed(found, PROPERTY_GROUP, groups[PROPERTY_GROUP], PROPERTY_KEYS)
    for name, raw in groups.items() if _has_classes(found.properties) else ():
        if name.startswith(CLASS_GROUP_PREFIX):
            suffix = name[len(CLASS_GROUP_PREFIX) :]
            found.classes[suffix] = _typed(found, name, raw, CLASS_KEYS)
    return found


def _has_classes(properties: Group) -> bool:
    """Say whether nvinfer reads class groups: of detectors of both kinds, and no others."""
    legacy = int(bool(properties.get("is-classifier")))
    return properties.get("network-type", legacy) in (0, 3)


def _typed(
    found: FileValues,
    group: str,
    raw: dict[str, Callable[[Kind], Value]],
    table: Mapping[str, Key],
) -> Group:
    values: Group = {}
    yaml_file = found.path.suffix in YAML_SUFFIXES
    for name, read in raw.items():
        key = table.get(name)
        if key is None or (yaml_file and key.ini_only):
            found.notes.append(f"{found.path}: Unknown or legacy key '{name}' in group [{group}]")
            continue
        try:
            value = read(key.kind)
        except ValueError as error:
            raise ModelError(
                f"{found.path}: [{group}] {name}: {error}, want {key.wanted}; correct the value"
            ) from error
        if not key.accepts(value):
            shown = ";".join(map(str, value)) if isinstance(value, tuple) else value
            raise ModelError(
                f"{found.path}: [{group}] {name}: {shown}, want {key.wanted}; correct the value"
            )
        values[name] = value
    return values


def _ini_groups(path: Path) -> dict[str, dict[str, Callable[[Kind], Value]]]:
    ini = GLib.KeyFile()
    try:
        ini.load_from_file(str(path), GLib.KeyFileFlags.NONE)
    except GLib.Error as error:
        raise ModelError(f"{path}: {error.message}, want an ini file; correct it") from error
    groups = {}
    for group in ini.get_groups()[0]:
        keys = ini.get_keys(group)[0]
        groups[group] = {key: _ini_reader(ini, group, key) for key in keys}
    return groups


def _ini_reader(ini: Any, group: str, key: str) -> Callable[[Kind], Value]:
    readers: dict[Kind, Callable[[str, str], Any]] = {
        Kind.BOOL: ini.get_boolean,
        Kind.INT: ini.get_integer,
        Kind.FLOAT: ini.get_double,
        Kind.STRING: ini.get_string,
        Kind.PATH: ini.get_string,
        Kind.INTS: ini.get_integer_list,
        Kind.FLOATS: ini.get_double_list,
        Kind.STRINGS: ini.get_string_list,
    }

    def read(kind: Kind) -> Value:
        try:
            value = readers[kind](group, key)
        except GLib.Error as error:
            raise ValueError(ini.get_value(group, key)) from error
        return tuple(value) if isinstance(value, list) else value

    return read


def _yaml_groups(path: Path) -> dict[str, dict[str, Callable[[Kind], Value]]]:
    # Every scalar stays a text, as yaml-cpp keeps it until nvinfer asks for a type.
    text = read_config(path)
    groups: dict[str, dict[str, Callable[[Kind], Value]]] = {name: {} for name, _ in text.groups}
    for entry in text.entries:
        groups[entry.group][entry.name] = _yaml_reader(
            entry.text, in_class=entry.group != PROPERTY_GROUP
        )
    return groups


def _yaml_reader(text: str | None, *, in_class: bool) -> Callable[[Kind], Value]:
    def read(kind: Kind) -> Value:
        if text is None:
            raise ValueError("no scalar; nvinfer wants lists as one text, a;b;c")
        return read_value(text, kind, is_yaml=True, in_class=in_class)

    return read
