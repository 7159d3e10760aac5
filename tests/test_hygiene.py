"""Limits on the code: length of files and functions, and no private name of the package in a test."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "lonepair"

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

LONG_FILES: dict[str, str] = {"src/lonepair/api/uses.py": "it is generated, one method for each use"}
"""Path -> why the file is longer."""
LONG_FUNCTIONS: dict[str, str] = {}
"""Path:function -> why the function is longer."""
PRIVATE_NAMES = {
    "_repr_png_": "the hook by which notebooks show an object; its name is public there",
}
"""Private name -> why tests may use it."""

PRIVATE = re.compile(r"_[a-zA-Z]")


def python_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*.py") if "__pycache__" not in file.parts)


@functools.cache
def syntax_tree(file: Path) -> ast.Module:
    """The syntax tree of `file`. Tests only read it."""
    return ast.parse(file.read_text())


def relative(file: Path) -> str:
    return str(file.relative_to(TESTS.parent))


def private_uses(tree: ast.Module) -> set[str]:
    """Private names of the package that a test's syntax tree uses.

    An attribute counts unless it is one of `self` or `cls`, or of a module or class of another package.
    """
    names: set[str] = set()
    other_modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if not alias.name.startswith("lonepair"):
                    other_modules.add((alias.asname or alias.name).split(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.startswith("lonepair"):
                names |= {
                    part for alias in node.names for part in [alias.name, *node.module.split(".")] if part[0] == "_"
                }
            else:
                other_modules |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and re.fullmatch(r"lonepair(\.\w+)+", str(node.value)):
            # monkeypatch.setattr("lonepair.module._name", ...)
            names |= {part for part in str(node.value).split(".") if PRIVATE.match(part)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and PRIVATE.match(node.attr):
            root: ast.expr = node.value
            while isinstance(root, (ast.Attribute, ast.Call, ast.Subscript)):
                root = root.func if isinstance(root, ast.Call) else root.value
            if not isinstance(root, ast.Name) or root.id not in {"self", "cls"} | other_modules:
                names.add(node.attr)
    return names


def test_no_file_is_too_long() -> None:
    lengths = {
        relative(file): len(file.read_text().splitlines()) for file in python_files(SOURCE) + python_files(TESTS)
    }
    assert {file: n for file, n in lengths.items() if n > MAX_FILE_LINES and file not in LONG_FILES} == {}


def test_no_function_is_too_long() -> None:
    """Lines of its docstring do not count."""
    lengths = {}
    for file in python_files(SOURCE):
        for node in ast.walk(syntax_tree(file)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                docstring = ast.get_docstring(node, clean=False)
                assert node.end_lineno is not None
                lines = node.end_lineno - node.lineno + 1
                lengths[f"{relative(file)}:{node.name}"] = lines - len((docstring or "").splitlines())
    assert {name: n for name, n in lengths.items() if n > MAX_FUNCTION_LINES and name not in LONG_FUNCTIONS} == {}


def checks_something(test: ast.FunctionDef) -> bool:
    """Whether a test has an assertion of its own, or a call of `assert_...`, `pytest.raises` or `pytest.warns`."""
    calls = [node.func for node in ast.walk(test) if isinstance(node, ast.Call)]
    names = [call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls]
    return any(isinstance(node, ast.Assert) for node in ast.walk(test)) or any(
        name in ("raises", "warns") or name.startswith("assert_") for name in names
    )


def test_every_test_checks_something() -> None:
    tests = {
        f"{relative(file)}:{node.name}": node
        for file in python_files(TESTS)
        for node in ast.walk(syntax_tree(file))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert not [name for name, node in tests.items() if not checks_something(node)]


@pytest.mark.parametrize("file", python_files(TESTS), ids=relative)
def test_tests_use_no_private_name_of_the_package(file: Path) -> None:
    assert private_uses(syntax_tree(file)) - set(PRIVATE_NAMES) == set()


@pytest.mark.parametrize(
    "code",
    [
        "model._levels",
        "load(path).method._below[0]",
        "from lonepair.patches.distance import _known",
        "import lonepair.nets as nets\nnets._pool()",
        "monkeypatch.setattr('lonepair.train.run._clock', None)",
    ],
)
def test_private_name_is_recognized(code: str) -> None:
    assert len(private_uses(ast.parse(code))) == 1


@pytest.mark.parametrize(
    "code",
    ["self._left", "import torch\ntorch._dynamo.reset()", "from torch.utils._python_dispatch import Mode", "a.b_c"],
)
def test_private_name_of_others_is_allowed(code: str) -> None:
    assert private_uses(ast.parse(code)) == set()
