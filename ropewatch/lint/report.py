"""Findings as text, JSON and SARIF, and the explanations of keys and codes."""

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ropewatch.errors import SettingsError
from ropewatch.lint.check import RULES, check_files, site_configs
from ropewatch.lint.effect import effects, text_of
from ropewatch.lint.findings import Finding, Rule
from ropewatch.load import ANY_ENVIRONMENT, load_site
from ropewatch.nvinfer_keys import CLASS_KEYS, PROPERTY_KEYS, Key, Release

_LETTERS = {
    "D": "detector",
    "C": "classifier",
    "G": "segmentation",
    "I": "instance segmentation",
    "O": "raw outputs",
}


def as_text(findings: Sequence[Finding]) -> str:
    """Three lines a finding; nothing without findings."""
    return "\n".join(
        f"{one.file}:{one.line}: {one.severity.value} {one.code}: {one.what}\n"
        f"    why: {one.reason}\n    fix: {one.fix}"
        for one in findings
    )


def as_json(findings: Sequence[Finding]) -> str:
    """A list of objects with the fields of `Finding`."""
    return json.dumps([_object(one) for one in findings], indent=2, ensure_ascii=False)


def as_sarif(findings: Sequence[Finding]) -> str:
    """SARIF 2.1.0, which code hosts and editors show beside the lines."""
    rules = [
        {
            "id": one.code,
            "shortDescription": {"text": one.title},
            "help": {"text": f"{one.reason}. {one.fix}."},
            "defaultConfiguration": {"level": one.severity.value},
        }
        for one in RULES.values()
    ]
    run = {
        "tool": {"driver": {"name": "ropewatch check", "rules": rules}},
        "results": [_sarif_result(one) for one in findings],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    document = {"$schema": schema, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False)


def explain(name: str, site: Path | None = None) -> str:
    """Say what a key or a code means, and what it means for a site.

    Raises:
        SettingsError: there is no such key or code, or the site cannot be used.
        ModelError: a configuration of the site cannot be read.
    """
    if name.upper() in RULES:
        text = _explain_rule(RULES[name.upper()])
        return text if site is None else f"{text}\n{_found_in(site, name.upper())}"
    texts = [
        _explain_key(table[name], group)
        for table, group in ((PROPERTY_KEYS, "[property]"), (CLASS_KEYS, "[class-attrs-all]"))
        if name in table
    ]
    if not texts:
        known = [*PROPERTY_KEYS, *CLASS_KEYS, *RULES]
        near = difflib.get_close_matches(name, known, 3, 0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "docs/check.md lists the codes"
        raise SettingsError(f"{name}: no such key or code, want an nvinfer key or RW001; {hint}")
    if site is not None:
        configs = site_configs(load_site(site, environment=ANY_ENVIRONMENT), site)
        lines = [line for config in configs for line in effects(config, name)]
        texts += [f"in {site}:", *lines] if lines else [f"in {site}: not used"]
    return "\n".join(texts)


def _found_in(site: Path, code: str) -> str:
    # With a release that all rules look at.
    found = [one for one in check_files([site], Release.DS_7_1) if one.code == code]
    lines = [f"  {one.file}:{one.line}: {one.what}; {one.fix}" for one in found]
    return "\n".join([f"in {site}:", *lines]) if lines else f"in {site}: not found"


def default_of(key: Key) -> str:
    """A key's default as a file would say it; none where there is none."""
    return "none" if key.default in (None, ()) else text_of(key.default)


def codes_of(key: Key) -> list[str]:
    """Codes whose title or way out names a key."""
    return [
        code
        for code, one in sorted(RULES.items())
        if key.name in re.split(r"[^A-Za-z0-9_-]+", f"{one.title} {one.fix}")
    ]


def code_table() -> str:
    """The Markdown table of codes in docs/check.md."""
    rows = [
        f"| {one.code} | {one.severity.value} | {one.title} | {one.reason} | {one.fix} |"
        for _code, one in sorted(RULES.items())
    ]
    return "\n".join(("| code | severity | what | why | fix |", "|---|---|---|---|---|", *rows))


def _explain_rule(one: Rule) -> str:
    return f"{one.code} ({one.severity.value}): {one.title}\n  why: {one.reason}\n  fix: {one.fix}"


def _explain_key(key: Key, group: str) -> str:
    modes = {"P": "whole frames", "S": "objects", "PS": "whole frames and objects"}[key.modes]
    # Class groups are read for detectors and instance segmentation only, whatever the key says.
    letters = key.networks if group == "[property]" else "DI"
    networks = ", ".join(_LETTERS[letter] for letter in letters)
    codes = codes_of(key)
    lines = [
        f"{key.name} in {group}: {key.meaning}",
        f"  value: {key.wanted}; default: {default_of(key)}",
        f"  used for: {modes}; {networks}",
        f"  changes: {key.effect.value}",
        f"  DeepStream: {key.since.value}",
    ]
    if key.ini_only:
        lines.append("  not in YAML files")
    if codes:
        lines.append(f"  see: {', '.join(codes)}")
    return "\n".join(lines)


def _object(one: Finding) -> dict[str, Any]:
    return {
        "code": one.code,
        "severity": one.severity.value,
        "file": str(one.file),
        "line": one.line,
        "what": one.what,
        "reason": one.reason,
        "fix": one.fix,
    }


def _sarif_result(one: Finding) -> dict[str, Any]:
    where = {
        "artifactLocation": {"uri": quote(one.file.as_posix())},
        "region": {"startLine": one.line},
    }
    return {
        "ruleId": one.code,
        "level": one.severity.value,
        "message": {"text": f"{one.what}: {one.reason}; {one.fix}"},
        "locations": [{"physicalLocation": where}],
    }
