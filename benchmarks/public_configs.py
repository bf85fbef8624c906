"""Check the nvinfer configurations of public repositories, and print what was found.

`python -m benchmarks.public_configs CHECKOUT...`, checkouts of NVIDIA/DeepStream and the like.
Each file is checked by itself, without the models that it names. A row of a table for each
checkout, then how often each code was found; the exit code is 1 where a check raised or called
a file wrong, which NVIDIA ships and which runs.
"""

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ropewatch.errors import ModelError
from ropewatch.lint.check import check_files, is_nvinfer
from ropewatch.lint.findings import Severity
from ropewatch.lint.source import read_config
from ropewatch.nvinfer_keys import PROPERTY_GROUP, Release

SUFFIXES = {".txt", ".yml", ".yaml"}
HEAD = (
    "| repository, commit | with a property group | nvinfer's | raised | errors | warnings "
    "| of these absent files (RW011) | notes | for 7.1 (RW401, RW402) |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


@dataclass
class Tally:
    """Counts of one checkout."""

    grouped: int = 0
    ours: int = 0
    raised: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    severities: Counter[Severity] = field(default_factory=Counter)


def candidates(checkout: Path) -> Iterator[Path]:
    """Yield every file with a property group, whosever it is."""
    for path in sorted(checkout.rglob("*")):
        if path.suffix not in SUFFIXES or not path.is_file() or ".git" in path.parts:
            continue
        try:
            groups = read_config(path).groups
        except ModelError:
            continue  # no configuration at all: a text, a list of labels
        if PROPERTY_GROUP in (name for name, _line in groups):
            yield path


def tally(checkout: Path) -> Tally:
    """Check a checkout."""
    counts = Tally()
    for path in candidates(checkout):
        counts.grouped += 1
        try:
            if not is_nvinfer(path):
                continue
            counts.ours += 1
            findings = check_files([path], Release.DS_7_1)
        except Exception as error:
            counts.raised.append(f"{path}: {error!r}")
            continue
        for one in findings:
            counts.codes[one.code] += 1
            counts.severities[one.severity] += not one.code.startswith("RW4")
            if one.severity is Severity.ERROR:
                counts.errors.append(f"{one.file}:{one.line}: {one.code}: {one.what}")
    return counts


def commit_of(checkout: Path) -> str:
    """Return the first 8 digits of a checkout's commit; empty where it is none."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short=8", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkouts", type=Path, nargs="+", metavar="CHECKOUT")
    tallies = {path: tally(path) for path in parser.parse_args().checkouts}
    print(HEAD)
    for path, one in tallies.items():
        for_old = one.codes["RW401"] + one.codes["RW402"]
        cells = (
            f"{path.name} {commit_of(path)}".strip(),
            one.grouped,
            one.ours,
            len(one.raised),
            len(one.errors),
            one.severities[Severity.WARNING],
            one.codes["RW011"],
            one.severities[Severity.NOTE],
            for_old,
        )
        print("| " + " | ".join(map(str, cells)) + " |")
    codes = sum((one.codes for one in tallies.values()), Counter[str]())
    print("\n" + ", ".join(f"{code} {count}" for code, count in codes.most_common()))
    wrong = [text for one in tallies.values() for text in (*one.raised, *one.errors)]
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
