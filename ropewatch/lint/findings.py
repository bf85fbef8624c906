"""What a check finds, and the one table of codes that rules, `explain` and docs/check.md share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ropewatch.nvinfer_keys import PROPERTY_GROUP

if TYPE_CHECKING:
    from ropewatch.lint.config import Config


class Severity(Enum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Edit:
    """A safe change of one key: it cannot mean anything else.

    Attributes:
        key: the key as it shall be spelt.
        value: its text; None takes the line out.
        group: where it belongs.
        line: the line that it replaces; None is the key's last one, or a new line where the
            group has none.
    """

    key: str
    value: str | None
    group: str = PROPERTY_GROUP
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: stable, RW and three digits.
        severity: error, warning or note.
        file: where.
        line: 1 is the first; 1 also stands for the file as a whole.
        what: what the file says.
        reason: why that is wrong.
        fix: what to do.
        edits: the fix, where it is safe to apply without asking; all in `file`.
    """

    code: str
    severity: Severity
    file: Path
    line: int
    what: str
    reason: str
    fix: str
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule's function yields; the rest of the finding is in the table.

    Attributes:
        what: what the file says.
        key: the key whose line is meant; None for the group's line.
        group: the group of the key.
        line: where no key of the file is meant.
        file: where it is another file than the one that is read.
        fix: instead of the table's.
        edits: what `check --fix` may do about it.
    """

    what: str
    key: str | None = None
    group: str = PROPERTY_GROUP
    line: int | None = None
    file: Path | None = None
    fix: str | None = None
    edits: tuple[Edit, ...] = ()


Find = Callable[["Config"], Iterator[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One code.

    Attributes:
        code: RW0.. the text, RW1.. the keys among each other, RW2.. the model, RW3.. the site.
        severity: error: it does not start, or judges nobody or wrongly. warning: it runs, but
            not as written. note: worth knowing.
        title: one line.
        reason: why, for messages and for `explain`.
        fix: the way out.
        find: looks for it in one configuration.
    """

    code: str
    severity: Severity
    title: str
    reason: str
    fix: str
    find: Find


RULES: Final[dict[str, Rule]] = {}


def rule(
    code: str, severity: Severity, title: str, reason: str, fix: str
) -> Callable[[Find], Find]:
    """Register a function as the one that looks for a code."""

    def register(find: Find) -> Find:
        if code in RULES:
            raise ValueError(f"{code}: registered twice, want a code of its own")
        RULES[code] = Rule(code, severity, title, reason, fix, find)
        return find

    return register
