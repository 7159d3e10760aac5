"""lonepair: learn a generative model from a single image, a pair, or a clip and a picture; redraw one as the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lonepair.errors import UserError

if TYPE_CHECKING:
    from lonepair.api.job import fit, fit_many, fit_pair
    from lonepair.api.model import Model, load
    from lonepair.methods import names as method_names

__version__ = "0.1.0"
__all__ = ["Model", "UserError", "__version__", "fit", "fit_many", "fit_pair", "load", "method_names"]

_HOMES = {
    "Model": ("lonepair.api.model", "Model"),
    "fit": ("lonepair.api.job", "fit"),
    "fit_pair": ("lonepair.api.job", "fit_pair"),
    "load": ("lonepair.api.model", "load"),
    "method_names": ("lonepair.methods", "names"),
    "fit_many": ("lonepair.api.job", "fit_many"),
}
"""Public name -> where it lives. Loaded on first use: the command line must not wait for torch to show its help."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lonepair' has no attribute {name!r}")
    import importlib

    home, attribute = _HOMES[name]
    value = getattr(importlib.import_module(home), attribute)
    globals()[name] = value
    return value
