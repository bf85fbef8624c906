"""One nvinfer configuration as the rules see it: typed values, lines, labels, manifest, role."""

import difflib
import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ropewatch import manifest
from ropewatch.engine_names import ENGINE_NAME
from ropewatch.errors import ModelError
from ropewatch.lint.source import ConfigText, Entry, read_value
from ropewatch.nvinfer_keys import (
    CLASS_GROUP_PREFIX,
    CLASS_KEYS,
    PROPERTY_GROUP,
    PROPERTY_KEYS,
    Key,
    Release,
    Value,
)
from ropewatch.settings import SiteSettings

DETECTOR, CLASSIFIER, INSTANCES = 0, 1, 3


class Role(Enum):
    """What a site uses a configuration for."""

    DETECTOR = "detector"
    CLASSIFIER = "classifier"


@dataclass(frozen=True, slots=True)
class SiteUse:
    """The site that uses a configuration.

    Attributes:
        site: its settings.
        path: its file; None where only the settings are known, as when it runs.
        lines: line of each key of the file, such as classifier.score_label.
        role: what the configuration is used for.
        other: the site's detector, for its classifier.
    """

    site: SiteSettings
    path: Path | None
    lines: dict[str, int]
    role: Role
    other: "Config | None" = None

    @property
    def classifies(self) -> str | None:
        """The classifier's mode, crop or frame; None for the detector."""
        return self.site.classifier.mode if self.role is Role.CLASSIFIER else None

    def line(self, key: str) -> int | None:
        """Line of a site's key; 1 where the file leaves it out, None without a file."""
        return None if self.path is None else self.lines.get(key, 1)


