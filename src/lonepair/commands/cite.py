"""The command `cite`: print the BibTeX of exactly what was used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro

import lonepair.methods as methods
from lonepair import citations
from lonepair.commands.forms import MODEL
from lonepair.errors import UserError, printable

RESULTS = "results.json"
"""Name of the numbers in the folder of a report of `eval`."""


@dataclass(frozen=True)
class Cite:
    """Print BibTeX for exactly what was used: this package, methods, patch synthesis, uses, and metrics.

    A result names its method and its use in its metadata, and results.json the metrics."""

    examples: ClassVar[tuple[tuple[str, str], ...]] = (
        ("lonepair cite singan", "what the method is taken from"),
        ("lonepair cite runs/clip-to-b out.mp4 > used.bib", "a run and a result"),
        ("lonepair cite eval/results.json", "every method and metric of a report"),
    )

    what: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="WHAT")] = ()
    """Methods, folders of runs, model files, pictures and clips that lonepair wrote, and reports of `eval` (the folder
    or its results.json)."""


def run_cite(values: Cite) -> int:
    """Print the entries, each once.

    Raises:
        UserError: one of the words is nothing that can be cited.
    """
    if not values.what:
        raise UserError(f"missing: WHAT; give a method ({', '.join(methods.names())}), a run, a model or a result")
    # Entries that methods of other packages state have no key here.
    keys, texts = [citations.SOFTWARE], []
    for word in values.what:
        for key in _keys_of(word):
            if key in citations.entries():
                keys.append(key)
            else:
                texts.append(key.strip())
    print("\n\n".join([citations.bibtex(keys), *dict.fromkeys(texts)]))
    return 0


def _keys_of(word: str) -> Iterator[str]:
    """Keys of the entries of one word of the command line; a method of another package may state entries instead."""
    path = Path(word).expanduser()
    if word in methods.names() and not path.exists():
        yield from _method_keys(word)
    elif not path.exists():
        near = get_close_matches(word, methods.names(), 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        names = ", ".join(methods.names())
        raise UserError(f"{word}: no method and no file; {hint}methods: {names}; or give a run, a model or a result")
    elif path.name == RESULTS or (path / RESULTS).is_file():
        yield from _report_keys(path / RESULTS if path.is_dir() else path)
    elif path.suffix == ".safetensors" or (path / MODEL).is_file():
        yield from _model_keys(path / MODEL if path.is_dir() else path)
    else:
        yield from _result_keys(path)


def _method_keys(name: str) -> tuple[str, ...]:
    method = methods.get_method(name)
    return method.publications or (method.citation,)


def _model_keys(path: Path) -> Iterator[str]:
    """Keys of a model: its method, and patch synthesis where it has some."""
    from lonepair.train.checkpoint import read_header

    header = read_header(path)
    yield from _method_keys(header["method"])
    if header.get("synthesis") is not None:
        yield from citations.SYNTHESIS


def _report_keys(path: Path) -> Iterator[str]:
    """Keys of the methods and metrics of a report.

    Raises:
        UserError: it is no report of `eval`.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        for run in results["runs"]:
            yield from _method_keys(run["method"])
            for rows in run["measured"].values():
                for values in rows.values():
                    for metric in values:
                        yield from citations.METRICS.get(metric, ())
    except UserError:  # a method that is not installed
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise UserError(f"{path}: no results of `lonepair eval`; give its {RESULTS}") from None


def _result_keys(path: Path) -> Iterator[str]:
    """Keys of a picture or clip that lonepair wrote, by its metadata.

    Raises:
        UserError: it has none.
    """
    from lonepair.media.clips.write import read_clip_metadata
    from lonepair.media.source import open_source
    from lonepair.media.stills.image import read_metadata
    from lonepair.media.stills.opening import NotAnImageError

    source, file = open_source(path), path
    if path.is_dir():  # the frames of a clip
        file = min(each for each in path.iterdir() if each.is_file())
    try:
        texts = read_metadata(file)
    except NotAnImageError:
        texts = read_clip_metadata(file)
    try:
        settings = json.loads(texts["lonepair"])
        use_keys = citations.USES.get(settings["use"]["name"], ())
        # A combination of styles has the settings of each.
        for each in settings.get("styles", [settings]):
            yield from _used_keys(each, source.is_clip)
        yield from use_keys
    except UserError:  # a method that is not installed
        raise
    except (LookupError, ValueError, TypeError, AttributeError):
        raise UserError(
            f"{printable(path)}: has no metadata of lonepair; give the file as it was written, or its run"
        ) from None


def _used_keys(settings: Mapping[str, Any], is_clip: bool) -> Iterator[str]:
    """Keys of the method that a result names, and of patch synthesis and motion where it used them."""
    name = settings.get("method")
    if name is None:  # `stabilize` has no model
        return
    yield from _method_keys(name)
    use = settings.get("use", {})
    # `closed-form` has patch synthesis only where it stores its target.
    has_synthesis = methods.get_method(name).synthesis is not None or settings["config"].get("exemplar_max_side", 0) > 0
    if has_synthesis and use.get("synthesize", True):
        yield from citations.SYNTHESIS
        if is_clip and use.get("name") == "translate":
            yield from citations.CLIP
