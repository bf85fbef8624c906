"""RW314..: a site's cameras and its tracker (RW311)."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from ropewatch.lint.config import Config, Role, SiteUse
from ropewatch.lint.findings import Hit, Severity, rule

# A cascaded association lets weak detections keep a target and never begin one.
_CASCADED = 1
_TENTATIVE_DEFAULT = 0.5
# As NVIDIA documents them.
_TARGET_DEFAULTS = {"probationAge": 5, "maxTargetsPerStream": 30}


def _detector_use(config: Config) -> SiteUse | None:
    """Return the site once: with its detector."""
    use = config.use
    return use if use is not None and use.role is Role.DETECTOR else None


@rule(
    "RW311",
    Severity.WARNING,
    "tracker that delays or drops people",
    "nvtracker removes whoever it does not track: below its confidence floor, on probation, or "
    "beyond its number of targets",
    "set probationAge: 0, minDetectorConfidence (with associationMatcherType: 1 also "
    "tentativeDetectorConfidence) at or below pre-cluster-threshold and maxTargetsPerStream at or "
    "above topk",
)
def tracker(config: Config) -> Iterator[Hit]:
    """Yield confidence floors above the detector's, a probation, and too few targets."""
    use = _detector_use(config)
    if use is None or not use.site.tracker.ll_config_file.is_file():
        return
    file = use.site.tracker.ll_config_file
    # OpenCV's "%YAML:1.0" is no YAML directive; in NVIDIA's files it also stands below a comment.
    text = re.sub(r"^%YAML.*", "", file.read_text("utf-8", errors="replace"), flags=re.MULTILINE)
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        yield Hit("not YAML", line=1, file=file)
        return
    person = str(use.site.detector.person_class_id)
    least = config.of_class(person, "pre-cluster-threshold", 0.2)
    for name, floor in _floors(document).items():
        if floor > least:
            what = f"{name}: {floor:g} above pre-cluster-threshold={least:g}"
            yield Hit(what, line=_line(text, name), file=file)
    for name, what in _limits(document, config.of_class(person, "topk", -1)):
        yield Hit(what, line=_line(text, name), file=file)


def _limits(document: Any, topk: float) -> Iterator[tuple[str, str]]:
    """Yield the keys that delay people, or leave some out, by the file or by their default."""
    for name, default in _TARGET_DEFAULTS.items():
        own = _nested(document, "TargetManagement", name)
        value = default if own is None else own
        said = f"{name} is missing, {default} by default" if own is None else f"{name}: {own}"
        if not isinstance(value, (int, float)):
            continue
        if name == "probationAge" and value > 0:
            yield name, said
        elif name == "maxTargetsPerStream" and value < topk:
            yield name, f"{said}, below topk={topk:g}"


def _floors(document: Any) -> dict[str, float]:
    """Return the confidences below which nobody becomes a target, by their keys."""
    found = {"minDetectorConfidence": _nested(document, "BaseConfig", "minDetectorConfidence")}
    if _nested(document, "DataAssociator", "associationMatcherType") == _CASCADED:
        key = "tentativeDetectorConfidence"
        own = _nested(document, "DataAssociator", key)
        found[key] = _TENTATIVE_DEFAULT if own is None else own
    return {name: float(one) for name, one in found.items() if isinstance(one, (int, float))}


@rule(
    "RW314",
    Severity.WARNING,
    "camera that stays lost",
    "nothing reconnects an RTSP camera that has gone, with 0 or where the uri does not begin with "
    "rtsp:// in small letters (nvurisrcbin 9.1): it is blind until somebody restarts",
    "set rtsp_reconnect_interval_s: 10 and an rtsp:// uri, or watch the box's status for it",
)
def never_reconnects(config: Config) -> Iterator[Hit]:
    """Yield live sources without reconnecting."""
    use = _detector_use(config)
    for index, one in enumerate(use.site.sources if use is not None else ()):
        if not is_rtsp(one.uri) or use is None:
            continue
        if one.rtsp_reconnect_interval_s == 0:
            what = f"sources.{index}.rtsp_reconnect_interval_s: 0 ({one.id})"
            yield Hit(what, line=use.line("sources"), file=use.path)
        elif not one.uri.startswith("rtsp://"):
            # The scheme alone: the rest may hold a password.
            what = f"sources.{index}.uri: {one.uri.partition(':')[0]} ({one.id})"
            yield Hit(what, line=use.line("sources"), file=use.path)


@rule(
    "RW315",
    Severity.NOTE,
    "RTSP over UDP first",
    "lost packets make grey or torn pictures, in which nobody is found; tcp repeats what is lost",
    "set select_rtp_protocol: tcp, or leave it out",
)
def over_udp(config: Config) -> Iterator[Hit]:
    """Yield live sources that try UDP."""
    use = _detector_use(config)
    for index, one in enumerate(use.site.sources if use is not None else ()):
        if is_rtsp(one.uri) and one.select_rtp_protocol == "auto" and use is not None:
            what = f"sources.{index}.select_rtp_protocol: auto ({one.id})"
            yield Hit(what, line=use.line("sources"), file=use.path)


def is_rtsp(uri: str) -> bool:
    """Say whether a source is a camera on the network."""
    return uri.lower().startswith(("rtsp://", "rtsps://"))


def _nested(document: Any, section: str, key: str) -> Any:
    inner = document.get(section) if isinstance(document, dict) else None
    return inner.get(key) if isinstance(inner, dict) else None


def _line(text: str, key: str) -> int:
    numbered = enumerate(text.splitlines(), 1)
    return next((number for number, line in numbered if line.strip().startswith(key)), 1)
