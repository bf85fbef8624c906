"""RW0..: what a file says by itself: keys, values, groups, files that it names."""

import difflib
import re
from collections.abc import Iterator

from ropewatch.lint.config import CLASSIFIER, Config, Role, key_of, nearest_key, typed
from ropewatch.lint.findings import Edit, Hit, Severity, rule
from ropewatch.lint.source import Entry, read_value
from ropewatch.lint.way_out import way_out
from ropewatch.nvinfer_keys import (
    CLASS_GROUP_PREFIX,
    CLASS_KEYS,
    PROPERTY_GROUP,
    PROPERTY_KEYS,
    Effect,
    Kind,
)

_LEGACY = {
    "is-classifier": "network-type=1",
    "enable-dbscan": "cluster-mode=1",
    "input-dims": "infer-dims=c;h;w",
    "uff-input-dims": "infer-dims=c;h;w",
    "threshold": "pre-cluster-threshold",
}
# Of keys that do nothing, what does it today.
_INSTEAD = {
    "workspace-size": "take it out; build the engine beforehand to limit memory (trtexec)",
    **dict.fromkeys(
        ("model-file", "proto-file", "uff-file"),
        "take it out; convert the model and name it in onnx-file, Caffe and UFF are gone",
    ),
}
_DIGITS = "0123456789"
_LETTERS = {0: "D", 1: "C", 2: "G", 3: "I", 100: "O"}


@rule(
    "RW001",
    Severity.WARNING,
    "unknown key",
    "nvinfer prints one line about an unknown or legacy key and goes on without it",
    "correct the name, or take the key out",
)
def unknown_key(config: Config) -> Iterator[Hit]:
    """Yield keys that are in no table; in a site a misspelt one is RW313."""
    for entry, fix in unknown_entries(config):
        if config.use is None or fix is None:
            yield Hit(f"{entry.name} in [{entry.group}]", line=entry.line, fix=fix)


def unknown_entries(config: Config) -> Iterator[tuple[Entry, str | None]]:
    """Yield entries whose key is in no table, with the likely right one where there is one."""
    for entry in config.text.entries:
        in_property = entry.group == PROPERTY_GROUP
        known = in_property or entry.group.startswith(CLASS_GROUP_PREFIX)
        if not known or key_of(entry) is not None:
            continue
        if entry.name in (CLASS_KEYS if in_property else PROPERTY_KEYS):
            place = f"{CLASS_GROUP_PREFIX}all" if in_property else PROPERTY_GROUP
            yield entry, f"move it to [{place}]"
        else:
            nearest = nearest_key(entry)
            yield entry, f"write {nearest}" if nearest else None


@rule(
    "RW002",
    Severity.ERROR,
    "value of the wrong type or out of range",
    "nvinfer refuses the whole file: 'Configuration file parsing failed'",
    "correct the value",
)
def bad_value(config: Config) -> Iterator[Hit]:
    """Yield values that nvinfer's parser refuses."""
    for entry in config.text.entries:
        key = key_of(entry)
        if key is None or entry.text is None or (config.text.is_yaml and key.ini_only):
            continue
        if entry.group != PROPERTY_GROUP and config.network_type not in (0, 3):
            continue  # nvinfer does not read the group, see RW010
        if config.text.is_yaml and entry.text.strip().lower() in ("true", "false"):
            continue
        if typed(entry, is_yaml=config.text.is_yaml) is None:
            what = f"{entry.name}: {entry.text!r}, want {key.wanted}"
            fix = way_out(entry.text, key, is_yaml=config.text.is_yaml)
            if fix is None and entry.text.strip().isalpha():
                fix = f"write the number: {key.meaning}"
            yield Hit(what, line=entry.line, fix=fix)


@rule(
    "RW003",
    Severity.WARNING,
    "key given twice in a group, or a group in YAML",
    "only the last one counts; of two groups in YAML only the first",
    "keep one of them",
)
def given_twice(config: Config) -> Iterator[Hit]:
    """Yield the later of two equal keys, and of two equal groups in YAML."""
    first: dict[str, int] = {}
    for name, line in config.text.groups if config.text.is_yaml else ():
        if first.setdefault(name, line) != line:
            what = f"{name}, also in line {first[name]}, which alone is read"
            yield Hit(what, line=line, fix="put all keys of the group in one place")
    seen: dict[tuple[str, str], int] = {}
    for entry in config.text.entries:
        before = seen.get((entry.group, entry.name))
        if before is not None:
            what = f"{entry.name} in [{entry.group}], also in line {before}"
            edits = (Edit(entry.name, None, entry.group, before),)
            yield Hit(what, line=entry.line, edits=edits)
        seen[entry.group, entry.name] = entry.line


