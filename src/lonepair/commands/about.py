"""Commands that describe: `info` (a model) and `methods` (the list of methods)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

import lonepair.methods as methods
from lonepair.apply.base import field_docs
from lonepair.commands.forms import SizeFlag, model_file, parse_size
from lonepair.commands.roles import PathRole
from lonepair.errors import printable
from lonepair.methods.base import Method
from lonepair.methods.config import Config
from lonepair.patches.config import SynthesisConfig


@dataclass(frozen=True)
class Info:
    """Show the contents of a model; without a model, a method's parameter counts at its defaults."""

    model: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[MODEL]"), PathRole.INPUT] = None
    """A model.safetensors, or the folder of a run."""
    method: str = methods.DEFAULT
    """Without a MODEL: the method to describe."""
    preset: str = "standard"
    """Without a MODEL: the preset to describe."""
    size: SizeFlag = ""
    """Without a MODEL: size of the images whose stages are shown. If omitted, a square of the preset's max_side."""


def run_info(values: Info) -> int:
    """Print the contents of a model file, or of an untrained model of a method."""
    from lonepair.train.checkpoint import load_model

    settings: dict[str, Any]
    if values.model is None:
        method, settings = _untrained_method(values), {"method": values.method, "preset": values.preset}
    else:
        path = model_file(values.model)
        method, settings = load_model(path)
        print(f"file         {printable(path)} ({path.stat().st_size / 1e6:.1f} MB)")
        print(f"trained to   stage {method.stage + 1} of {method.plan.stages}")

    # Training
    for name in ("method", "preset", "seed"):
        if name in settings:
            print(f"{name:12} {printable(settings[name])}")
    if notes := _preset_notes(type(method.config)):
        print(f"{'presets':12} {notes}")
    for domain, source in settings.get("inputs", {}).items():
        print(f"{'input ' + printable(domain):12} {printable(source['name'])}")
    print(f"{'supports':12} {', '.join(sorted(method.uses))}")

    # Networks
    for domain, full in method.plan.full_sizes.items():
        print(f"{'stages ' + domain:12} {' '.join(f'{w}x{h}' for h, w in method.plan.sizes(full))} (width x height)")
    print("generator parameters, all stages")
    for part, count in method.parameter_counts().items():
        print(f"  {part:12} {count:>10,}")
    print(f"  {'total':12} {sum(method.parameter_counts().values()):>10,}")

    # Settings
    print("settings")
    _print_settings(method.config.to_dict())
    if method.synthesis is not None:
        changes = _changed_synthesis_settings(method.synthesis)
        print(f"settings of patch synthesis{'; all others have their defaults' if changes else ': all defaults'}")
        _print_settings(changes)
    print(f"cite\n{method.citation}")
    return 0


def _untrained_method(values: Info) -> Method:
    """The method and preset of the flags, planned for RGB images of the size of the flags."""
    from lonepair.media.sizes import fit_inside

    method_class = methods.get_method(values.method)
    config = method_class.config_class.from_preset(values.preset)
    longest = config.size.max_side
    size = parse_size(values.size, (longest, longest))
    originals = dict.fromkeys(method_class.domains, size)
    plan = method_class.plan_for(config, 3, originals, dict.fromkeys(originals, fit_inside(size, longest)))
    return method_class(config, plan)


def _changed_synthesis_settings(synthesis: SynthesisConfig) -> dict[str, Any]:
    """The settings of patch synthesis that differ from the defaults of `SynthesisConfig`."""
    defaults = SynthesisConfig().to_dict()
    return {name: value for name, value in synthesis.to_dict().items() if value != defaults[name]}


def _print_settings(settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        print(f"  {name:18} {printable(value)}")


@dataclass(frozen=True)
class Methods:
    """List the installed methods."""


def run_methods(_: Methods) -> int:
    """Print each method's summary, inputs, uses and presets."""
    # Which method a command uses unless --method names another.
    defaults = {
        methods.DEFAULT: " (default for a pair)",
        methods.DEFAULT_SINGLE: " (default for one image)",
        methods.DEFAULT_SAMPLES: " (default of `generate`)",
    }
    for name in methods.names():
        method = methods.get_method(name)
        # The first line of a method's file is "`name`: summary".
        summary = (sys.modules[method.__module__].__doc__ or "").split("\n")[0].split(": ", 1)[-1]
        print(f"{name}{defaults.get(name, '')}: {summary}")
        several = " (or several, or a clip)" if method.accepts_several else ""
        inputs = f"one image{several}" if len(method.domains) == 1 else f"a source{several} and a target"
        print(f"  learns from: {inputs}")
        print(f"  supports: {', '.join(sorted(method.uses))}")
        print(f"  presets: {', '.join(method.config_class.presets)}")
        if notes := _preset_notes(method.config_class):
            print(f"    {notes}")
    return 0


def _preset_notes(config_class: type[Config]) -> str:
    """What the presets of a method are: the docstring under `presets`, in one line, if any."""
    return field_docs(config_class).get("presets", "").replace("`", "")  # type: ignore[arg-type]
