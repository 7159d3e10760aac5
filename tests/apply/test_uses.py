"""Every use: methods that support it run it, the others name those that do; generated methods are up to date."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import lonepair.methods as methods
from lonepair.api import generate
from lonepair.api.model import Model
from lonepair.apply.base import field_docs, result_name, uses
from lonepair.errors import UserError
from tiny_models import SIZE, model_of
from tiny_settings import picture
from warm_processes import output_of

CALLS: dict[str, Callable[[Model], object]] = {
    "translate": lambda model: model.translate(picture(*SIZE)).image,
    "translate_stage_sheet": lambda model: model.translate_stage_sheet(picture(*SIZE)),
    "translate_dial_sheet": lambda model: model.translate_dial_sheet(picture(*SIZE)),
    "sample": lambda model: model.sample(1),
    "sample_stage_sheet": lambda model: model.sample_stage_sheet(1),
    "retarget": lambda model: model.retarget((20, 40)),
    "animate": lambda model: model.animate(frames=2),
    "edit": lambda model: model.edit(picture(*SIZE), torch.ones(1, 1, *SIZE)),
    "inpaint": lambda model: model.inpaint(picture(*SIZE), torch.eye(SIZE[0])[:, : SIZE[1]]),
    "outpaint": lambda model: model.outpaint(picture(*SIZE), left=9),
    "tile": lambda model: model.tile(picture(*SIZE)),
    "harmonize": lambda model: model.harmonize(picture(*SIZE), torch.ones(1, 1, *SIZE)),
    "paint": lambda model: model.paint(picture(*SIZE)),
    "refine": lambda model: model.refine(picture(*SIZE)),
    "superresolve": lambda model: model.superresolve(2),
}


def test_every_use_has_a_call_here() -> None:
    assert set(uses()) == set(CALLS)
    supported = {use for name in methods.names() for use in methods.get_method(name).uses}
    assert supported <= set(CALLS)


@pytest.mark.parametrize("use", CALLS)
@pytest.mark.parametrize("name", methods.names())
def test_method_runs_supported_uses_and_refuses_the_others(name: str, use: str) -> None:
    model = model_of(name)
    needed, needs_synthesis = uses()[use].requires or use, uses()[use].needs_synthesis
    able = [
        n
        for n in methods.names()
        if needed in (method := methods.get_method(n)).uses and (method.synthesis is not None or not needs_synthesis)
    ]
    if name in able:
        assert CALLS[use](model) is not None
        return
    with pytest.raises(UserError, match=f"'{name}' does not support {use}; methods that do: {', '.join(able)}"):
        CALLS[use](model)


@pytest.mark.parametrize("use", CALLS)
def test_every_setting_is_documented(use: str) -> None:
    docs = field_docs(uses()[use])
    for field in dataclasses.fields(uses()[use]):
        assert docs[field.name].endswith("."), field.name
        assert "efault" not in docs[field.name]  # the command line and the signature show it
    assert result_name(uses()[use]) in ("Picture", "Samples", "Animation", "Translation")


def test_generated_methods_are_up_to_date() -> None:
    generated = Path(generate.TARGET).read_text(encoding="utf-8")
    assert generate.module_text() == generated, "run `python -m lonepair.api.generate`"


def test_wrong_types_are_refused() -> None:
    """In another process, as beartype checks the types here before."""
    code = (
        "import lonepair.apply.refine as refine, lonepair.errors as errors\n"
        "try: print(refine.Refine('a.png', start_stage='1'))\n"
        "except errors.UserError as error: print(error)"
    )
    assert output_of(code) == "start_stage is '1': give a whole number\n"
