"""Commands in the documents run, or say why not; relative links exist."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.tree import ROOT, name_of

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
SHELL = {"bash", "sh", "shell", "console"}
BY_CI = "run by CI"
NEEDS = "needs: "


@dataclass(frozen=True)
class Block:
    """A fenced block of commands, and the comment in front of it."""

    document: Path
    line: int
    note: str
    body: str

    def __str__(self) -> str:
        return f"{name_of(self.document)}:{self.line}"


def _blocks() -> list[Block]:
    found = []
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        for match in _FENCE.finditer(text):
            if match["language"] in SHELL:
                line = text.count("\n", 0, match.start("language")) + 1
                found.append(Block(document, line, match["note"] or "", match["body"]))
    return found


BLOCKS = _blocks()


def test_documents_have_blocks_of_each_kind() -> None:
    kinds = {block.note.partition(" ")[0] for block in BLOCKS}

    assert kinds == {"", "run", "needs:"}


@pytest.mark.parametrize("block", [b for b in BLOCKS if not b.note], ids=str)
def test_commands_run(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.body],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.note], ids=str)
def test_commands_that_are_not_run_here_say_why(block: Block) -> None:
    if block.note == BY_CI:
        steps = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()

        assert {f"step {line}" for line in block.body.splitlines()} <= set(steps)
    else:
        assert block.note.startswith(NEEDS)
        assert len(block.note) > len(NEEDS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_relative_links_exist(document: Path) -> None:
    targets = [t for t in _LINK.findall(document.read_text("utf-8")) if "://" not in t]

    missing = [t for t in targets if not (document.parent / t.partition("#")[0]).exists()]

    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_sentences_have_a_line_each(document: Path) -> None:
    text = _FENCE.sub("", document.read_text("utf-8"))
    prose = [line for line in text.splitlines() if line and line[0] not in "|-#<! 0123456789"]

    two = [line for line in prose if re.search(r"[a-z)`][.?!] [A-Z]", line)]

    assert two == []
