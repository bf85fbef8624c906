"""Our line-aware reader takes and refuses what GLib's key files take and refuse."""

import random
from pathlib import Path
from typing import Any

import pytest

from ropewatch.errors import ModelError
from ropewatch.lint.source import read_config, read_value
from ropewatch.nvinfer_keys import Kind

GLib = pytest.importorskip("gi.repository.GLib")
pytestmark = pytest.mark.gst

_READERS = {
    Kind.BOOL: "get_boolean",
    Kind.INT: "get_integer",
    Kind.FLOAT: "get_double",
    Kind.INTS: "get_integer_list",
    Kind.FLOATS: "get_double_list",
}
_PIECES = [
    "1",
    "0",
    "true",
    "false",
    " ",
    "#c",
    "3.5",
    "-2",
    "+7",
    ";",
    "e5",
    ".",
    "x",
    "_",
    "nan",
]
_LINES = ["[property]", "[ property ]", "a=1", " b = 2 ", "# c", "", "d", "=e", "[f", "g=h=i"]


def _glib(text: str) -> Any:
    file = GLib.KeyFile()
    file.load_from_data(text, len(text.encode()), GLib.KeyFileFlags.NONE)
    return file


def test_values_are_read_as_by_glib() -> None:
    chosen = random.Random(7)
    for _ in range(4000):
        text = "".join(chosen.choices([*_PIECES, "2147483648", "0x10"], k=chosen.randint(1, 5)))
        file = _glib(f"[g]\nk={text}\n")
        for kind, name in _READERS.items():
            try:
                wanted = getattr(file, name)("g", "k")
            except GLib.Error:
                with pytest.raises(ValueError, match=r"."):
                    read_value(text.lstrip(), kind, is_yaml=False)
                continue
            wanted = tuple(wanted) if isinstance(wanted, list) else wanted
            ours = read_value(text.lstrip(), kind, is_yaml=False)
            assert repr(ours) == repr(wanted), (text, kind)


def test_files_are_taken_and_refused_as_by_glib(tmp_path: Path) -> None:
    chosen = random.Random(8)
    path = tmp_path / "config.txt"
    for _ in range(1500):
        text = "\n".join(chosen.choices(_LINES, k=chosen.randint(1, 4))) + "\n"
        path.write_text(text)
        try:
            file = _glib(text)
        except GLib.Error:
            with pytest.raises(ModelError):
                read_config(path)
            continue
        ours = {(one.group, one.name): one.text for one in read_config(path).entries}
        theirs = {
            (group, key): file.get_value(group, key)
            for group in file.get_groups()[0]
            for key in file.get_keys(group)[0]
        }
        assert ours == theirs, text
