"""lonepair: learn a generative model from one image, or translate between two images, or a clip and an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lonepair.errors import UserError

if TYPE_CHECKING:
    from lonepair.api.batch.many import fit_many
    from lonepair.api.batch.place import BatchPlace
    from lonepair.api.batch.rows import BatchRow
    from lonepair.api.batch.runner import run_batch
    from lonepair.api.batch.table import BatchReport
    from lonepair.api.fit import fit, fit_pair
    from lonepair.api.job import Job
    from lonepair.api.model import Model, load
    from lonepair.api.regions import translate_regions
    from lonepair.api.stabilize import stabilize
    from lonepair.media.clips.codecs import Encoding
    from lonepair.methods import get_method
    from lonepair.methods import names as method_names
    from lonepair.patches.config import SynthesisConfig
    from lonepair.render.animation import Animation
    from lonepair.render.parts import Workers
    from lonepair.render.results import Picture, Samples
    from lonepair.render.translation import Translation
    from lonepair.train.events import Report, Watcher
    from lonepair.train.loop import Diverged, Interrupted
    from lonepair.train.options import Options

__version__ = "0.1.0"
__all__ = [
    "Animation",
    "BatchPlace",
    "BatchReport",
    "BatchRow",
    "Diverged",
    "Encoding",
    "Interrupted",
    "Job",
    "Model",
    "Options",
    "Picture",
    "Report",
    "Samples",
    "SynthesisConfig",
    "Translation",
    "UserError",
    "Watcher",
    "Workers",
    "__version__",
    "fit",
    "fit_many",
    "fit_pair",
    "get_method",
    "load",
    "method_names",
    "run_batch",
    "stabilize",
    "translate_regions",
]

_MODULES = {
    "Animation": "lonepair.render.animation",
    "BatchPlace": "lonepair.api.batch.place",
    "BatchReport": "lonepair.api.batch.table",
    "BatchRow": "lonepair.api.batch.rows",
    "Diverged": "lonepair.train.loop",
    "Encoding": "lonepair.media.clips.codecs",
    "Interrupted": "lonepair.train.loop",
    "Job": "lonepair.api.job",
    "Model": "lonepair.api.model",
    "Options": "lonepair.train.options",
    "Picture": "lonepair.render.results",
    "Report": "lonepair.train.events",
    "Samples": "lonepair.render.results",
    "SynthesisConfig": "lonepair.patches.config",
    "Translation": "lonepair.render.translation",
    "Watcher": "lonepair.train.events",
    "Workers": "lonepair.render.parts",
    "fit": "lonepair.api.fit",
    "fit_many": "lonepair.api.batch.many",
    "fit_pair": "lonepair.api.fit",
    "get_method": "lonepair.methods",
    "load": "lonepair.api.model",
    "method_names": "lonepair.methods",
    "run_batch": "lonepair.api.batch.runner",
    "stabilize": "lonepair.api.stabilize",
    "translate_regions": "lonepair.api.regions",
}
"""Public name -> its module, which is imported on first use: `lonepair --help` must not wait for torch."""
_RENAMED = {"method_names": "names"}
"""Public name -> its name in its module, where it differs."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'lonepair' has no attribute {name!r}")
    import importlib

    # Stored as an attribute, so that this function runs once for each name.
    value = getattr(importlib.import_module(_MODULES[name]), _RENAMED.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