@rule(
    "RW004",
    Severity.WARNING,
    "unknown group",
    "nvinfer reads [property], [class-attrs-all] and [class-attrs-N] and ignores others silently",
    "correct the group's name, or take it out",
)
def unknown_group(config: Config) -> Iterator[Hit]:
    """Yield groups that nvinfer does not read."""
    for name, line in config.text.groups:
        if name != PROPERTY_GROUP and not name.startswith(CLASS_GROUP_PREFIX):
            known = (PROPERTY_GROUP, *(f"{CLASS_GROUP_PREFIX}{one}" for one in ("all", *_DIGITS)))
            near = difflib.get_close_matches(name.lower(), known, 1, 0.8)
            yield Hit(f"[{name}]", line=line, fix=f"write {near[0]}" if near else None)


@rule(
    "RW005",
    Severity.WARNING,
    "key that only the ini parser knows",
    "nvinfer's YAML parser lacks it",
    "use the key that replaced it",
)
def ini_only(config: Config) -> Iterator[Hit]:
    """Yield old keys in YAML."""
    for entry in config.text.entries if config.text.is_yaml else ():
        key = key_of(entry)
        if key is not None and key.ini_only:
            fix = f"write {_LEGACY[entry.name]}"
            what = f"{entry.name} in a YAML file"
            yield Hit(what, line=entry.line, fix=fix, edits=_modern(config, entry))


@rule(
    "RW006",
    Severity.ERROR,
    "YAML sequence or word where nvinfer wants a text or a number",
    "nvinfer's YAML parser converts scalars itself: lists are one text, a;b;c, switches 0 and 1",
    "write a;b;c, or 0 or 1",
)
def yaml_types(config: Config) -> Iterator[Hit]:
    """Yield sequences, and true and false."""
    for entry in config.text.entries if config.text.is_yaml else ():
        key = key_of(entry)
        if key is None or key.ini_only:
            continue
        numeric = key.kind not in (Kind.STRING, Kind.PATH, Kind.STRINGS)
        if entry.text is None:
            yield Hit(f"{entry.name}: a sequence or a mapping", line=entry.line)
        elif numeric and entry.text.strip().lower() in ("true", "false"):
            number = "1" if entry.text.strip().lower() == "true" else "0"
            edits = (Edit(entry.name, number, entry.group, entry.line),)
            yield Hit(f"{entry.name}: {entry.text}", line=entry.line, edits=edits)


@rule(
    "RW008",
    Severity.WARNING,
    "key without effect",
    "nvinfer parses it and forgets it",
    "take it out",
)
def dead_key(config: Config) -> Iterator[Hit]:
    """Yield keys that nothing reads."""
    for name in config.values:
        if PROPERTY_KEYS[name].effect is Effect.NONE and name not in _LEGACY:
            yield Hit(name, key=name, fix=_INSTEAD.get(name), edits=(Edit(name, None),))


@rule(
    "RW009",
    Severity.ERROR,
    "class group that names no class",
    "nvinfer refuses a group for a class that the network does not have",
    "name it all, or a number below num-detected-classes",
)
def class_group(config: Config) -> Iterator[Hit]:
    """Yield [class-attrs-N] with N that is no class."""
    count = config.integer("num-detected-classes")
    for name, line in config.text.groups:
        suffix = name.removeprefix(CLASS_GROUP_PREFIX)
        if suffix in (name, "all") or config.network_type not in (0, 3):
            continue
        number = re.match(r"[0-9]+", suffix)
        if number is None or int(number[0]) >= count:
            yield Hit(f"[{name}] with num-detected-classes={count}", line=line)


@rule(
    "RW010",
    Severity.WARNING,
    "class group of a network that is no detector",
    "class groups are read for network-type 0 and 3 only",
    "take the group out; a classifier has classifier-threshold",
)
def class_group_elsewhere(config: Config) -> Iterator[Hit]:
    """Yield class groups that are not read."""
    if config.network_type in (0, 3):
        return
    for name, line in config.text.groups:
        if name.startswith(CLASS_GROUP_PREFIX):
            yield Hit(f"[{name}] with network-type={config.network_type}", line=line)


