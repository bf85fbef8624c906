"""Read the names of TensorRT's Python bindings at one tag of NVIDIA/TensorRT; see README.md.

    python read_names.py CHECKOUT v10.3.0 > names-10.3.json

Prints {class: {"methods": {name: [[argument, ...], ...]}, "readable": [...], "writable": [...],
"values": [...], "bases": [...]}}. An argument with a default ends in "="; a method has one list
for each overload.
"""

import json
import re
import subprocess
import sys
from typing import Any

FILES = (
    "infer/pyCore.cpp",
    "infer/pyFoundationalTypes.cpp",
    "infer/pyGraph.cpp",
    "parsers/pyOnnx.cpp",
)
# The start of a class or an enum: C++ types, then the variable, then the name in Python.
BLOCK = re.compile(
    r'py::(?:class_|enum_)<([^;]*?)>\s*(?:\w+\s*)?[({]\s*(?:m|baseLoggerBinding)\s*,\s*"(\w+)"',
    re.DOTALL,
)
MEMBER = re.compile(
    r'\.(def|def_property|def_property_readonly|def_readwrite|def_readonly|value)\s*\(\s*"(\w+)"|'
    r"\.def\s*\(\s*(py::init)|baseLoggerBinding\.(def)\(py::init"
)
ARGUMENT = re.compile(r'"(\w+)"_a(\s*=)?')


def source(checkout: str, tag: str, file: str) -> str:
    """Text of one file of the bindings at a tag."""
    return subprocess.run(
        ["git", "-C", checkout, "show", f"{tag}:python/src/{file}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def members(text: str) -> dict[str, Any]:
    """Names that one class or enum binds, from its block of C++."""
    found: dict[str, Any] = {"methods": {}, "readable": [], "writable": [], "values": []}
    places = list(MEMBER.finditer(text))
    for place, following in zip(places, [*places[1:], None][: len(places)], strict=True):
        body = text[place.end() : following.start() if following else len(text)]
        arguments = [name + ("=" if default else "") for name, default in ARGUMENT.findall(body)]
        kind, name = place[1], place[2]
        if kind == "value":
            found["values"].append(name)
        elif kind == "def" or place[3] or place[4]:
            found["methods"].setdefault(name or "__init__", []).append(arguments)
        else:
            found["readable"].append(name)
            if not kind.endswith("readonly"):
                found["writable"].append(name)
    return found


def classes(text: str) -> dict[str, Any]:
    """All classes and enums of one file."""
    blocks = list(BLOCK.finditer(text))
    cpp_names: dict[str, str] = {}
    found = {}
    for block, following in zip(blocks, [*blocks[1:], None][: len(blocks)], strict=True):
        types = [part.strip() for part in block[1].split(",")]
        cpp_names[types[0]] = block[2]
        body = text[block.end() : following.start() if following else len(text)]
        found[block[2]] = members(body) | {
            "bases": [cpp_names[base] for base in types[1:] if base in cpp_names]
        }
    return found


def main() -> None:
    """Print the names of the tag on the command line."""
    checkout, tag = sys.argv[1:]
    names: dict[str, Any] = {}
    for file in FILES:
        names |= classes(source(checkout, tag, file))
    # `log` is bound to ILogger's variable, after the enum that lies within the class.
    names["ILogger"]["methods"] = names["Severity"].pop("methods")
    names["Severity"]["methods"] = {}
    rows = [f" {json.dumps(name)}: {json.dumps(names[name])}" for name in sorted(names)]
    print("{\n" + ",\n".join(rows) + "\n}")


if __name__ == "__main__":
    main()
