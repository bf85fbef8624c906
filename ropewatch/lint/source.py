"""Reads nvinfer configurations with line numbers: ini as GLib's key files do, YAML by PyYAML."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from ropewatch.errors import ModelError
from ropewatch.nvinfer_keys import INT_MAX, Kind, Value

YAML_SUFFIXES: Final = (".yml", ".yaml")
_ESCAPES: Final = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
_GROUP: Final = re.compile(r"\[([^\[\]\x00-\x1f]+)\]\s*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a file; `text` is None where YAML has a list or a mapping."""

    group: str
    name: str
    text: str | None
    line: int


@dataclass(frozen=True, slots=True)
class ConfigText:
    """A file as text.

    Attributes:
        path: the file.
        is_yaml: read as YAML, by its suffix, as nvinfer does.
        groups: name and line of each group, in the file's order.
        entries: every key in the file's order, repeated ones too.
    """

    path: Path
    is_yaml: bool
    groups: tuple[tuple[str, int], ...]
    entries: tuple[Entry, ...]


def read_text(path: Path) -> str:
    """Read a file; of an ini file a byte that is no UTF-8 becomes a surrogate, as in a comment.

    Raises:
        ModelError: it is absent or is no text.
    """
    # GLib looks at the letters of the values that it is asked for only; a comment may be GBK.
    errors = "strict" if path.suffix in YAML_SUFFIXES else "surrogateescape"
    try:
        # Line ends stay as they are, so that a fix can keep them.
        text = path.read_bytes().decode("utf-8", errors)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file, want a configuration; correct the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: {error}, want a readable UTF-8 text; correct it") from None
    return text


