"""Commands that tell: what a model holds, which methods there are, what this machine can do; and the demo."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

import lonepair.methods as methods
from lonepair.commands.forms import Training, model_file, parse_size, with_method
from lonepair.commands.train import Output, Translate, run_translate, sheet_path
from lonepair.train.options import Options

logger = logging.getLogger("lonepair")


@dataclass(frozen=True)
class Info:
    """Show what a model file or a run's folder holds; without one, a method's parameter counts at its defaults."""

    model: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")] = None
    """A model.safetensors or a run's folder."""
    method: str = methods.DEFAULT
    """Method whose defaults are shown where no model is named."""
    preset: str = "standard"
    """Preset whose counts are shown where no model is named."""
    size: Annotated[str, tyro.conf.arg(metavar="WxH|N")] = ""
    """Size of the images whose stages are shown where no model is named. Default: a square of the preset's max_side."""


def run_info(given: Info) -> int:
    from lonepair.media.sizes import fit_inside
    from lonepair.train.checkpoint import load_model

    settings: dict[str, Any]
    if given.model is None:
        method_class = methods.get_method(given.method)
        config = method_class.config_class.from_preset(given.preset)
        size = parse_size(given.size, (config.size.max_side, config.size.max_side))
        originals = dict.fromkeys(method_class.domains, size)
        plan = method_class.plan_for(
            config, 3, originals, dict.fromkeys(originals, fit_inside(size, config.size.max_side))
        )
        method, settings = method_class(config, plan), {"method": given.method, "preset": given.preset}
    else:
        path = model_file(given.model)
        method, settings = load_model(path)
        print(f"file         {path} ({path.stat().st_size / 1e6:.1f} MB)")
        print(f"trained to   stage {method.stage + 1} of {method.plan.stages}")
    for name in ("method", "preset", "seed"):
        if name in settings:
            print(f"{name:12} {settings[name]}")
    for domain, source in settings.get("inputs", {}).items():
        print(f"{'input ' + domain:12} {source['name']}")
    print(f"{'used for':12} {', '.join(sorted(method.uses))}")
    for domain, full in method.plan.full_sizes.items():
        print(f"{'stages ' + domain:12} {' '.join(f'{w}x{h}' for h, w in method.plan.sizes(full))} (width x height)")
    print("generator parameters, all stages")
    for part, count in method.parameter_counts().items():
        print(f"  {part:12} {count:>10,}")
    print(f"  {'total':12} {sum(method.parameter_counts().values()):>10,}")
    print("settings")
    for name, value in method.config.to_dict().items():
        print(f"  {name:18} {value}")
    print(f"cite\n{method.citation}")
    return 0


@dataclass(frozen=True)
class Methods:
    """List the methods that can be trained."""


def run_methods(given: Methods) -> int:
    defaults = {
        methods.DEFAULT: " (default for a pair)",
        methods.DEFAULT_SINGLE: " (default for one image)",
        methods.DEFAULT_SAMPLES: " (default of `generate`)",
    }
    for name in methods.names():
        method = methods.get_method(name)
        summary = (sys.modules[method.__module__].__doc__ or "").split("\n")[0].split(": ", 1)[-1]
        print(f"{name}{defaults.get(name, '')}: {summary}")
        many = " (or several, or a clip)" if method.accepts_several else ""
        print(f"  learns from: {f'one image{many}' if len(method.domains) == 1 else f'a source{many} and a target'}")
        print(f"  used for: {', '.join(sorted(method.uses))}")
        print(f"  presets: {', '.join(method.config_class.presets)}")
    return 0


@dataclass(frozen=True)
class Doctor:
    """Report versions, devices, codecs, memory and what sizes fit."""


def run_doctor(given: Doctor) -> int:
    from lonepair.commands import diagnosis as doctor

    return doctor.main()


@dataclass(frozen=True)
class Demo:
    """Crop a source clip and a target from photographs that come along, then redraw the clip: about five minutes."""

    folder: Path = Path("demo")
    """Where inputs and results go."""
    max_minutes: float = 0.0
    """Finish training within so many minutes; 0 is no limit."""


def run_demo(given: Demo) -> int:
    from lonepair.commands.demo_inputs import demo_inputs

    _, clip, target = demo_inputs(given.folder)
    out = given.folder / "redrawn.mp4"
    logger.info("lonepair translate %s %s --preset draft -o %s", clip, target, out)
    translate = with_method(Translate)([])
    status = run_translate(
        translate(
            source=clip,
            target=target,
            config=methods.get_method(methods.DEFAULT).config_class.from_preset("draft"),
            output=Output(out=out, overwrite=True),
            training=Training(method=methods.DEFAULT, preset="draft", run=given.folder / "run"),
            options=Options(max_minutes=given.max_minutes),
        )
    )
    logger.info("open %s: source, target and result side by side; and %s", sheet_path(out), out)
    return status
