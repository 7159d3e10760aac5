"""Translate: a source in the style of the target, and sheets that compare start stages."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Literal

from lonepair.apply.base import KeysInput, MaskOption, SizeInput, SourceInput, SynthesisInput, Use, number_problems
from lonepair.errors import UserError
from lonepair.lazy import lazy
from lonepair.patches.dials import (
    DEFAULT_STRUCTURE,
    MAX_TEXTURE_SIZE,
    MIN_TEXTURE_SIZE,
    Dials,
)
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    from lonepair.media import sheet, sizes, source
    from lonepair.media.clips import excerpt
    from lonepair.media.source import Source
    from lonepair.render import frame_masks, pipeline, results, synthesizers, translation
    from lonepair.render import keys as render_keys
    from lonepair.render.frame_masks import FrameMasks
    from lonepair.render.keys import Keys
    from lonepair.render.pipeline import FramePipeline
    from lonepair.render.results import Picture
    from lonepair.render.translation import Translation
else:
    frame_masks = lazy("lonepair.render.frame_masks")
    render_keys = lazy("lonepair.render.keys")
    pipeline = lazy("lonepair.render.pipeline")
    results = lazy("lonepair.render.results")
    excerpt = lazy("lonepair.media.clips.excerpt")
    sheet = lazy("lonepair.media.sheet")
    sizes = lazy("lonepair.media.sizes")
    synthesizers = lazy("lonepair.render.synthesizers")
    source = lazy("lonepair.media.source")
    translation = lazy("lonepair.render.translation")


@dataclass(frozen=True)
class Translate(Use["Translation"]):
    """Translate an image or a clip into the style of the target that the model was trained on."""

    name = "translate"
    summary = "translate a source into the style of the target"

    source: SourceInput
    """The image, video or folder of frames to translate."""
    _: KW_ONLY
    reverse: bool = False
    """Translate into the style of the source that the model was trained on."""
    structure: float = DEFAULT_STRUCTURE
    """How fine the source's shapes are kept, 0 to 1. 0 keeps large masses only, and the target's objects take their
    place; at 1 a face or a letter is recognizable. Acts in patch synthesis."""
    texture_size: float | Literal["auto"] = "auto"
    """Size of the target's strokes, stones or leaves in the output, 0.05 to 20. 1: pixel for pixel as in the target; a
    larger value enlarges them. auto: as large beside the output as beside the target, but never enlarged. Acts in patch
    synthesis."""
    colour: float = 1.0
    """From the source's colors, 0, to the target's, 1, under the same texture."""
    tone: Literal["auto", "keep", "swap"] = "auto"
    """keep: light areas of the source stay light; swap: they become dark; auto: as the model learned it."""
    strength: float = 1.0
    """From the source itself, 0, to the translation, 1. From 1 to 0.5 `structure` rises to 1, from 0.5 to 0.25
    `colour` falls to 0, and from 0.25 to 0 the result fades into the source."""
    mask: MaskOption | None = None
    """Where the translation shows: white (or opaque) pixels are translated, black ones keep the source, and grey ones
    blend both. Any size. For a clip also a video or a folder with one mask for each frame."""
    frames: str | None = None
    """Part of a clip: FIRST:LAST such as 120:240, the numbers of the first and the last frame, counted from 0 and of
    numbered files those of their names, or 1.5s:4s, in seconds. Either end may be left out; one number is one frame.
    The frames are those that the translation of the whole clip has there. If omitted, the whole clip."""
    size: SizeInput | None = None
    """Size of the output in pixels. Its pixels are square. A size of another aspect stretches the image. If omitted,
    the source's own."""
    start_stage: int | None = None
    """Stage at which each frame enters, from 0 (coarsest); -1 is the last. 0 changes large shapes, a larger value finer
    texture only. If omitted, the stage that the method was trained for."""
    synthesize: bool = True
    """Replace patches of the prediction by patches of the target: sharper and slower. Has no effect for methods that do
    not store the target."""
    synthesis: SynthesisInput | None = None
    """Settings of patch synthesis that replace the model's own."""
    carry: Literal["auto", "on", "off"] = "auto"
    """on: carry each frame of a clip along the source's motion, and change only what the motion does not explain, so
    that the texture moves with what it lies on; off: translate each frame by itself; auto: on with patch synthesis,
    which published methods do not have."""
    keys: KeysInput | None = None
    """An output frame that you painted or corrected; repeat the flag for more. The last number in its name is that of
    the frame in the whole clip, from 0: 000012.png. The output shows it there, and its pixels are carried both ways to
    the next key or cut. A render with keys that stops starts again at its beginning."""
    passes: Literal[1, 2] = 1
    """2: carry a clip's frames forward and backward, and blend both. It takes at least twice as long, and a render that
    stops starts again."""
    transparency: Literal["keep", "drop"] = "keep"
    """keep: where the target is opaque, the output has the transparency of the source; drop: a transparent source is
    shown over white. A transparent target's own transparency is part of its style."""
    seed: int = 0
    """Random seed of the noise, 0 to 4294967295. Frames that are carried have no noise."""

    def problems(self) -> list[str]:
        problems = number_problems(self, 0, 1, "structure", "colour", "strength")
        size: object = self.texture_size
        if not isinstance(size, int | float) and size != "auto":
            problems.append(f"texture_size is {size}: give a number or auto")
        elif size != "auto":
            problems += number_problems(self, MIN_TEXTURE_SIZE, MAX_TEXTURE_SIZE, "texture_size", unit="or auto")
        return problems + self._size_problems()

    @property
    def dials(self) -> Dials:
        """How the source and the target are mixed."""
        return Dials(self.structure, self.texture_size, self.colour, self.tone, self.strength)

    def _size_problems(self) -> list[str]:
        if self.size is not None and min(self.size) < 1:
            h, w = self.size
            return [f"size is {w}x{h} (width x height): both sides need at least 1 pixel"]
        return []

    def open_masks(self, opened: Source) -> FrameMasks | None:
        """The masks for the opened source; None without `mask`.

        Raises:
            UserError: They cannot be read, or do not fit the source.
        """
        return None if self.mask is None else frame_masks.FrameMasks.of(self.mask, opened)

    def part(self, opened: Source) -> Source:
        """The part of the opened source that is translated.

        Raises:
            UserError: `frames` is no range, or reaches beyond the clip.
        """
        return opened if self.frames is None else excerpt.select_range(opened, excerpt.parse_range(self.frames))

    def open_keys(self, part: Source) -> Keys | None:
        """The keyframes of the part that is translated (`part`); None without `keys`.

        Raises:
            UserError: They cannot be read, or do not fit the part; nothing is carried.
        """
        if self.passes > 1 and not part.is_clip:
            raise UserError(f"passes is {self.passes}, and {part.name} is an image: leave it out")
        if self.passes > 1 and self.carry == "off":
            raise UserError(f"passes is {self.passes}: frames are carried both ways, and carry is off: leave one out")
        if self.keys is None:
            return None
        if self.carry == "off":
            raise UserError("keys are carried to other frames, and carry is off: leave one of both out")
        return render_keys.Keys.of(self.keys, part)

    def run(self, model: TrainedModel) -> Translation:
        opened = source.open_source(self.source)
        path = self.pipeline(model, opened)
        synthesis = None if path.synthesis is None else path.synthesis.to_dict()
        settings = self.metadata(model, direction=path.label, synthesize=path.synthesizes, synthesis=synthesis)
        masks, part = self.open_masks(opened), self.part(opened)
        if self.size is not None:
            part = part.with_square_pixels()
        return translation.Translation(path, part, masks, settings, self.open_keys(part), self.passes)

    def pipeline(self, model: TrainedModel, opened: Source) -> FramePipeline:
        """The path of a frame of the opened source.

        Raises:
            UserError: for settings that the model does not allow.
        """
        method = model.method
        stages = method.stage + 1
        if self.start_stage is not None and not -1 <= self.start_stage < stages:
            raise UserError(
                f"start_stage is {self.start_stage}, the model has {stages} stages: choose -1 (the last) or 0 to "
                f"{stages - 1}"
            )
        sizes.check_min_side(opened, method.config.size.min_side)
        synthesis = synthesizers.chosen_synthesis(method, self.synthesize, self.synthesis)
        if synthesis is None:
            self._check_dials_without_synthesis(method.name)
        return pipeline.FramePipeline(
            method,
            model.engine,
            "a" if self.reverse else "b",
            self.start_stage,
            self.size or opened.size,
            self.seed,
            synthesis,
            opened.is_clip and self._carries(synthesis is not None),
            self.dials,
            keeps_alpha=self.transparency == "keep",
        )

    def _carries(self, has_synthesis: bool) -> bool:
        """Whether a clip's frames are carried."""
        if self.carry != "auto":
            return self.carry == "on"
        return has_synthesis or self.keys is not None or self.passes > 1

    def _check_dials_without_synthesis(self, method: str) -> None:
        """Refuse dials that act in patch synthesis only, rather than ignore them."""
        defaults = {"structure": DEFAULT_STRUCTURE, "texture_size": "auto"}
        changed = [name for name, value in defaults.items() if getattr(self, name) != value]
        if changed:
            name, reason = changed[0], f"method {method!r} has none" if self.synthesize else "it is turned off"
            raise UserError(
                f"{name} is {getattr(self, name)}: it acts in patch synthesis, and {reason}; leave it at "
                f"{defaults[name]}, or use a model of a method with patch synthesis"
            )


@dataclass(frozen=True)
class TranslateStageSheet(Use["Picture"]):
    """Compare start stages: a contact sheet of one frame, translated from each start stage."""

    name = "translate_stage_sheet"
    summary = "compare the start stages of a translation"
    requires = "translate"
    has_command = False

    source: SourceInput
    """The image or clip; of a clip the first frame is used."""
    _: KW_ONLY
    reverse: bool = False
    """Translate into the style of the source that the model was trained on."""
    synthesize: bool = True
    """Replace patches of the predictions by patches of the target: sharper and slower. Has no effect for methods that
    do not store the target."""
    seed: int = 0
    """Random seed of the noise, 0 to 4294967295."""

    def run(self, model: TrainedModel) -> Picture:
        first = next(source.open_source(self.source).frames()).image
        row = [("source", first)]
        for start_stage in range(model.method.stage + 1):
            translate = Translate(
                first, reverse=self.reverse, start_stage=start_stage, synthesize=self.synthesize, seed=self.seed
            )
            row.append((f"start stage {start_stage}", translate.run(model).image))
        return results.Picture(sheet.contact_sheet([row]), self.metadata(model))
