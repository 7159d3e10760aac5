"""Which publications a use or a metric is taken from; their BibTeX entries are in references.bib.

A method states its own: `Method.publications`.

`lonepair cite` prints the entries of what was used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

SOFTWARE = "lonepair"
"""Key of the entry of this package."""

PATCHES = ("rabin2011wasserstein", "elnekave2022generating", "kwatra2005texture", "granot2022drop")
"""Keys of trainings that compare patches."""
SYNTHESIS = ("kwatra2005texture", "granot2022drop", "barnes2009patchmatch", "he2010guided")
"""Keys of patch synthesis."""
MOTION = ("kroeger2016fast", "ruder2016artistic")
"""Keys of the motion of a clip: its flow, and where the flow is reliable."""
_COMPLETION = ("wexler2007space", "barnes2009patchmatch", "newson2014video", "granot2022drop", "darabi2012image")
USES = {
    "inpaint": _COMPLETION,
    "outpaint": _COMPLETION,
    "tile": _COMPLETION,
    "refine": ("benaim2021structural",),
    "stabilize": (*MOTION, "neyret2003advected"),
    "translate_regions": ("kwatra2003graphcut", "grady2006random"),
}
"""Use -> keys of what it needs beyond the method; uses that are left out need no more."""
CLIP = (*MOTION, "neyret2003advected")
"""Keys of a translation of a clip by a method with patch synthesis."""
METRICS = {
    "look": ("karras2018progressive", "rabin2011wasserstein"),
    "look_distance": ("karras2018progressive", "rabin2011wasserstein"),
    "structure": ("shechtman2007matching", "kriegeskorte2008representational"),
    "diversity": ("rottshaham2019singan",),
    "ssim": ("wang2004image",),
    "sifid": ("rottshaham2019singan", "heusel2017gans"),
    **dict.fromkeys(("warp_error", "warp_error10", "error", "error10"), (*MOTION, "lai2018learning")),
    **dict.fromkeys(("swim", "swim10", "swim_moving", "popping", "motion_fidelity", "tracked_fraction"), MOTION),
}
"""Metric -> keys of its publications; metrics that are left out are of this project, or common."""


@cache
def entries() -> dict[str, str]:
    """Key -> BibTeX entry, of every publication."""
    text = Path(__file__).with_name("references.bib").read_text(encoding="utf-8")
    matches = re.findall(r"^(@\w+\{([\w-]+),\n.*?^\})", text, re.DOTALL | re.MULTILINE)
    return {key: entry for entry, key in matches}


def bibtex(keys: Iterable[str]) -> str:
    """The entries of `keys`, each once, in their order."""
    return "\n\n".join(entries()[key] for key in dict.fromkeys(keys))
