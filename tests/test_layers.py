"""Imports point down only: a module may import from layers below its own, from its own layer and its own folder."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "lonepair"

LAYERS = (
    ("errors", "lazy"),
    ("ops",),
    ("compute",),
    ("media", "losses", "patches"),
    ("metrics", "nets"),
    ("methods",),
    ("render",),
    ("apply",),
    ("train",),
    ("api",),
    ("evaluate",),
    ("commands", "__main__"),
)
"""Bottom to top; a name stands for lonepair/name.py or all of lonepair/name/."""

HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}


def imported(source: str, module: tuple[str, ...]) -> Iterator[str]:
    """Names within lonepair that `source`, the text of `module`, imports: the first part after "lonepair.".

    Counted wherever they stand: in functions, under TYPE_CHECKING, and as the string given to `lazy`. Importing the
    package itself counts as "" (its public names come from the top), save for its version.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # A relative import counts its dots from the folder that holds the module.
            base = ".".join(("lonepair", *module)[: -node.level]) if node.level else ""
            base = ".".join(part for part in (base, node.module) if part)
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "lonepair" else [base]
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            text = node.args[0] if called in ("lazy", "import_module") and node.args else None
            names = [text.value] if isinstance(text, ast.Constant) and isinstance(text.value, str) else []
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == "lonepair" and rest != "__version__":
                below = rest.partition(".")[0]
                yield below if below in HEIGHT or (PACKAGE / f"{below}.py").exists() else ""


def violations(source: str, module: tuple[str, ...]) -> list[str]:
    """What is wrong with the imports of `module` = ("train", "loop"), whose text is `source`."""
    if module[0] not in HEIGHT:
        return [f"{'.'.join(module)} stands in no layer: give it a place in LAYERS"]
    found = []
    for name in imported(source, module):
        if name not in HEIGHT:
            found.append(f"{'.'.join(module)} imports lonepair.{name}, which stands in no layer")
        elif HEIGHT[name] > HEIGHT[module[0]]:
            found.append(f"{'.'.join(module)} imports lonepair.{name}, which lies above it")
    return found


def modules() -> list[Path]:
    return [file for file in sorted(PACKAGE.rglob("*.py")) if file != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file: Path) -> None:
    found = violations(file.read_text(encoding="utf-8"), file.relative_to(PACKAGE).with_suffix("").parts)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "from lonepair.train.loop import train",
        "import lonepair.train.loop",
        "from lonepair import train",
        "from ..train import loop",
        "def f():\n    from lonepair.train import loop",
        "if TYPE_CHECKING:\n    from lonepair.train import loop",
        "train = lazy('lonepair.train')",
        "train = importlib.import_module('lonepair.train.loop')",
        "import lonepair",
        "from lonepair import fit_pair",
    ],
)
def test_an_upward_import_is_caught(line: str) -> None:
    assert violations(line, ("methods", "singan"))
    assert violations(line, ("methods", "__init__"))


@pytest.mark.parametrize(
    "line",
    [
        "from lonepair.methods.base import Method",
        "from .base import Method",
        "from . import base",
        "from lonepair import losses, nets",
        "nets = lazy('lonepair.nets')",
        "from lonepair import __version__",
        "import torch",
    ],
)
def test_a_downward_import_is_not(line: str) -> None:
    assert not violations(line, ("methods", "singan"))


def test_a_module_without_a_place_is_caught() -> None:
    assert violations("", ("elsewhere",))
