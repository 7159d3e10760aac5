"""Compare dials: a contact sheet of one frame with rows of `structure` and columns of `texture_size`."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Literal

from lonepair.apply.base import SizeInput, SourceInput, Use, number_problems
from lonepair.apply.translate import Translate
from lonepair.lazy import lazy
from lonepair.patches.dials import MAX_TEXTURE_SIZE, MIN_TEXTURE_SIZE, Dials
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    from lonepair.media import sheet, sizes, source
    from lonepair.render import results
    from lonepair.render.results import Picture
else:
    results = lazy("lonepair.render.results")
    sheet = lazy("lonepair.media.sheet")
    sizes = lazy("lonepair.media.sizes")
    source = lazy("lonepair.media.source")

STRUCTURES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Values of `structure`, one for each row."""
TEXTURE_FACTORS = (0.5, 1.0, 2.0)
"""Values of `texture_size` over that of auto, one for each column."""
CELL = 512
"""Largest side in pixels of a picture on the sheet."""


@dataclass(frozen=True)
class TranslateDialSheet(Use["Picture"]):
    """Compare dials: one frame, translated with five values of `structure` and three of `texture_size`."""

    name = "translate_dial_sheet"
    summary = "compare the dials of a translation"
    requires = "translate"
    needs_synthesis = True
    has_command = False

    source: SourceInput
    """The image or clip; of a clip the first frame is used."""
    _: KW_ONLY
    reverse: bool = False
    """Translate into the style of the source that the model was trained on."""
    colour: float = 1.0
    """From the source's colors, 0, to the target's, 1, under the same texture."""
    tone: Literal["auto", "keep", "swap"] = "auto"
    """keep: light areas of the source stay light; swap: they become dark; auto: as the model learned it."""
    strength: float = 1.0
    """From the source itself, 0, to the translation, 1."""
    size: SizeInput | None = None
    """Size of the output in pixels that the sheet is for; its pictures have at most 512. If omitted, the source's
    own."""
    seed: int = 0
    """Random seed of the noise, 0 to 4294967295."""

    def problems(self) -> list[str]:
        return number_problems(self, 0, 1, "colour", "strength")

    def run(self, model: TrainedModel) -> Picture:
        first = source.open_source(next(source.open_source(self.source).frames()).image)
        size = self.size or first.size
        pipeline = Translate(first, reverse=self.reverse, size=size).pipeline(model, first)
        # Pictures on the sheet are smaller than the output, and their texture with them.
        cell_size = sizes.fit_inside(size, CELL)
        share = max(cell_size) / max(size)
        auto = Dials().texture_scale(max(size), max(pipeline.synthesizer.detail_size))
        rows = []
        for structure in STRUCTURES:
            row = []
            for factor in TEXTURE_FACTORS:
                texture_size = min(MAX_TEXTURE_SIZE, max(MIN_TEXTURE_SIZE, factor * auto))
                translate = Translate(
                    first,
                    reverse=self.reverse,
                    structure=structure,
                    texture_size=max(MIN_TEXTURE_SIZE, texture_size * share),
                    colour=self.colour,
                    tone=self.tone,
                    strength=self.strength,
                    size=cell_size,
                    seed=self.seed,
                )
                text = f"auto ({texture_size:.2g})" if factor == 1 else f"{texture_size:.2g}"
                row.append((f"structure {structure:g}, texture-size {text}", translate.run(model).image))
            rows.append(row)
        return results.Picture(sheet.contact_sheet(rows, min(CELL, max(cell_size))), self.metadata(model))
