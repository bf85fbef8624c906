import ast
from pathlib import Path

import pytest

from tests.house.tree import PACKAGES, ROOT, files_of_tests, modules, name_of

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
# What the project's dependencies are called when they are imported.
_NAMES = (
    "cairo cv2 gi hypothesis jinja2 jsonschema numpy onnx onnxruntime onnxslim paho psycopg pyds "
    "pydantic pytest rich scipy sklearn tensorrt timm torch torchvision ulid ultralytics yaml"
)
DEPENDENCIES = frozenset(_NAMES.split())


def _functions(file: Path) -> list[tuple[str, int]]:
    """Name and length in lines, `def` to last statement, of every function in a module."""
    return [
        (f"{name_of(file)}: {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_modules_are_at_most_400_lines() -> None:
    files = [*modules(), *files_of_tests()]
    lengths = {name_of(file): len(file.read_text("utf-8").splitlines()) for file in files}

    assert {name: n for name, n in lengths.items() if n > MODULE_LINES_MAX} == {}


def test_functions_are_at_most_50_lines() -> None:
    lengths = [found for file in modules() for found in _functions(file)]

    assert [found for found in lengths if found[1] > FUNCTION_LINES_MAX] == []


def test_packages_say_what_belongs_in_them() -> None:
    folders = {file.parent for file in modules()}

    without = [
        name_of(folder)
        for folder in folders
        if not (folder / "__init__.py").is_file()
        or not ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    ]

    assert without == []


def test_no_module_is_named_after_a_dependency() -> None:
    names = {name_of(file): {*file.relative_to(ROOT).parts[:-1], file.stem} for file in modules()}

    assert {
        name: parts & DEPENDENCIES for name, parts in names.items() if parts & DEPENDENCIES
    } == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_package_exists(package: str) -> None:
    assert (ROOT / package / "__init__.py").is_file()