@rule(
    "RW011",
    Severity.WARNING,
    "file that is not there",
    "nvinfer keeps the path and fails, or goes on without labels or cache, after the start; this "
    "machine may not be the one where it runs, hence only a warning",
    "correct the path (relative to the configuration), or bring the file",
)
def missing_file(config: Config) -> Iterator[Hit]:
    """Yield paths without a file; an engine is built on the box, RW207 looks at it."""
    engine = config.path("model-engine-file")
    unread = {Effect.NONE, Effect.DEBUG}
    if engine is not None and engine.is_file():
        unread.add(Effect.BUILD)  # an engine that is there is not built
    for name in config.values:
        key = PROPERTY_KEYS[name]
        if key.kind is not Kind.PATH or key.effect in unread or name == "model-engine-file":
            continue
        path = config.path(name)
        if path is None:
            what = f"{name}: empty, which names the file's own folder"
            yield Hit(what, key=name, fix="name a file, or take the line out")
        elif not path.is_file():
            text = config.words(name)
            fix = way_out(text, key, is_yaml=config.text.is_yaml)
            yield Hit(f"{name}: {text if fix is None else repr(text)}", key=name, fix=fix)
    use = config.use
    if use is not None and use.role is Role.DETECTOR:
        tracker = use.site.tracker.ll_config_file
        if not tracker.is_file():
            line = use.line("tracker.ll_config_file")
            yield Hit(f"tracker.ll_config_file: {tracker}", line=line, file=use.path)


@rule(
    "RW012",
    Severity.WARNING,
    "no gie-unique-id",
    "without it and without the element's unique-id nvinfer does not start: 'Unique ID not set'",
    "write gie-unique-id=1, or another number that no other nvinfer has",
)
def no_id(config: Config) -> Iterator[Hit]:
    """Yield a file without an id."""
    if not any(entry.name == "gie-unique-id" for entry in config.text.entries):
        yield Hit("gie-unique-id is missing")


@rule(
    "RW013",
    Severity.WARNING,
    "key of another network type",
    "nvinfer ignores it for this network-type",
    "take it out, or correct network-type",
)
def other_network(config: Config) -> Iterator[Hit]:
    """Yield keys that the network type does not use."""
    letter = _LETTERS.get(config.network_type, "O")
    for name in config.values:
        if letter not in PROPERTY_KEYS[name].networks and name != "secondary-reinfer-interval":
            if name == "classifier-async-mode":
                continue
            yield Hit(f"{name} with network-type={config.network_type}", key=name)


@rule(
    "RW014",
    Severity.WARNING,
    "key of the other process-mode",
    "nvinfer ignores it in this process-mode",
    "take it out, or correct process-mode",
)
def other_mode(config: Config) -> Iterator[Hit]:
    """Yield keys that have a value and are not used."""
    letter = "S" if config.on_objects else "P"
    for name, value in config.values.items():
        key = PROPERTY_KEYS[name]
        idle = value in (key.default, 0) or name == "classifier-async-mode"
        if letter not in key.modes and not idle:
            yield Hit(f"{name} with process-mode={config.integer('process-mode')}", key=name)


@rule(
    "RW015",
    Severity.NOTE,
    "old form of a key",
    "it still works in ini files; the YAML parser no longer knows it",
    "use the key that replaced it",
)
def legacy_key(config: Config) -> Iterator[Hit]:
    """Yield old keys in ini files."""
    for entry in config.text.entries if not config.text.is_yaml else ():
        if entry.name in _LEGACY and key_of(entry) is not None:
            fix = f"write {_LEGACY[entry.name]}"
            yield Hit(entry.name, line=entry.line, fix=fix, edits=_modern(config, entry))


@rule(
    "RW016",
    Severity.WARNING,
    "classifier-async-mode without objects to classify",
    "async mode is for secondary classifiers; nvinfer warns and turns it off",
    "take it out",
)
def async_elsewhere(config: Config) -> Iterator[Hit]:
    """Yield async mode on a primary or on no classifier."""
    usable = config.on_objects and config.network_type == CLASSIFIER
    if config.flag("classifier-async-mode") and not usable:
        edits = (Edit("classifier-async-mode", None),)
        yield Hit("classifier-async-mode=1", key="classifier-async-mode", edits=edits)


def _modern(config: Config, entry: Entry) -> tuple[Edit, ...]:
    """Say an old key by the one that replaced it; nothing where its value has no meaning."""
    key = key_of(entry)
    new = _LEGACY[entry.name].partition("=")[0]
    if key is None or entry.text is None:
        return ()
    if any(e.name == new and e.group == entry.group for e in config.text.entries):
        # The new key counts then, but for threshold, of which the later line counts.
        gone = entry.name != "threshold"
        return (Edit(entry.name, None, entry.group, entry.line),) if gone else ()
    try:
        value = read_value(entry.text, key.kind, is_yaml=config.text.is_yaml)
    except ValueError:
        return ()
    if isinstance(value, bool):
        text = str(int(value))
    elif isinstance(value, tuple):
        text = ";".join(map(str, value[:3]))
    else:
        text = entry.text.strip()
    return (Edit(new, text, entry.group, entry.line),)
