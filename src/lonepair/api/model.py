"""A trained model in the user's hands: everything that can be done with one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lonepair.methods as methods
from lonepair.apply import edit as edits
from lonepair.apply.animate import Animation, animation
from lonepair.apply.results import Picture, Samples
from lonepair.apply.sampling import reconstruction, sample, sample_stage_sheet
from lonepair.apply.superresolve import superresolve
from lonepair.apply.translation import DIRECTIONS, Translation
from lonepair.compute.engine import Engine, choose_engine
from lonepair.errors import UserError
from lonepair.media.files import check_output
from lonepair.media.sheet import contact_sheet
from lonepair.media.sizes import check_min_side
from lonepair.media.source import Source, open_source
from lonepair.methods.base import Method, SingleMethod
from lonepair.ops.resize import resize_image
from lonepair.train.checkpoint import SUFFIX, load_model, save_model


class Model:
    """What was learnt from one image, or from a pair. What a method cannot do is refused, with those that can."""

    def __init__(self, method: Method, engine: Engine, settings: Mapping[str, Any]) -> None:
        """`settings`: how it was trained, as saved in the file; see `fit`, `fit_pair` and `load` for making one."""
        self.method = method
        self.settings = dict(settings)
        self.to(engine)

    def to(self, engine: Engine) -> Model:
        """Move to another device or precision."""
        self.engine = engine.for_inference
        self.engine.move(self.method.nets)
        self.method.nets.eval()
        return self

    # -- pairs ----------------------------------------------------------------------------------------------------

    def translate(
        self,
        source: object,
        *,
        reverse: bool = False,
        start_stage: int | None = None,
        finish: bool = True,
        size: tuple[int, int] | None = None,
        seed: int = 0,
    ) -> Translation:
        """`source` in the look of the target (with `reverse`: of the source that it was trained on).

        Args:
            source: Path of an image, a video or a folder of frames; a PIL image, an array, a tensor (1, c, h, w) or
                (n, c, h, w) in [-1, 1].
            start_stage: Stage at which each frame enters: 0 redraws large shapes, later stages only the texture. None: the
                one trained for; the networks have seen no other.
            finish: Finish pictures with the target's own patches (`apply.finish`), where the method remembers its
                target: sharper, and slower.
            size: (h, w) of the output in pixels; None: the source's own.
            seed: Of the noise that feeds fine texture; the same for all frames.

        Raises:
            UserError: for a source that cannot be read, or an start stage that does not exist.
        """
        self._check_use("translate")
        opened = open_source(source)
        stages = self.method.stage + 1
        if start_stage is not None and not -1 <= start_stage < stages:
            raise UserError(
                f"start_stage is {start_stage}, the model has {stages} stages: choose -1 (the newest) or 0 to {stages - 1}"
            )
        if size is not None and min(size) < 1:
            raise UserError(f"size is {size[1]}x{size[0]} (width x height): both sides need at least 1 pixel")
        direction = DIRECTIONS[1] if reverse else DIRECTIONS[0]
        check_min_side(opened, self.method.config.min_side)
        _check_seed(seed, "the noise's seed")
        finish = finish and self.method.remembers
        settings = {
            **self.settings,
            "direction": direction,
            "start_stage": start_stage,
            "finish": finish,
            "noise_seed": seed,
        }
        return Translation(
            self.method, self.engine, opened, size or opened.size, direction, start_stage, finish, seed, settings
        )

    def translate_stage_sheet(
        self, source: object, *, reverse: bool = False, finish: bool = True, seed: int = 0
    ) -> Picture:
        """A sheet of `source`, of a clip its first frame, redrawn from every start stage: new shapes to new texture.

        Raises:
            UserError: as `translate` does.
        """
        first = next(open_source(source).frames()).image
        shown = [("source", first)]
        for start_stage in range(self.method.stage + 1):
            redrawn = self.translate(first, reverse=reverse, start_stage=start_stage, finish=finish, seed=seed)
            shown.append((f"start stage {start_stage}", redrawn.image))
        return Picture(contact_sheet([shown]), {**self.settings, "use": "translate_stage_sheet", "noise_seed": seed})

    # -- random images --------------------------------------------------------------------------------------------

    def sample(
        self,
        count: int = 1,
        *,
        seed: int = 0,
        size: tuple[int, int] | None = None,
        start: int = 0,
        finish: bool = True,
        detail: bool = True,
    ) -> Samples:
        """`count` random images; of a pair, aligned random images of both domains.

        Args:
            seed: The same pictures whatever the count.
            size: (h, w), any aspect, in pixels of the image as it was given where pictures are finished with its
                detail, else of the training size; None: that size itself.
            start: Stage at which randomness begins; those below draw the training image's own layout. Single images
                only; `sample_stage_sheet` shows all.
            finish: Finish pictures with the learnt images' own patches, where the method remembers them.
            detail: Finish them at the size of the images as they were given, rather than at the networks'.

        Raises:
            UserError: for a count, size or stage that cannot be.
        """
        _check_seed(seed)
        if start:
            self._check_use("sample_stage_sheet")
        finish = finish and self.method.remembers
        images = sample(self.method, self.engine, count, seed, size, start, finish, detail)
        settings = {"sample_seed": seed, "start": start, "finish": finish, "detail": detail}
        return Samples(images, {**self.settings, **settings})

    def sample_stage_sheet(self, count: int = 4, *, seed: int = 0, size: tuple[int, int] | None = None) -> Picture:
        """A sheet of random images, every start stage in a row of its own."""
        self._check_use("sample_stage_sheet")
        _check_seed(seed)
        return Picture(sample_stage_sheet(self.method, self.engine, count, seed, size), self.settings)

    def animate(
        self,
        *,
        frames: int = 60,
        rate: float = 10,
        alpha: float = 0.1,
        beta: float = 0.9,
        start: int | None = None,
        loop: bool = False,
        seed: int = 0,
        size: tuple[int, int] | None = None,
    ) -> Animation:
        """The training image in motion: a random walk through the noise (SinGAN's α and β).

        Args:
            frames: How many.
            rate: Frames per second.
            alpha: Pull towards the image: larger stays closer to it.
            beta: How smooth the motion is.
            start: Stage at which movement begins; 0 moves the layout, too. None: the second.
            loop: Lead back to the beginning without a seam.
            size: (h, w) of the frames; None: the training size.

        Raises:
            UserError: for numbers that cannot be.
        """
        self._check_use("animate")
        _check_seed(seed)
        assert isinstance(self.method, SingleMethod)
        start = min(1, self.method.stage) if start is None else start
        walk = {"frames": frames, "alpha": alpha, "beta": beta, "start": start, "loop": loop, "walk_seed": seed}
        return animation(
            self.method,
            self.engine,
            frames=frames,
            rate=rate,
            alpha=alpha,
            beta=beta,
            start=start,
            loop=loop,
            seed=seed,
            size=size,
            settings={**self.settings, **walk},
        )

    # -- the user's own image, drawn anew by the model ------------------------------------------------------------

    def edit(
        self,
        image: object,
        mask: object | None = None,
        *,
        original: object | None = None,
        start: int | None = None,
        dilate: int = 20,
        feather: float = 5.0,
        seed: int = 0,
    ) -> Picture:
        """An image in which something was moved, copied or pasted, made seamless.

        Args:
            image: The edited image.
            mask: White (or opaque) where it was edited; None: where it differs from `original`. Any size.
            original: The image before the edit; shown outside the mask. None: `image` itself.
            start: Stage at which the image enters: later ones keep more of it. None: halfway.
            dilate: The mask grows by so many pixels.
            feather: Standard deviation, in pixels, of the mask's soft edge.
            seed: Of the noise.

        Raises:
            UserError: for what cannot be read, a mask that marks nothing, or neither mask nor original.
        """
        self._check_use("edit")
        return self._blended("edit", image, mask, original, self._start("edit", start), dilate, feather, seed)

    def harmonize(
        self,
        image: object,
        mask: object | None = None,
        *,
        original: object | None = None,
        start: int | None = None,
        dilate: int = 7,
        feather: float = 5.0,
        seed: int = 0,
    ) -> Picture:
        """A composite whose pasted object takes on the look of the image that was learnt; arguments as for `edit`."""
        self._check_use("harmonize")
        return self._blended("harmonize", image, mask, original, self._start("harmonize", start), dilate, feather, seed)

    def paint(
        self,
        painting: object,
        *,
        start: int | None = None,
        colours: int = 0,
        palette: object | None = None,
        seed: int = 0,
    ) -> Picture:
        """A rough painting made into an image like the one that was learnt.

        Args:
            painting: Its layout in flat colours.
            start: Stage at which it enters. None: the second.
            colours: First reduce the painting to so many colours of `palette`; 0 leaves it as it is. SinGAN takes 5.
            palette: The image whose colours are taken. None: what the model reconstructs of its training image.
            seed: Of the noise.

        Raises:
            UserError: for what cannot be read, or numbers that cannot be.
        """
        self._check_use("paint")
        _check_seed(seed)
        image = _still(painting)
        if colours:
            look = reconstruction(self.method, self.engine) if palette is None else _still(palette)
            image = edits.quantized(image, look, colours)
        start_stage = self._start("paint", start)
        drawn = edits.redrawn(self.method, self.engine, image, start_stage, seed)
        return Picture(drawn, {**self.settings, "use": "paint", "start": start_stage, "noise_seed": seed})

    def refine(self, image: object, *, start: int | None = None, seed: int = 0) -> Picture:
        """An image, such as a pair's translation, with the fine texture of the one learnt: its last stages drawn anew.

        Structural Analogy refines its results with a SinGAN of B from one of the stages 3 to 5. None: halfway.

        Raises:
            UserError: for what cannot be read, or a stage that does not exist.
        """
        self._check_use("refine")
        _check_seed(seed)
        start_stage = self._start("refine", start)
        drawn = edits.redrawn(self.method, self.engine, _still(image), start_stage, seed)
        return Picture(drawn, {**self.settings, "use": "refine", "start": start_stage, "noise_seed": seed})

    def superresolve(self, factor: float = 4.0, image: object | None = None, *, seed: int = 0) -> Picture:
        """`image`, or what the model reconstructs of its training image, enlarged by `factor` with its own detail.

        Raises:
            UserError: for a factor that is not above 1, or an image that cannot be read.
        """
        self._check_use("superresolve")
        _check_seed(seed)
        given = reconstruction(self.method, self.engine) if image is None else _still(image)
        assert isinstance(self.method, SingleMethod)
        large = superresolve(self.method, self.engine, given, factor, seed)
        return Picture(large, {**self.settings, "use": "superresolve", "factor": factor, "noise_seed": seed})

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """One .safetensors file with weights, config and method.

        Raises:
            UserError: where something is there already and `overwrite` is off, or it cannot be written.
        """
        path = Path(path).expanduser()
        check_output(path, (SUFFIX,), overwrite)
        return save_model(path, self.method, self.settings)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _check_use(self, use: str) -> None:
        if use in self.method.uses:
            return
        able = [name for name in methods.names() if use in methods.get_method(name).uses]
        raise UserError(f"{use}: method {self.method.name!r} cannot; train with one of {', '.join(able)}")

    def _start(self, use: str, start: int | None) -> int:
        assert isinstance(self.method, SingleMethod)
        return self.method.start_for(use) if start is None else start

    def _blended(
        self,
        use: str,
        image: object,
        mask: object | None,
        original: object | None,
        start: int,
        dilate: int,
        feather: float,
        seed: int,
    ) -> Picture:
        _check_seed(seed)
        if not 0 <= dilate <= 200 or not 0 <= feather <= 200:
            raise UserError(f"dilate is {dilate}, feather {feather}: choose 0 to 200 pixels each")
        edited = _still(image)
        own = (edited.shape[-2], edited.shape[-1])
        if mask is not None:
            marked = edits.read_mask(mask, own)
        elif original is not None:
            marked = edits.difference_mask(edited, _still(original))
        else:
            raise UserError("give a mask, or the original that the edited image is compared with")
        drawn = edits.redrawn(self.method, self.engine, edited, start, seed)
        outside = edited if original is None else resize_image(_still(original), own)
        blended = edits.blend(drawn, outside, edits.soften(marked, dilate, feather))
        return Picture(blended, {**self.settings, "use": use, "start": start, "noise_seed": seed})


def _still(value: object) -> Any:
    """The image that `value` is; of a clip, none.

    Raises:
        UserError: for a clip, and for what cannot be read.
    """
    source: Source = open_source(value)
    if source.is_clip:
        raise UserError(f"{source.name}: is a clip; give an image, such as one of its frames")
    return next(source.frames()).image


def _check_seed(seed: int, name: str = "seed") -> None:
    if not 0 <= seed < 2**32:
        raise UserError(f"{name} is {seed}: choose 0 to {2**32 - 1}")


def load(path: str | Path, device: str = "auto", dtype: str = "auto", threads: int = 0) -> Model:
    """The model that `path` holds, on `device` ("auto" takes a GPU where there is one).

    Raises:
        UserError: for a file that is missing, damaged, no lonepair model or of a later version.
    """
    method, settings = load_model(Path(path).expanduser())
    return Model(method, choose_engine(device, dtype, threads), settings)
