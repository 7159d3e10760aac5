"""Translate one source into several styles, each in its own region."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lonepair.api.model import Model, load
from lonepair.apply.base import check_support
from lonepair.apply.translate import Translate
from lonepair.errors import UserError
from lonepair.media.source import Source, open_source
from lonepair.render.frame_masks import RegionMasks
from lonepair.render.regions import RegionPipeline
from lonepair.render.translation import Translation


def translate_regions(
    source: object,
    models: Sequence[Model | str | Path],
    masks: Sequence[object],
    *,
    reverse: bool | Sequence[bool] = False,
    **settings: Any,
) -> Translation:
    """Translate an image or a clip into several styles, each in its region. Seams are synthesized.

    Args:
        source: The image, video or folder of frames to translate.
        models: A trained model for each style, or its file or run's folder.
        masks: A mask for each model, in the same order: white (or opaque) pixels take its style. Masks that overlap are
            normalized; what is in no mask keeps the source. Each is an image, or for a clip also a video or a folder
            with one mask for each frame.
        reverse: Whether to translate into the style of the source that a model was trained on, for all or for each.
        **settings: Settings of `Model.translate` for all styles, such as `structure`, `size` and `seed`.

    Raises:
        UserError: for inputs that cannot be read or do not fit, and for settings that a model does not allow.
    """
    opened = open_source(source)
    check_regions(len(models), masks)
    directions = [reverse] * len(models) if isinstance(reverse, bool) else list(reverse)
    if len(directions) != len(models):
        raise UserError(f"reverse has {len(directions)} values, there are {len(models)} models: give one for each")
    if "mask" in settings:
        raise UserError("mask is for one style: `masks` has one for each model")
    uses = [Translate(opened, reverse=is_reverse, **settings) for is_reverse in directions]
    region_masks = RegionMasks.of(masks, opened)
    loaded = [model if isinstance(model, Model) else load(model) for model in models]
    return _translation(opened, loaded, uses, region_masks)


def check_regions(styles: int, masks: Sequence[object]) -> None:
    """Check that there are several styles and a mask for each.

    Raises:
        UserError: with both numbers.
    """
    if styles < 2:
        raise UserError(f"{styles} style with `masks`: give two or more, or one with `mask`")
    if len(masks) != styles:
        raise UserError(f"`masks` has {len(masks)} masks for {styles} styles: give one for each, in the same order")


def _translation(opened: Source, models: list[Model], uses: list[Translate], masks: RegionMasks) -> Translation:
    """The translation of the opened source with one use for each model."""
    for model in models:
        check_support(Translate, type(model.method))
    pairs = list(zip(models, uses, strict=True))
    pipeline = RegionPipeline.of([use.pipeline(model, opened) for model, use in pairs], opened.size)
    settings = {"use": {"name": "translate_regions"}, "styles": [use.metadata(model) for model, use in pairs]}
    first = uses[0]
    part = first.part(opened)
    if first.size is not None:
        part = part.with_square_pixels()
    return Translation(pipeline, part, masks, settings, first.open_keys(part), first.passes)
