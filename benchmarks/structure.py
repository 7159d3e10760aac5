"""Size and shape of the package: lines, long files and functions, imports between packages, shared knowledge.

python benchmarks/structure.py            # this checkout
python benchmarks/structure.py ../other   # another one, to compare
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

CAPTURE = re.compile(
    r"CUDA ?[Gg]raph|cuda\.graph|compute\.graphs|train\.graphs|stream_capturing|captures_graphs|\b[Rr]ecorders?\b"
    r"|\b(a|the) graphs?\b|[Cc]aptur(e|ed|es|ing)\b|\b(be|is|are|was|being|not) recorded\b"
    # Names that older checkouts use for capture: repeated functions, observed choices, retained tensors.
    r"|\brepeated\(|\brepeats=|\babreast\(|\bholding\b|\.told\b|\bChoice\("
)
"""Code or text that speaks of capturing launches as CUDA graphs and replaying them."""
SEAM = re.compile(r"\.accelerate\b|\baccelerate:|\brun_independent\(|\bforbid_host_draws\(|\bfixed_work\b")
"""Neutral names behind which calls may be captured: who uses them needs no knowledge of it, but is bound by it."""
BRANCH = re.compile(r"def branch\(")
CROPS = re.compile(r"\bCrops\b|\bcrops\(|choose_crops|crop_side|crop_size|_on_crops|sample_regions|pieces_of")


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def comment_lines(text: str) -> int:
    return sum(token.type == tokenize.COMMENT for token in tokenize.generate_tokens(io.StringIO(text).readline))


def area(module: str) -> str:
    """The package, or the single module, below `lonepair` that `module` belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(text: str) -> Iterator[str]:
    """Modules of lonepair that `text` imports, those named for `lazy` included."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lonepair"):
            names = [f"lonepair.{alias.name}" for alias in node.names] if node.module == "lonepair" else [node.module]
            yield from names
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("lonepair"))
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            value = node.args[0].value
            if isinstance(value, str) and re.fullmatch(r"lonepair(\.\w+)+", value):
                yield value


def _count(package: Path, files: list[Path]) -> str:
    """Number and names of `files`."""
    return f"{len(files)} ({', '.join(str(file.relative_to(package)) for file in files)})"


def report(root: Path) -> dict[str, str]:
    """Name of a figure -> its value, for the checkout at `root`."""
    package = root / "src" / "lonepair"
    files = sorted(package.rglob("*.py"))
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    lines = {file: len(text.splitlines()) for file, text in texts.items()}
    long_files = [file for file, count in lines.items() if count > 300]
    bodies = [f for text in texts.values() for f in functions(ast.parse(text))]
    lengths = [(f.end_lineno or f.lineno) - f.lineno + 1 for f in bodies]
    arrows = set()
    for file, text in texts.items():
        importer = file.relative_to(package).parts[0].removesuffix(".py")
        arrows |= {(importer, area(name)) for name in imports(text) if area(name) not in ("", importer)}
    tests = sorted((root / "tests").rglob("*.py"))
    test_lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in tests}
    private = re.compile(r"(?<![\w.])(?!self\b|cls\b)\w+\._(?!_)\w+|import .*\b_[a-z]\w*")
    return {
        "lines of the package": f"{sum(lines.values()):,}",
        "files of the package": str(len(files)),
        "modules directly below lonepair": str(sum(file.parent == package for file in files)),
        "packages": str(len({f.parent for f in files if f.parent != package})),
        "arrows between packages and modules of the first level": str(len(arrows)),
        "files over 300 lines": f"{len(long_files)} ({', '.join(f.name for f in long_files)})",
        "functions": str(len(bodies)),
        "functions over 60 lines": str(sum(length > 60 for length in lengths)),
        "comments per 100 lines": f"{100 * sum(map(comment_lines, texts.values())) / sum(lines.values()):.1f}",
        "files that know of graph capture": _count(package, [file for file in files if CAPTURE.search(texts[file])]),
        "other files that use its neutral interface": _count(
            package, [file for file in files if SEAM.search(texts[file]) and not CAPTURE.search(texts[file])]
        ),
        "methods that state a branch": str(
            sum(bool(BRANCH.search(texts[file])) for file in files if file.parent.name == "methods")
        ),
        "files that know of crops": str(sum(bool(CROPS.search(text)) for text in texts.values())),
        "lines of tests": f"{sum(test_lines.values()):,}",
        "files of tests": str(len(tests)),
        "test files over 400 lines": str(sum(count > 400 for count in test_lines.values())),
        "uses of private names in tests": str(
            sum(len(private.findall(file.read_text(encoding="utf-8"))) for file in tests)
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[Path(__file__).parents[1]])
    for root in parser.parse_args().checkouts:
        print(root)
        for name, value in report(root).items():
            print(f"  {name:55} {value}")


if __name__ == "__main__":
    main()
