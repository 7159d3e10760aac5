"""Metadata of the built package: its links work where the README is shown alone."""

from __future__ import annotations

import importlib.util
import re
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.metadata.spec import get_core_metadata_constructors
from hatchling.plugin.manager import PluginManager

ROOT = Path(__file__).parent.parent
ADDRESS = "https://code.example/someone/lonepair"


def built_metadata(monkeypatch: pytest.MonkeyPatch, address: str) -> tuple[Message, str]:
    """The fields of METADATA, as in a wheel that is built with `address`, and the README in it."""
    monkeypatch.setenv("LONEPAIR_URL", address)
    metadata = ProjectMetadata(str(ROOT), PluginManager())
    constructors = get_core_metadata_constructors()
    fields = message_from_string(constructors[max(constructors)](metadata))
    readme = fields.get_payload()
    assert isinstance(readme, str)
    return fields, readme


def links(text: str) -> list[str]:
    return re.findall(r"""(?:\]\(|\b(?:src|href)=["'])([^)\s"']+)""", text)


def test_metadata_with_an_address_has_absolute_links_to_files(monkeypatch: pytest.MonkeyPatch) -> None:
    fields, readme = built_metadata(monkeypatch, ADDRESS + "/")
    urls = dict(line.split(", ") for line in fields.get_all("Project-URL", []))
    assert urls["Homepage"] == ADDRESS
    assert {"Documentation", "Issues", "Changelog"} <= set(urls)
    assert all(url.startswith(ADDRESS) for url in urls.values())
    # The same links as in README.md, each to a file of the repository.
    originals = links((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(originals) == len(links(readme)) > 20
    for original, link in zip(originals, links(readme), strict=True):
        kind = "raw" if original.endswith((".png", ".jpg", ".webp")) else "blob"
        assert link == (original if original.startswith("https://") else f"{ADDRESS}/{kind}/HEAD/{original}")


def test_metadata_without_an_address_has_the_readme_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    fields, readme = built_metadata(monkeypatch, "")
    assert readme.strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    assert fields["Description-Content-Type"].startswith("text/markdown")
    assert fields.get_all("Project-URL") is None


def test_readme_names_the_extra_that_the_demo_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    fields, readme = built_metadata(monkeypatch, "")
    assert "demo" in fields.get_all("Provides-Extra", [])
    assert re.search(r'pip install "?lonepair\[demo\]', readme)


def test_links_of_every_form_become_absolute() -> None:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = '[![a](./a.PNG)](b.md#c) <img src="d.svg"> [e](#f) [g](https://h/i) <a href="mailto:j@k">'
    assert module.absolute_links(text, ADDRESS) == (
        f'[![a]({ADDRESS}/raw/HEAD/a.PNG)]({ADDRESS}/blob/HEAD/b.md#c) <img src="{ADDRESS}/raw/HEAD/d.svg"> '
        f'[e]({ADDRESS}#f) [g](https://h/i) <a href="mailto:j@k">'
    )
    for address in ("code.example/lonepair", "http://code.example/a/b", "https://code.example"):
        with pytest.raises(ValueError, match=r"the public address is .*: give the repository's"):
            module.checked_address(address)
