"""The documentation: its code runs, its links lead to a file, and its built pages load nothing from the network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BUILT = DOCS / "_build"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(set(DOCS.rglob("*.md")) - set(BUILT.rglob("*.md")))]
WIDTH = 120
"""Longest line of prose. A row of a table, a link and a block of code may be longer."""


def prose(text: str) -> str:
    """`text` without its blocks of code."""
    return re.sub(r"^(`{3,})[^\n]*\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Names by which a link can reach the headings of `page`, as code hosts and the site form them."""
    heads = re.findall(r"^#+ (.*)$", prose(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_conventions_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "reference" / "conventions.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 8
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)


def test_every_command_has_an_example() -> None:
    from lonepair.commands import COMMANDS

    examples = "".join(page.read_text(encoding="utf-8") for page in PAGES if "notes" not in page.parts)
    assert not [name for name in COMMANDS if f"lonepair {name}" not in examples]


def test_examples_name_existing_commands() -> None:
    from lonepair.commands import COMMANDS

    for page in PAGES:
        if "results" in page.parts or "notes" in page.parts:  # dated: they name the commands of their day
            continue
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for name in re.findall(r"^lonepair ([a-z]+)", block, re.MULTILINE):
                assert name in COMMANDS, f"{page.name}: lonepair {name}"


def test_every_method_has_its_settings_in_the_reference() -> None:
    from lonepair import methods

    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert [name for name in re.findall(r"\{lonepair-settings\} (\S+)", page) if name not in methods.names()] == []
    assert not [name for name in ("lonepair", "consingan", "singan") if f"{{lonepair-settings}} {name}\n" not in page]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_local_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_prose_wrap(page: Path) -> None:
    lines = prose(page.read_text(encoding="utf-8")).splitlines()
    long = [line for line in lines if len(line) > WIDTH and not line.lstrip().startswith(("|", "![", "<", "`python "))]
    assert not long, f"{page.name}: {long[0]}"


def test_built_site_loads_nothing_from_the_network() -> None:
    pages = [*BUILT.rglob("*.html"), *BUILT.rglob("*.css")]
    if not pages:
        pytest.skip("the site is not built; `make docs` builds it")
    remote = r"""(?:<(?:script|img|iframe|source|video|embed|link)\b[^>]*\b(?:src|href)=["']|url\(["']?|@import ["'])"""
    for page in pages:
        match = re.search(remote + r"(?:https?:)?//[^\"')>]*", page.read_text(encoding="utf-8"))
        assert match is None, f"{page.relative_to(BUILT)}: {match.group()}"


def test_pictures_of_the_gallery_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (DOCS / "images" / "pairs").glob("*")}
    assert sum(sizes.values()) < 1.5e6
    assert {name: size for name, size in sizes.items() if size > 40_000 and not name.endswith(".webp")} == {}
