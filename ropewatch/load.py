"""Site files: YAML to `SiteSettings`, with every complaint naming file, key and value."""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import yaml
from pydantic import BaseModel, ValidationError

from ropewatch.errors import SettingsError
from ropewatch.faults import describe, field_at, section_at, section_of
from ropewatch.settings import SiteSettings, SourceSettings

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".avi", ".ts", ".264", ".h264", ".265", ".h265", ".hevc"}
)

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Greedy up to the last @: a raw @ or / in a password must not leave half of it readable.
_USERINFO = re.compile(r"(?<=://)\S+@")
_SECRET_FIELD = re.compile(r"(?i)((?:password|passwd|pwd|pass|token|secret)=)[^&\s'\"]*")


class _AnyEnvironment(dict[str, str]):
    """Has every variable, with its own placeholder as the value."""

    def __contains__(self, _key: object) -> bool:
        return True

    def __missing__(self, key: str) -> str:
        return f"${{{key}}}"


# For whoever looks at a site and opens no camera: a password is not needed for that.
ANY_ENVIRONMENT: Mapping[str, str] = _AnyEnvironment()


def redact(text: str) -> str:
    """Blank out user names, passwords and tokens of every URI in a text."""
    return _SECRET_FIELD.sub(r"\1***", _USERINFO.sub("***@", text))


def load_site(
    path: Path | str,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> SiteSettings:
    """Read a site file.

    Relative paths become absolute: those of the file against its folder, those of overrides
    against the working directory. `${NAME}` in a source's URI is taken from the environment;
    as user or password it is written there as it is and percent-encoded here. A folder as a
    source becomes one source for each video file in it.

    Args:
        path: the site file.
        overrides: KEY=VALUE with dotted keys and YAML values, such as mqtt.port=1884 or
            sources.0.loop=true.
        environment: where `${NAME}` is looked up.

    Raises:
        SettingsError: anything about the file, an override or a value in it is not right.
    """
    path = Path(path)
    data = _read_yaml(path)
    _refuse_readable_password(path, data)
    data = _absolute(data, path.absolute().parent)
    for override in overrides:
        _override(data, override)
    _fill_from_environment(data, path, environment)
    site = _validate(data, path)
    sources = tuple(one for source in site.sources for one in _files_of(source, path))
    return _validate({**dict(site), "sources": sources}, path)


def _validate(data: dict[str, Any], path: Path) -> SiteSettings:
    try:
        return SiteSettings.model_validate(data)
    except ValidationError as error:
        # pydantic calls a list empty, too, of which it has refused every item.
        lines = [
            f"{path}: {describe(fault, SiteSettings)}"
            for fault in error.errors()
            if not (
                fault["type"] == "too_short"
                and fault["ctx"]["actual_length"] < len(fault["input"])
            )
        ]
        raise SettingsError(redact("\n".join(lines))) from None


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, which YAML readers otherwise take silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key} is given twice; remove one", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such site file; see configs/site.example.yaml") from None
    except IsADirectoryError:
        raise SettingsError(f"{path}: a folder, want a site file in it") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: not UTF-8 text, want a YAML site file") from None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}, want a readable site file") from None
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not YAML: {_where_in_yaml(error)}") from None
    if not isinstance(data, dict):
        what = "empty" if data is None else f"a {type(data).__name__}"
        raise SettingsError(f"{path}: {what}, want keys and values; see configs/site.example.yaml")
    return data


