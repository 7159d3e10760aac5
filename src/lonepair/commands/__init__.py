"""The table of commands. A command imports torch only when it runs, so that `--help` answers at once."""

from collections.abc import Callable
from typing import Any

from lonepair.apply.base import Use, uses
from lonepair.commands import (
    about,
    batch,
    cite,
    completion,
    convert,
    demo,
    doctor,
    evaluate,
    stabilize,
    studio,
    train,
    translate,
)
from lonepair.commands.forms import Command as Command
from lonepair.commands.forms import with_method
from lonepair.commands.use import run_sample, run_use, sample_form, use_form


def _form_of(use: type[Use[Any]]) -> Callable[[list[str]], type]:
    return lambda _: use_form(use)


COMMANDS = {
    "translate": Command(
        "train on a source and a target, then translate the source", translate.translate_form, translate.run_translate
    ),
    "generate": Command(
        "train on one image, then generate images like it",
        with_method(train.Generate, train.sampling_method),
        train.run_generate,
    ),
    "train": Command(
        "train only, and save the model", with_method(train.Train, train.method_for_inputs), train.run_train
    ),
    "sample": Command("generate random images with a model", sample_form, run_sample),
    **{
        name: Command(use.summary, _form_of(use), run_use)
        for name, use in uses().items()
        if use.has_command and name not in ("translate", "sample")
    },
    "stabilize": Command(
        "take the flicker out of a stylized clip, without a model",
        lambda _: stabilize.Stabilize,
        stabilize.run_stabilize,
    ),
    "batch": Command(
        "train and translate many pairs or clips, here or on a cluster", lambda _: batch.Batch, batch.run_batch
    ),
    "eval": Command("measure runs, in numbers and pictures", lambda _: evaluate.Eval, evaluate.run_eval),
    "studio": Command("open pages in a browser", lambda _: studio.StudioForm, studio.run_studio),
    "info": Command("show a model's contents and parameter counts", lambda _: about.Info, about.run_info),
    "convert": Command(
        "convert a model that the authors' own code saved", lambda _: convert.Convert, convert.run_convert
    ),
    "methods": Command("list the methods", lambda _: about.Methods, about.run_methods),
    "cite": Command("print the BibTeX of exactly what was used", lambda _: cite.Cite, cite.run_cite),
    "doctor": Command("check versions, devices, codecs, memory and sizes", lambda _: doctor.Doctor, doctor.run_doctor),
    "completion": Command(
        "print a script that completes commands in a shell", lambda _: completion.Completion, completion.run_completion
    ),
    "demo": Command("translate a clip made from included photographs", lambda _: demo.Demo, demo.run_demo),
}
"""Name -> command. `translate` and `sample` have forms of their own; every other use gets its form from its class."""
