"""A module imports from layers below its own, from its own layer and from its own package, never from above."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "lonepair"

LAYERS = (
    ("citations", "errors", "lazy", "streams"),
    ("ops", "storage"),
    ("compute",),
    ("media", "losses", "patches"),
    ("metrics", "nets"),
    ("methods",),
    ("render",),
    ("apply",),
    ("train",),
    ("api",),
    ("evaluate",),
    ("studio",),
    ("commands", "__main__"),
)
"""Bottom to top; a name is the module lonepair/name.py or the package lonepair/name/."""

HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}


def imported_names(source: str, module: tuple[str, ...]) -> Iterator[str]:
    """Yield the first part after "lonepair." of every import in `source`, the text of `module`.

    Imports in functions, under TYPE_CHECKING and as the argument of `lazy` are included. The package itself yields "",
    because its public names come from the top layer; its version does not count.
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
            function = getattr(node.func, "id", getattr(node.func, "attr", ""))
            text = node.args[0] if function in ("lazy", "import_module") and node.args else None
            names = [text.value] if isinstance(text, ast.Constant) and isinstance(text.value, str) else []
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == "lonepair" and rest != "__version__":
                part = rest.partition(".")[0]
                yield part if part in HEIGHT or (PACKAGE / f"{part}.py").exists() else ""


def violations(source: str, module: tuple[str, ...]) -> list[str]:
    """Return a message for each import in `source` that `module`, such as ("train", "loop"), may not have."""
    if module[0] not in HEIGHT:
        return [f"{'.'.join(module)} is in no layer: add it to LAYERS"]
    messages = []
    for name in imported_names(source, module):
        if not name and HEIGHT[module[0]] > HEIGHT["api"]:
            continue  # the package's public names come from api
        if name not in HEIGHT:
            messages.append(f"{'.'.join(module)} imports lonepair.{name}, which is in no layer")
        elif HEIGHT[name] > HEIGHT[module[0]]:
            messages.append(f"{'.'.join(module)} imports lonepair.{name}, which is in a layer above")
    return messages


def modules() -> list[Path]:
    return [file for file in sorted(PACKAGE.rglob("*.py")) if file != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file: Path) -> None:
    messages = violations(file.read_text(encoding="utf-8"), file.relative_to(PACKAGE).with_suffix("").parts)
    assert not messages, "\n".join(messages)


STUDIO_MAY_IMPORT = ("lonepair", "lonepair.api", "lonepair.evaluate", "lonepair.studio")
"""The public Python API: a studio that needs more gets it from there."""


@pytest.mark.parametrize("file", sorted((PACKAGE / "studio").rglob("*.py")), ids=lambda file: file.name)
def test_studio_uses_the_public_interface_only(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            parent = ".".join(module.split(".")[:2])
            assert module.split(".")[0] != "lonepair" or parent in STUDIO_MAY_IMPORT, module


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
def test_upward_import_is_reported(line: str) -> None:
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
def test_downward_import_is_allowed(line: str) -> None:
    assert not violations(line, ("methods", "singan"))


def test_module_in_no_layer_is_reported() -> None:
    assert violations("", ("elsewhere",))