def printable(text: str) -> str:
    """Write bytes that are no UTF-8 by their numbers, which every terminal takes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shown(path: Path) -> Path:
    """Return a path below the working directory as relative to it, any other as it is."""
    absolute = path.absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path


def read_config(path: Path) -> ConfigText:
    """Read a file; its suffix alone decides the format, as in nvinfer.

    Raises:
        ModelError: it cannot be read as that format.
    """
    return parse_config(path, read_text(path))


def parse_config(path: Path, text: str) -> ConfigText:
    """Parse a text that a file holds, or is about to.

    Raises:
        ModelError: it is not what the file's suffix says.
    """
    return _read_yaml(path, text) if path.suffix in YAML_SUFFIXES else _read_ini(path, text)


def _read_ini(path: Path, text: str) -> ConfigText:
    if text.startswith("\ufeff"):
        raise ModelError(
            f"{path}:1: a byte order mark, want none: GLib refuses the whole file for it; save it "
            f"as UTF-8 without a mark"
        )
    groups: list[tuple[str, int]] = []
    entries: list[Entry] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        header = _GROUP.fullmatch(line)
        if header is not None:
            groups.append((printable(header[1]), number))
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip() or not groups or line.startswith("["):
            raise ModelError(
                f"{path}:{number}: {line[:60]!r}, want [group], key=value or # comment, and a "
                f"group before the first key; GLib refuses the whole file for this line"
            )
        entries.append(Entry(groups[-1][0], printable(name.rstrip()), value.lstrip(), number))
    return ConfigText(path, False, tuple(groups), tuple(entries))


def _read_yaml(path: Path, text: str) -> ConfigText:
    # A byte order mark, and a directive that OpenCV writes: yaml-cpp takes both.
    text = re.sub(r"^%YAML:", "#", text.removeprefix("\ufeff"), flags=re.MULTILINE)
    try:
        # Of several documents yaml-cpp loads the first.
        root = next(iter(yaml.compose_all(text, Loader=yaml.SafeLoader)), None)
    except yaml.MarkedYAMLError as error:
        # A line without a colon shows in the next one only.
        keyless = error.context == "while scanning a simple key"
        mark = error.context_mark if keyless else error.problem_mark
        where = path if mark is None else f"{path}:{mark.line + 1}"
        said = error.problem or error.context
        raise ModelError(f"{where}: {said}, want YAML; correct the file") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: {error}, want YAML; correct the file") from None
    groups: list[tuple[str, int]] = []
    entries: list[Entry] = []
    for group, inner in root.value if isinstance(root, yaml.MappingNode) else ():
        if not isinstance(group, yaml.ScalarNode):
            continue
        again = any(name == group.value for name, _line in groups)
        groups.append((group.value, group.start_mark.line + 1))
        if again:
            continue  # yaml-cpp looks a group up by its name and finds the first
        for key, value in inner.value if isinstance(inner, yaml.MappingNode) else ():
            scalar = value.value if isinstance(value, yaml.ScalarNode) else None
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            entries.append(Entry(group.value, name, scalar, key.start_mark.line + 1))
    return ConfigText(path, True, tuple(groups), tuple(entries))


def read_value(text: str, kind: Kind, *, is_yaml: bool, in_class: bool = False) -> Value:
    """Read a value's text as nvinfer does.

    Args:
        text: what stands behind the key.
        kind: what the key is for.
        is_yaml: of a YAML file, else of an ini file.
        in_class: in a class group, whose integers nvinfer leaves to yaml-cpp.

    Raises:
        ValueError: nvinfer's parser refuses it.
    """
    if not text.isascii() and kind in (Kind.STRING, Kind.PATH, Kind.STRINGS):
        text.encode()  # GLib refuses a text that is no UTF-8, and so does this
    if kind in (Kind.STRING, Kind.PATH):
        return text if is_yaml else _unescaped(text)
    if kind is Kind.BOOL:
        return _yaml_int(text) != 0 if is_yaml else _ini_bool(text)
    yaml_integer = _yaml_whole if in_class else _yaml_int
    integer = yaml_integer if is_yaml else _ini_int
    if kind is Kind.INT:
        return integer(text)
    if kind is Kind.FLOAT:
        return _number(text, is_yaml=is_yaml)
    if is_yaml:
        parts = [part.strip() for part in text.split(";") if part.strip()]
    else:
        parts = [
            _unescaped(part.replace("\\;", ";"))
            for part in re.findall(r"((?:\\.|[^\\;]|\\$)*)(?:;|$)", text)
        ]
        if parts[-1] == "":
            parts.pop()
    if kind is Kind.INTS:
        return tuple(map(integer, parts))
    if kind is Kind.FLOATS:
        return tuple(_number(part, is_yaml=is_yaml) for part in parts)
    return tuple(parts)


def _ini_bool(text: str) -> bool:
    word = text.rstrip()
    if word not in ("0", "1", "true", "false"):
        raise ValueError(repr(text))
    return word in ("1", "true")


def _ini_int(text: str) -> int:
    # GLib looks at one character behind the digits only: "1 # a comment" is 1.
    found = re.match(r"\s*([+-]?[0-9]+)(?:\s|$)", text, re.ASCII)
    if found is None and re.match(r"(?!\s*[+-]?[0-9])\s", text):
        return 0  # within a list a blank is a number for GLib
    if found is None or not -INT_MAX - 1 <= int(found[1]) <= INT_MAX:
        raise ValueError(repr(text))
    return int(found[1])


def _yaml_int(text: str) -> int:
    # std::stoi: what follows the digits is not looked at, and "true" throws.
    found = re.match(r"\s*([+-]?[0-9]+)", text)
    if found is None:
        raise ValueError(f"{text!r} is no integer (the YAML parser knows 0 and 1, not true)")
    return int(found[1])


def _yaml_whole(text: str) -> int:
    # yaml-cpp looks at all of it, and takes a 0 in front for octal and 0x for hexadecimal.
    found = re.fullmatch(r"([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)\s*", text, re.ASCII)
    if found is None:
        raise ValueError(repr(text))
    digits = found[2]
    base = 16 if digits[1:2] in ("x", "X") else 8 if digits[0] == "0" else 10
    return int(found[1] + digits, base)


def _number(text: str, *, is_yaml: bool) -> float:
    # GLib takes no blank behind a number, and no underscore as Python would.
    if "_" in text or (not is_yaml and text != text.rstrip()):
        raise ValueError(repr(text))
    hexadecimal = re.fullmatch(r"\s*[+-]?0[xX].*", text)
    return float.fromhex(text) if hexadecimal else float(text)


def _unescaped(text: str) -> str:
    """Resolve the escapes of GLib's key files; any other backslash is an error there."""

    def one(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            raise ValueError(repr(text))
        return _ESCAPES[match[1]]

    return re.sub(r"\\(.?)", one, text)
