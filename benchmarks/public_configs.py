"""Check the nvinfer configurations of public repositories, and print what was found.

`python -m benchmarks.public_configs CHECKOUT...`, checkouts of NVIDIA/DeepStream and the like.
Every file that may be a configuration by its suffix is given to the check, by itself and without
the models that it names; what is not nvinfer's has to be told apart by a message. A row of a
table for each checkout, then how often each code was found; the exit code is 1 where a check
raised or called a file wrong, which NVIDIA ships and which runs.
"""

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ropewatch.errors import ModelError, RopewatchError
from ropewatch.lint.check import check_files
from ropewatch.lint.findings import Finding, Severity
from ropewatch.lint.source import YAML_SUFFIXES, read_config
from ropewatch.nvinfer_keys import PROPERTY_GROUP, Release

SUFFIXES = frozenset({".txt", ".ini", ".cfg", ".conf", *YAML_SUFFIXES})
HEAD = (
    "| repository, commit | files | told apart | with a property group | nvinfer's, ini | YAML "
    "| raised | errors | warnings | of these absent files (RW011) | notes "
    "| for 7.1 (RW401, RW402) |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass
class Tally:
    """Counts of one checkout."""

    files: int = 0
    told_apart: int = 0
    grouped: int = 0
    ini: int = 0
    yaml: int = 0
    raised: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    severities: Counter[Severity] = field(default_factory=Counter)

    def add(self, findings: list[Finding]) -> None:
        """Count what one configuration has."""
        for one in findings:
            self.codes[one.code] += 1
            self.severities[one.severity] += not one.code.startswith("RW4")
            if one.severity is Severity.ERROR:
                self.errors.append(f"{one.file}:{one.line}: {one.code}: {one.what}")


def candidates(checkout: Path) -> Iterator[Path]:
    """Yield every file that may be a configuration, whosever it is."""
    for path in sorted(checkout.rglob("*")):
        if path.suffix in SUFFIXES and path.is_file() and ".git" not in path.parts:
            yield path


def has_property_group(path: Path) -> bool:
    """Say whether a file is a configuration with the group that nvinfer's have."""
    try:
        return PROPERTY_GROUP in (name for name, _line in read_config(path).groups)
    except ModelError:
        return False


def tally(checkout: Path) -> Tally:
    """Check a checkout."""
    counts = Tally()
    for path in candidates(checkout):
        counts.files += 1
        counts.grouped += has_property_group(path)
        try:
            findings = check_files([path], Release.DS_7_1)
        except RopewatchError as error:
            if str(path) not in str(error):
                counts.raised.append(f"{path}: not named in: {error}")
            counts.told_apart += 1
            continue
        except Exception as error:
            counts.raised.append(f"{path}: {error!r}")
            continue
        counts.yaml += path.suffix in YAML_SUFFIXES
        counts.ini += path.suffix not in YAML_SUFFIXES
        counts.add(findings)
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
            one.files,
            one.told_apart,
            one.grouped,
            one.ini,
            one.yaml,
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