def _where_in_yaml(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return str(error)


def _refuse_readable_password(path: Path, data: dict[str, Any]) -> None:
    if not path.stat().st_mode & stat.S_IROTH:
        return
    for index, source in enumerate(_source_entries(data)):
        userinfo = _USERINFO.search(source["uri"])
        password = userinfo and userinfo.group().partition(":")[2].removesuffix("@")
        if password and not _PLACEHOLDER.fullmatch(password):
            raise SettingsError(
                f"{path}: sources.{index}.uri: {redact(source['uri'])}: a password in a file "
                f"that everybody may read; write ${{NAME}} and set NAME in the environment, "
                f"or chmod o-r the file"
            )


def _source_entries(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Sources that are well-formed enough to look at; the rest is validation's to refuse."""
    sources = data.get("sources")
    entries = sources if isinstance(sources, list) else []
    return [e for e in entries if isinstance(e, dict) and isinstance(e.get("uri"), str)]


def _absolute(data: dict[str, Any], base: Path) -> dict[str, Any]:
    """Return the data with each relative path made absolute against `base`."""
    data = _absolute_paths(data, SiteSettings, base)
    for source in _source_entries(data):
        source["uri"] = _absolute_uri(source["uri"], base)
    return data


def _absolute_paths(data: dict[str, Any], model: type[BaseModel], base: Path) -> dict[str, Any]:
    result = dict(data)
    for key, value in data.items():
        field = model.model_fields.get(str(key))
        if field is None:
            continue
        section = section_of(field)
        if isinstance(value, dict) and section is not None:
            result[key] = _absolute_paths(value, section, base)
        elif isinstance(value, str) and value and _is_path(field.annotation):
            result[key] = str(base / Path(value).expanduser())
    return result


def _is_path(annotation: Any) -> bool:
    return annotation is Path or Path in getattr(annotation, "__args__", ())


def _absolute_uri(uri: str, base: Path) -> str:
    if uri.startswith("${"):
        return uri
    if uri.startswith("file://"):
        rest = uri.removeprefix("file://").removeprefix("localhost")
        return uri if rest.startswith("/") else (base / unquote(rest)).as_uri()
    return uri if "://" in uri else str(base / Path(uri).expanduser())


def _override(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise SettingsError(f"--set {override}: want KEY=VALUE, such as mqtt.port=1884")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise SettingsError(f"--set {redact(override)}: want a YAML value after =") from None
    *parents, last = keys = key.split(".")
    target: Any = data
    for part in parents:
        target = _step(target, part, override)
    value = _absolute_value(value, keys)
    if isinstance(target, list):
        _step(target, last, override)
        target[int(last)] = value
    else:
        target[last] = value


def _absolute_value(value: Any, keys: list[str]) -> Any:
    """Make the paths of an override absolute against the working directory."""
    if isinstance(value, dict):
        return _absolute_paths(value, section_at(keys, SiteSettings) or SiteSettings, Path.cwd())
    field = field_at(keys, SiteSettings)
    if not isinstance(value, str) or field is None:
        return value
    if keys[0] == "sources" and keys[-1] == "uri":
        return _absolute_uri(value, Path.cwd())
    return str(Path.cwd() / Path(value).expanduser()) if _is_path(field.annotation) else value


def _step(target: Any, part: str, override: str) -> Any:
    """One key or index deeper; a section that the file leaves out is made."""
    if isinstance(target, list):
        if part.isdecimal() and int(part) < len(target):
            return target[int(part)]
        raise SettingsError(
            f"--set {redact(override)}: {part}, want an index from 0 to {len(target) - 1}"
        )
    inner = target.get(part)
    if inner is None:
        inner = target[part] = {}
    if not isinstance(inner, (dict, list)):
        raise SettingsError(f"--set {redact(override)}: {part} has no keys of its own")
    return inner


def _fill_from_environment(
    data: dict[str, Any], path: Path, environment: Mapping[str, str]
) -> None:
    for index, source in enumerate(_source_entries(data)):
        for name in _PLACEHOLDER.findall(source["uri"]):
            if name not in environment:
                raise SettingsError(
                    f"{path}: sources.{index}.uri: ${{{name}}} is not set in the environment; "
                    f"export {name} before the start"
                )
        userinfo = _USERINFO.search(source["uri"])
        start, end = userinfo.span() if userinfo is not None else (0, 0)
        before, inside, after = (
            source["uri"][:start],
            source["uri"][start:end],
            source["uri"][end:],
        )
        source["uri"] = "".join(
            (
                _PLACEHOLDER.sub(lambda m: environment[m.group(1)], before),
                # Within user:password@ a raw @ or / would end the password too early.
                _PLACEHOLDER.sub(lambda m: quote(environment[m.group(1)], safe=""), inside),
                _PLACEHOLDER.sub(lambda m: environment[m.group(1)], after),
            )
        )


def _files_of(source: SourceSettings, path: Path) -> list[SourceSettings]:
    """Return the source itself, or one for each video file if it is a folder."""
    uri = source.uri
    folder = Path(unquote(urlsplit(uri).path)) if uri.startswith("file://") else Path(uri)
    if ("://" in uri and not uri.startswith("file://")) or not folder.is_dir():
        return [source]
    videos = sorted(f for f in folder.iterdir() if f.suffix.lower() in VIDEO_SUFFIXES)
    if not videos:
        raise SettingsError(
            f"{path}: sources: {source.id}: {folder} holds no video file, "
            f"want some of {', '.join(sorted(VIDEO_SUFFIXES))}"
        )
    stems = [video.stem for video in videos]
    return [
        source.model_copy(
            update={
                "id": _name(source.id, v.name if stems.count(v.stem) > 1 else v.stem),
                "uri": str(v),
            }
        )
        for v in videos
    ]


def _name(source_id: str, file_name: str) -> str:
    return f"{source_id}-{re.sub(r'[^A-Za-z0-9_-]+', '-', file_name)}"[:64]
