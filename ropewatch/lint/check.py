"""Checks files and sites with every rule."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import yaml

from ropewatch.errors import ModelError
from ropewatch.lint import (
    rules_cameras,
    rules_engine,
    rules_frame,
    rules_keys,
    rules_model,
    rules_nobody,
    rules_release,
    rules_site,
    rules_text,
)
from ropewatch.lint.config import Config, Role, SiteUse
from ropewatch.lint.findings import RULES, Finding, Rule
from ropewatch.lint.kinds import read_nvinfer
from ropewatch.lint.source import YAML_SUFFIXES, read_text, shown
from ropewatch.load import ANY_ENVIRONMENT, load_site
from ropewatch.nvinfer_keys import Release
from ropewatch.settings import SiteSettings

__all__ = ["RULES", "check_configs", "check_files", "is_site", "site_configs"]

# Importing them fills the table.
RULE_MODULES: Final = (
    rules_text,
    rules_keys,
    rules_nobody,
    rules_model,
    rules_engine,
    rules_site,
    rules_cameras,
    rules_frame,
    rules_release,
)


def check_files(paths: Iterable[Path], target: Release | None = None) -> list[Finding]:
    """Check nvinfer configurations and sites, in order of file, line and code.

    Args:
        paths: the files.
        target: the release that they shall run on; None looks at no release's own faults.

    Raises:
        ModelError: a file cannot be read, or is neither.
        SettingsError: a site cannot be used.
    """
    configs: list[Config] = []
    for path in paths:
        if is_site(path):
            site = load_site(path, environment=ANY_ENVIRONMENT)
            configs.extend(site_configs(site, path, target))
        else:
            configs.append(_nvinfer(path, None, target))
    return check_configs(configs)


def site_configs(
    site: SiteSettings, path: Path | None = None, target: Release | None = None
) -> tuple[Config, Config]:
    """Read a site's detector and classifier configuration.

    Args:
        site: the settings.
        path: the site's file, for lines in findings; None where only the settings are known.
        target: the release that it shall run on.

    Raises:
        ModelError: one is missing, or is not nvinfer's.
    """
    lines = {} if path is None else _lines(path)
    files = {
        Role.DETECTOR: site.detector.config_file,
        Role.CLASSIFIER: site.classifier.config_file,
    }
    for role, file in files.items():
        if not file.is_file():
            raise ModelError(
                f"{file}: no such file, want an nvinfer configuration; correct "
                f"{role.value}.config_file in the site"
            )
    use = SiteUse(site, path, lines, Role.DETECTOR)
    detector = _nvinfer(files[Role.DETECTOR], use, target)
    use = SiteUse(site, path, lines, Role.CLASSIFIER, detector)
    return detector, _nvinfer(files[Role.CLASSIFIER], use, target)


def check_configs(configs: Iterable[Config]) -> list[Finding]:
    """Apply every rule to configurations, in order of file, line and code."""
    found = {
        finding
        for config in configs
        for one in RULES.values()
        for finding in _findings(one, config)
    }
    return sorted(found, key=lambda one: (str(one.file), one.line, one.code, one.what))


def is_site(path: Path) -> bool:
    """Say whether a YAML file is a site: it has sources, and no property."""
    return path.suffix in YAML_SUFFIXES and {"sources", "site"} <= {
        key.partition(".")[0] for key in _lines(path)
    }


def _nvinfer(path: Path, use: SiteUse | None, target: Release | None) -> Config:
    return Config.of(read_nvinfer(path), use, target)


def _findings(one: Rule, config: Config) -> list[Finding]:
    return [
        Finding(
            one.code,
            one.severity,
            shown(hit.file or config.text.path),
            hit.line or config.line(hit.key, hit.group),
            hit.what,
            one.reason,
            hit.fix or one.fix,
            hit.edits,
        )
        for hit in one.find(config)
        # Of a value that nvinfer refuses only that is known; its default says nothing about it.
        if hit.line is not None or not config.refused(hit.key, hit.group)
    ]


def _lines(path: Path) -> dict[str, int]:
    """Line of each key of a YAML file, two levels deep, such as classifier.score_label."""
    try:
        root = yaml.compose(read_text(path), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    lines: dict[str, int] = {}
    for key, inner in root.value if isinstance(root, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode):
            continue
        lines[key.value] = key.start_mark.line + 1
        for name, _value in inner.value if isinstance(inner, yaml.MappingNode) else ():
            if isinstance(name, yaml.ScalarNode):
                lines[f"{key.value}.{name.value}"] = name.start_mark.line + 1
    return lines
