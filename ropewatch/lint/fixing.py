"""Applies the safe fixes of findings to files: single lines, everything else byte for byte."""

import difflib
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from ropewatch.errors import ModelError
from ropewatch.lint.config import nearest_key
from ropewatch.lint.findings import Edit, Finding
from ropewatch.lint.source import ConfigText, parse_config, printable, read_text

_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
_RESET = "\x1b[0m"


def fixed_texts(findings: Iterable[Finding]) -> dict[Path, tuple[str, str]]:
    """Return old and new text of each file that has safe fixes.

    Raises:
        ModelError: a file cannot be read any more.
    """
    edits: dict[Path, dict[Edit, None]] = {}
    for finding in findings:
        # Two codes may ask for the same change, such as a filter that is missing and is wrong.
        edits.setdefault(finding.file, {}).update(dict.fromkeys(finding.edits))
    texts = {}
    for path, distinct in edits.items():
        if distinct:
            old = read_text(path)
            texts[path] = (old, _apply(parse_config(path, old), old, tuple(distinct)))
    return texts


def diff_of(texts: dict[Path, tuple[str, str]], *, colour: bool) -> str:
    """Show the changes of files as a unified diff; colour is for a terminal."""
    lines: list[str] = []
    for path, (old, new) in texts.items():
        pieces = (printable(old).splitlines(), printable(new).splitlines())
        lines += difflib.unified_diff(*pieces, str(path), str(path), lineterm="")
    if colour:
        lines = [
            f"{_COLOURS[line[0]]}{line}{_RESET}" if line[:1] in _COLOURS else line
            for line in lines
        ]
    return "\n".join(lines)


def write_texts(texts: dict[Path, tuple[str, str]]) -> None:
    """Write the new texts; a file is either the old one or the new one, whatever happens.

    Raises:
        ModelError: a file cannot be written.
    """
    for path, (_old, new) in texts.items():
        # A link stays a link: what it points to is replaced.
        target = path.resolve()
        try:
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(new.encode("utf-8", "surrogateescape"))
                    stream.flush()
                    os.fsync(stream.fileno())
                Path(name).chmod(target.stat().st_mode & 0o7777)
                Path(name).replace(target)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise ModelError(
                f"{path}: {error.strerror}, want a file in a folder that can be written; "
                "correct its rights, or see the change with --diff and make it by hand"
            ) from None


def _apply(config: ConfigText, text: str, edits: Sequence[Edit]) -> str:
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    newline = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    replaced: dict[int, Edit] = {}
    added: dict[int, list[str]] = {}
    new_edits: list[Edit] = []
    for edit in edits:
        line = edit.line or _line_of(config, edit) or _misspelt_line_of(config, edit)
        if line is not None:
            # Of two changes of one line the one that takes it out gives way.
            if edit.value is not None or line not in replaced:
                replaced[line] = edit
        elif edit.value is not None:
            where, indent = _end_of(config, edit.group, lines)
            added.setdefault(where, []).append(indent + _written(config, edit) + newline)
            new_edits.append(edit)
    result: list[str] = []
    for number, line in enumerate(lines, 1):
        change = replaced.get(number)
        if change is None:
            result.append(line)
        elif change.value is not None:
            result.append(_rewritten(config, change, line))
        if number in added:
            if result and not result[-1].endswith("\n"):
                result[-1] += newline
            result += added[number]
    new = "".join(result)
    _verify(config, new, replaced, new_edits)
    return new


def _verify(
    config: ConfigText, new: str, replaced: dict[int, Edit], added: Sequence[Edit]
) -> None:
    """Refuse a new text that does not say what was wanted, as in YAML with several keys a line."""
    said = [(e.group, e.name, e.text) for e in parse_config(config.path, new).entries]
    wanted = [(e.group, e.name, e.text) for e in config.entries if e.line not in replaced]
    wanted += [(e.group, e.key, e.value) for e in (*replaced.values(), *added) if e.value]
    if sorted(said, key=str) != sorted(wanted, key=str):
        raise ModelError(
            f"{config.path}: not one key a line, want key=value or key: value on a line of its "
            "own; put each key on its own line, or make the changes by hand"
        )


def _line_of(config: ConfigText, edit: Edit) -> int | None:
    lines = [e.line for e in config.entries if (e.group, e.name) == (edit.group, edit.key)]
    return lines[-1] if lines else None


def _misspelt_line_of(config: ConfigText, edit: Edit) -> int | None:
    """Line where a key that is to be written stands already under a name that nobody knows."""
    own = [entry for entry in config.entries if entry.group == edit.group and edit.value]
    lines = [entry.line for entry in own if nearest_key(entry) == edit.key]
    return lines[-1] if lines else None


def _end_of(config: ConfigText, group: str, lines: list[str]) -> tuple[int, str]:
    """Line behind which a new key goes, and its indentation: that of the group's last key."""
    own = [entry.line for entry in config.entries if entry.group == group]
    last = own[-1] if own else next(line for name, line in config.groups if name == group)
    text = lines[last - 1]
    indent = text[: len(text) - len(text.lstrip())] if own else "  " * config.is_yaml
    return last, indent


def _written(config: ConfigText, edit: Edit) -> str:
    return f"{edit.key}: {edit.value}" if config.is_yaml else f"{edit.key}={edit.value}"


def _rewritten(config: ConfigText, edit: Edit, line: str) -> str:
    """Put key and value in the place of a line's own, between its indentation and its comment."""
    content = line.rstrip("\r\n")
    ending = line[len(content) :]
    indent = content[: len(content) - len(content.lstrip())]
    # An ini file knows no comment behind a value; YAML does, after a blank.
    comment = re.search(r"\s+#.*$", content) if config.is_yaml else None
    separator = re.search(r"\s*:\s+" if config.is_yaml else r"\s*=\s*", content)
    between = separator[0] if separator else ": "
    return indent + edit.key + between + str(edit.value) + (comment[0] if comment else "") + ending
