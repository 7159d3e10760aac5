"""The command `cite`, and the entries that it prints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import lonepair.methods as methods
from lonepair import citations
from lonepair.commands.main import main
from lonepair.evaluate.definitions import DEFINITIONS
from lonepair.media.stills.image import write_image
from lonepair.render.results import metadata_of
from tiny_models import untrained
from tiny_settings import picture

ROOT = Path(__file__).parents[2]


def cited(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    """Keys of the entries that `cite` prints for `words`."""
    assert main(["cite", *map(str, words)]) == 0
    return re.findall(r"^@\w+\{([\w-]+),$", capsys.readouterr().out, re.MULTILINE)


def result(path: Path, method: str | None, **use: Any) -> Path:
    """A picture with the metadata of a use of `method`."""
    settings: dict[str, Any] = {"use": use} if method is None else {"method": method, "config": {}, "use": use}
    write_image(path, picture(16, 16), metadata_of(settings))
    return path


def test_a_method_is_cited_with_the_package_and_its_loss(capsys: pytest.CaptureFixture[str]) -> None:
    assert cited(capsys, "singan") == ["lonepair", "rottshaham2019singan", "gulrajani2017improved"]
    assert cited(capsys, "singan", "consingan").count("gulrajani2017improved") == 1


def test_a_method_of_another_package_states_its_own_entries(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = "@misc{mine,\n  title = {Mine}\n}"
    monkeypatch.setattr(methods.get_method("singan"), "publications", ("hinz2021improved", entry))
    assert cited(capsys, "singan") == ["lonepair", "hinz2021improved", "mine"]
    monkeypatch.setattr(methods.get_method("singan"), "publications", ())
    assert cited(capsys, "singan") == ["lonepair", "rottshaham2019singan"]


def test_a_model_cites_patch_synthesis_where_it_has_some(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for method in ("lonepair", "representative"):
        keys = cited(capsys, untrained(method, tmp_path / f"{method}.safetensors"))
        assert keys[0] == "lonepair"
        assert set(methods.get_method(method).publications) <= set(keys)
        assert ("barnes2009patchmatch" in keys) == (method == "lonepair")


def test_a_result_cites_the_use_that_made_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    still = result(tmp_path / "still.png", "lonepair", name="translate", synthesize=True)
    assert "barnes2009patchmatch" in cited(capsys, still)
    assert "kroeger2016fast" not in cited(capsys, still)
    networks = result(tmp_path / "networks.png", "lonepair", name="translate", synthesize=False)
    assert "barnes2009patchmatch" not in cited(capsys, networks)
    filled = result(tmp_path / "filled.png", "lonepair-single", name="inpaint")
    assert {"wexler2007space", "newson2014video"} <= set(cited(capsys, filled))
    # A clip as a folder of frames
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(2):
        result(frames / f"{number:04d}.png", "lonepair", name="translate", synthesize=True)
    assert {"kroeger2016fast", "ruder2016artistic"} <= set(cited(capsys, frames))
    steady = result(tmp_path / "steady.png", None, name="stabilize")
    assert cited(capsys, steady) == ["lonepair", *citations.USES["stabilize"]]


def test_a_report_cites_its_methods_and_metrics(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    measured = {"samples": {"samples": {"ssim": 0.5, "psnr": 20.0, "sifid": None}}}
    report = {"runs": [{"method": "singan", "measured": measured}]}
    (tmp_path / "results.json").write_text(json.dumps(report))
    keys = ["lonepair", *methods.get_method("singan").publications, "wang2004image", "heusel2017gans"]
    assert cited(capsys, tmp_path) == cited(capsys, tmp_path / "results.json") == keys


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("singam", "no method and no file; did you mean 'singan'"),
        ("plain.png", "has no metadata of lonepair"),
        ("changed.png", "has no metadata of lonepair"),
        ("other/results.json", "no results of `lonepair eval`"),
        ("notes.txt", "is neither an image nor a video"),
    ],
)
def test_what_cannot_be_cited_is_refused_in_one_line(
    word: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(Path("plain.png"), picture(16, 16))
    changed = json.dumps({"use": {"name": "translate"}, "styles": ["no settings"]})
    write_image(Path("changed.png"), picture(16, 16), {"lonepair": changed})
    Path("other").mkdir()
    Path("other/results.json").write_text("[]")
    Path("notes.txt").write_text("notes")
    assert main(["cite", word]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_every_entry_is_used_and_every_key_has_an_entry() -> None:
    tables = [*citations.USES.values(), *citations.METRICS.values()]
    tables += [methods.get_method(name).publications for name in methods.names()]
    used = {key for keys in tables for key in keys}
    used |= {citations.SOFTWARE, *citations.SYNTHESIS, *citations.CLIP}
    assert used == set(citations.entries())
    assert all(methods.get_method(name).publications for name in methods.names())
    assert set(citations.METRICS) <= set(DEFINITIONS)
    for entry in citations.entries().values():
        assert entry.count("{") == entry.count("}")
        assert {"title", "author"} <= set(re.findall(r"^  (\w+) +=", entry, re.MULTILINE))
    for name in methods.names():
        assert methods.get_method(name).citation in citations.entries().values()


def test_citation_cff_has_the_publication_of_every_method() -> None:
    """The same title, first author and year as its BibTeX entry."""
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    references = {}
    for block in text.split("  - type: ")[2 if text.startswith("type") else 1 :]:
        title = re.search(r"title: \"?(.*?)\"?$", block, re.MULTILINE)
        assert title is not None
        references[title[1].lower()] = block
    publications = {methods.get_method(name).citation for name in methods.names()}
    publications.discard(citations.entries()[citations.SOFTWARE])
    assert len(references) == len(publications)
    for entry in publications:
        fields = dict(re.findall(r"^  (\w+) += \{(.*)\},?$", entry, re.MULTILINE))
        block = references[re.sub(r"[{}]", "", fields["title"]).lower()]
        authors = [re.escape(name.split(", ")[0]) for name in fields["author"].split(" and ")]
        assert re.findall(r"family-names: ([^,]+),", block) == [name.replace("\\", "") for name in authors]
        assert re.findall(r"year: (\d+)", block) == ([fields["year"]] if "year" in fields else [])
