"""What the events of the page Translate do to a project, and what the page shows of it then."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from lonepair import UserError
from lonepair.studio import frames, masks, trainings
from lonepair.studio.context import Studio
from lonepair.studio.events import Updates
from lonepair.studio.forms import placeholders, read_values
from lonepair.studio.progress_view import error_line, note_line
from lonepair.studio.projects import Project, default_dials
from lonepair.studio.snippets import CLIP_FORMATS
from lonepair.studio.translate_display import Display
from lonepair.studio.translate_view import REGION_COLORS, TranslateView, training_settings


class Actions:
    """The handlers of events: each takes a project and values of components, and returns values of components."""

    def __init__(self, studio: Studio, view: TranslateView, display: Display, computed: Any) -> None:
        """
        Args:
            studio: The workspace.
            view: The components.
            display: What the page shows of a project.
            computed: State with the paths of the models of the frame that is shown.
        """
        self.studio, self.view, self.display, self._computed = studio, view, display, computed

    def or_keep_files(self, handler: Callable[..., Updates]) -> Callable[..., Updates]:
        """`handler` of an upload; where it refuses a file, the fields show the files that the project has.

        The field of styles adds an upload to its files: a refused one would be refused again with the next one.
        """

        def call(project: Project, upload: Any) -> Updates:
            try:
                return handler(project, upload)
            except UserError as problem:
                error = self.view.source_error if handler == self.source else self.view.style_error
                return {**self.display.files(project), error: error_line(self.studio.plain(str(problem)))}

        return call

    def source(self, project: Project, upload: str | None) -> Updates:
        """A source was dropped."""
        if upload is None:
            return {}
        path, facts = self.studio.accept(upload, project.folder, project.owner)
        values = {"source": str(path), "facts": vars(facts), "masks": (), "painted": "", "frame": 0, "render": ""}
        values |= {"first": 0, "last": None}
        # A model that was uploaded translates other sources, too; one that was trained here belongs to its source.
        values["models"] = project.models if project.imported else ()
        return self.display.everything(project.update(**values))

    def no_source(self, project: Project) -> Updates:
        """The source was taken away."""
        return self.display.everything(project.update(source="", facts={}, models=(), masks=(), painted="", render=""))

    def styles(self, project: Project, uploads: list[str] | None) -> Updates:
        """The field of styles has changed."""
        # Files that were kept come again, as copies below the cache: they are known by their names.
        known = {Path(path).name: path for path in project.styles}
        styles = []
        for upload in [self.studio.check_upload(path, project.owner) for path in uploads or []]:
            if upload.name in known and str(upload) == self.studio.serve(known[upload.name], project.owner):
                styles.append(known[upload.name])
                continue
            path, facts = self.studio.accept(str(upload), project.folder, project.owner)
            if facts.is_clip:
                raise UserError(f"{path.name}: is a clip, and a style is a picture; use one of its frames")
            styles.append(str(path))
        if len(styles) > len(REGION_COLORS):
            raise UserError(f"{len(styles)} styles: choose at most {len(REGION_COLORS)}")
        changes = {"styles": tuple(styles), "models": (), "masks": (), "painted": "", "shown": 0, "render": ""}
        changes["imported"] = ""
        return self.display.everything(project.update(**changes))

    def no_styles(self, project: Project) -> Updates:
        """All styles were taken away."""
        return self.styles(project, None)

    def new(self, project: Project) -> Updates:
        """Start with an empty project; the old one's runs stay."""
        return self.display.everything(self.studio.projects.add(project.owner))

    def train(self, project: Project, preset: str, *values: Any) -> Updates:
        """Put a training for each style into the queue."""
        if not project.is_complete:
            raise UserError("give a source and a style first")
        project = project.update(preset=preset, training=read_values(training_settings(preset), values))
        project = trainings.start_trainings(self.studio, project)
        return {**self.display.texts(project), **self.display.progress(project)}

    def preset(self, project: Project, preset: str) -> Updates:
        """Another preset was chosen: empty fields show its defaults. It is stored when the training starts."""
        return placeholders(training_settings(preset), list(self.view.expert.values()))

    def wish(self, wish: Any) -> Callable[[Project], Updates]:
        """A handler that lets the trainings pause or stop."""

        def call(project: Project) -> Updates:
            for job in project.trainings(self.studio.jobs):
                if job.state not in ("done", "failed"):
                    job.update(wish=wish)
            return self.display.progress(project)

        return call

    def resume(self, project: Project) -> Updates:
        """Let the trainings go on."""
        for job in project.trainings(self.studio.jobs):
            if job.state in ("paused", "stopped", "failed", "pausing", "stopping"):
                self.studio.jobs.resume(job)
        return self.display.progress(project)

    def dial(self, project: Project, *values: Any) -> Updates:
        """A dial or the number of the frame has changed."""
        *dials, is_auto, frame = values
        changed = dict(zip(self.view.dials, dials, strict=True))
        if is_auto:
            changed["texture_size"] = "auto"
        return self.frame(project.update(dials=changed, frame=int(frame or 0)))

    def texture_size(self, project: Project, *values: Any) -> Updates:
        """The dial of the texture's size was moved: it is no longer chosen by itself."""
        *dials, _, frame = values
        return {self.view.texture_auto: False, **self.dial(project, *dials, False, frame)}

    def reset(self, project: Project) -> Updates:
        """Set all dials to their defaults."""
        return self.display.dials(project.update(dials=default_dials()))

    def frame(self, project: Project) -> Updates:
        """The current frame beside its translation, with the trained models or without a training."""
        texts = self.display.texts(project)
        if not project.is_complete:
            return texts
        start = time.monotonic()
        paths = trainings.model_paths(self.studio, project)
        active = project.active
        pair = self.studio.pool.run(
            frames.live_frame,
            project.source,
            project.frame,
            [paths[index] for index in active],
            [project.styles[index] for index in active],
            project.settings(),
            list(project.masks),
        )
        has_model = all(paths[index] for index in active)
        kind = "with the trained model" if has_model else "a first look, without training"
        text = f"{kind}, {time.monotonic() - start:.1f} s"
        texts[self._computed] = "\n".join(paths)
        shown = tuple(self.studio.serve_image(image, project.owner) for image in pair)
        return {**texts, self.view.result: shown, self.view.result_text: note_line(text), self.view.dial_error: ""}

    def frame_of_new_model(self, project: Project, computed: str) -> Updates:
        """The current frame again where a training has given another model than it was computed with.

        Args:
            project: The project.
            computed: Paths of the models of the frame that is shown.
        """
        models = "\n".join(trainings.model_paths(self.studio, project))
        if not models.strip() or models == computed:
            return {self._computed: computed, self.view.dial_error: gr.skip()}
        try:
            return self.frame(project)
        except UserError as problem:  # it is not tried again with the same models
            return {self._computed: models, self.view.dial_error: error_line(self.studio.plain(str(problem)))}

    def mask(self, project: Project, value: Any) -> Updates:
        """Use what was painted as masks."""
        painted = masks.painted_layer(value)
        if painted is None:
            raise UserError("nothing is painted yet: paint over the picture with the brush")
        colors = REGION_COLORS[: max(1, len(project.styles))]
        # Another name each time: what is loaded or shown under the old one stays right.
        stem = f"mask-{int(time.time() * 1000)}"
        paths = masks.write_masks(painted, colors, project.folder, stem)
        picture = project.folder / f"{stem}-painted.png"
        painted.save(picture)
        project = project.update(masks=tuple(map(str, paths)), painted=str(picture))
        return {**self.display.texts(project), self.view.mask_error: note_line("the mask is in use")}

    def show_canvas(self, project: Project) -> Updates:
        """The panel of the mask was opened."""
        shown = self.display.editor(project)
        return {**shown, self.view.editor: gr.update(**{**shown[self.view.editor], "visible": True})}

    def no_mask(self, project: Project) -> Updates:
        """Remove the masks."""
        project = project.update(masks=(), painted="")
        return {**self.display.texts(project), **self.display.editor(project)}

    def span(self, project: Project, kind: str, first: Any, last: Any) -> Updates:
        """Keep the format and the frames of the next render."""
        return self.display.texts(self._with_span(project, kind, first, last))

    def _with_span(self, project: Project, kind: str, first: Any, last: Any) -> Project:
        if not project.is_clip:
            return project
        end = None if last is None else int(last)
        is_end = end is not None and end == int(project.facts["frames"]) - 1
        values = {"first": int(first or 0), "last": None if is_end else end}
        return project.update(format=kind if kind in CLIP_FORMATS else CLIP_FORMATS[0], **values)

    def render(self, project: Project, kind: str, first: Any, last: Any) -> Updates:
        """Put a render into the queue."""
        project = self._with_span(project, kind, first, last)
        return self.display.progress(trainings.start_render(self.studio, project))

    def stop_render(self, project: Project) -> Updates:
        """Stop the render; its frames are kept."""
        trainings.stop_render(self.studio, project)
        return self.display.progress(project)