@dataclass(slots=True)
class Config:
    """A configuration; `values` and `classes` hold what nvinfer's parser takes.

    `target` is the release that it shall run on; None where nobody said.
    """

    text: ConfigText
    use: SiteUse | None = None
    target: Release | None = None
    values: dict[str, Value] = field(default_factory=dict)
    classes: dict[str, dict[str, Value]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, text: ConfigText, use: SiteUse | None = None, target: Release | None = None
    ) -> "Config":
        """Type what can be typed; of a key that is given twice the last counts."""
        config = cls(text, use, target)
        for entry in text.entries:
            value = typed(entry, is_yaml=text.is_yaml)
            if value is None:
                continue
            if entry.group == PROPERTY_GROUP:
                config.values[entry.name] = value
            else:
                suffix = entry.group.removeprefix(CLASS_GROUP_PREFIX)
                config.classes.setdefault(suffix, {})[entry.name] = value
        return config

    @property
    def network_type(self) -> int:
        """network-type, or what its old form is-classifier says."""
        legacy = CLASSIFIER if self.flag("is-classifier") else DETECTOR
        return self.integer("network-type") if self.given("network-type") else legacy

    @property
    def on_objects(self) -> bool:
        """process-mode 2."""
        return self.integer("process-mode") == 2

    @property
    def cluster_mode(self) -> int:
        """cluster-mode, or what its old form enable-dbscan says; 0 is the default."""
        if not self.given("cluster-mode") and self.flag("enable-dbscan"):
            return 1
        return self.integer("cluster-mode")

    def given(self, name: str) -> bool:
        """Say whether the file sets a key of [property] to something that nvinfer takes."""
        return name in self.values

    def integer(self, name: str) -> int:
        """Return an integer key, by the file or by nvinfer's default; 0 where it has none."""
        value = self.values.get(name, PROPERTY_KEYS[name].default)
        return int(value) if isinstance(value, (int, float)) else 0

    def number(self, name: str) -> float:
        """Return a number, by the file or by nvinfer's default."""
        value = self.values.get(name, PROPERTY_KEYS[name].default)
        return float(value) if isinstance(value, (int, float)) else 0.0

    def flag(self, name: str) -> bool:
        """Return a switch, by the file or by nvinfer's default."""
        return bool(self.values.get(name, PROPERTY_KEYS[name].default))

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of numbers; empty where it is absent."""
        value = self.values.get(name, ())
        return tuple(float(one) for one in value) if isinstance(value, tuple) else ()

    def words(self, name: str) -> str:
        """Return a text; empty where it is absent."""
        value = self.values.get(name, "")
        return value if isinstance(value, str) else ""

    def of_class(self, suffix: str, name: str, default: float) -> float:
        """Return a number of a class: its own group's, else that of all classes."""
        for group in (suffix, "all"):
            value = self.classes.get(group, {}).get(name)
            if isinstance(value, (int, float)):
                return value
        return default

    def path(self, name: str) -> Path | None:
        """Return a path key against the file's folder; None where it is absent or empty."""
        named = self.words(name)
        return self.text.path.resolve().parent / named if named else None

    def file(self, name: str) -> Path:
        """Return a path key whose file has to be there.

        Raises:
            ModelError: the key is absent, or names no file.
        """
        path = self.path(name)
        if path is None:
            raise ModelError(f"{self.text.path}: {name}: missing, want a path; add {name}=...")
        if not path.is_file():
            raise ModelError(
                f"{self.text.path}: {name}: {path.resolve()}: no such file; correct the path"
            )
        return path.resolve()

    @property
    def network_wh_px(self) -> tuple[int, int]:
        """The network's input size from infer-dims, which is channels;height;width.

        Raises:
            ModelError: infer-dims is absent or is no such list.
        """
        dims = self.numbers("infer-dims")
        if len(dims) != 3:
            raise ModelError(
                f"{self.text.path}: infer-dims: missing or wrong, want channels;height;width; the "
                "crop geometry needs the network's size, for example infer-dims=3;384;192"
            )
        return int(dims[2]), int(dims[1])

    def refused(self, key: str | None, group: str = PROPERTY_GROUP) -> bool:
        """Say whether a key stands there with a value that nvinfer does not take."""
        suffix = group.removeprefix(CLASS_GROUP_PREFIX)
        taken = self.values if group == PROPERTY_GROUP else self.classes.get(suffix, {})
        written = any(e.group == group and e.name == key for e in self.text.entries)
        return written and key not in taken

    def line(self, key: str | None, group: str = PROPERTY_GROUP) -> int:
        """Line of a key's last appearance, else of its group, else 1."""
        lines = [e.line for e in self.text.entries if e.group == group and e.name == key]
        lines = lines or [line for name, line in self.text.groups if name == group]
        return lines[-1] if lines else 1

    def onnx(self) -> Path | None:
        """Return the ONNX: onnx-file, or the one that the engine's name or manifest leads to."""
        return self.path("onnx-file") or self.onnx_of_engine()

    def onnx_of_engine(self) -> Path | None:
        """Return the ONNX that the engine's name or manifest leads to, where there is one."""
        engine = self.path("model-engine-file")
        try:
            return None if engine is None else manifest.onnx_of_engine(engine)
        except ModelError:
            return None

    def named_engine(self) -> re.Match[str] | None:
        """Read batch, device and precision from model-engine-file; None of a name of its own."""
        return ENGINE_NAME.search(self.words("model-engine-file"))

    def manifest(self) -> manifest.Manifest | None:
        """Return the manifest beside the ONNX, where there is a readable one."""
        onnx = self.onnx()
        if onnx is None:
            return None
        try:
            return manifest.Manifest.load(manifest.manifest_of(onnx))
        except ModelError:
            return None


def key_of(entry: Entry) -> Key | None:
    """Look an entry's key up in the table of its group."""
    if entry.group == PROPERTY_GROUP:
        return PROPERTY_KEYS.get(entry.name)
    return CLASS_KEYS.get(entry.name) if entry.group.startswith(CLASS_GROUP_PREFIX) else None


def nearest_key(entry: Entry) -> str | None:
    """Return the key of its group that a misspelt one was likely meant to be."""
    if key_of(entry) is not None:
        return None
    in_property = entry.group == PROPERTY_GROUP
    table, other = (PROPERTY_KEYS, CLASS_KEYS) if in_property else (CLASS_KEYS, PROPERTY_KEYS)
    if entry.name in other or not (in_property or entry.group.startswith(CLASS_GROUP_PREFIX)):
        return None
    return next(iter(difflib.get_close_matches(entry.name, table, 1, 0.7)), None)


def typed(entry: Entry, *, is_yaml: bool) -> Value | None:
    """Read an entry's value; None where nvinfer does not know the key or refuses the value."""
    key = key_of(entry)
    if key is None or entry.text is None or (is_yaml and key.ini_only):
        return None
    try:
        in_class = entry.group != PROPERTY_GROUP
        value = read_value(entry.text, key.kind, is_yaml=is_yaml, in_class=in_class)
    except ValueError:
        return None
    return value if key.accepts(value) else None
