"""The page Translate: what happens when something is dropped, pressed, moved or painted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from lonepair import UserError
from lonepair.studio import frames, masks, trainings
from lonepair.studio.context import Studio
from lonepair.studio.forms import read_values
from lonepair.studio.progress_view import error_line, note_line
from lonepair.studio.projects import Project, default_dials
from lonepair.studio.translate_show import Shows
from lonepair.studio.translate_view import REGION_COLORS, build, training_settings

Updates = dict[Any, Any]


class TranslatePage:
    """The page, inside a `gr.Blocks` context."""

    def __init__(self, studio: Studio, token: Any, project_id: Any) -> None:
        """
        Args:
            studio: The workspace.
            token: Component with the browser's secret.
            project_id: Component with the id of the project that is shown.
        """
        self.studio, self.view = studio, build()
        self._token, self.project_id = token, project_id
        self._seen, self._computed = gr.State(""), gr.State("")
        self._timer = gr.Timer(1.0)
        self.shows = Shows(studio, self.view, self._seen, self._computed, project_id)
        self._connect()

    # -- connections ----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        view = self.view
        self._on(view.source.upload, self._or_as_before(self._source), [view.source], view.source_error, then_live=True)
        self._on(view.source.clear, self._no_source, [], view.source_error)
        self._on(view.styles.upload, self._or_as_before(self._styles), [view.styles], view.style_error, then_live=True)
        self._on(view.styles.delete, self._styles, [view.styles], view.style_error, then_live=True)
        self._on(view.styles.clear, self._no_styles, [], view.style_error)
        view.style_gallery.select(
            self._select_style,
            [self._token, self.project_id],
            self.shows.outputs,
            show_progress="hidden",
            api_visibility="private",
        ).then(
            self.live,
            [self._token, self.project_id],
            self.shows.outputs,
            show_progress="minimal",
            api_visibility="private",
        )
        self._on(view.new.click, self._new, [], view.source_error)
        # Training
        self._on(view.train.click, self._train, [view.preset, *view.expert.values()], view.train_error)
        for button, wish in ((view.pause, "pause"), (view.stop, "stop")):
            self._on(button.click, self._wish(wish), [], view.train_error)
        self._on(view.resume.click, self._resume, [], view.train_error)
        # Dials
        dials = [*view.dials.values(), view.texture_auto, view.frame]
        for dial in dials:
            event = dial.release if isinstance(dial, gr.Slider) else dial.input
            self._on(event, self._dial, dials, view.dial_error, always_last=True)
        self._on(view.reset.click, self._reset, [], view.dial_error, then_live=True)
        # Mask and render
        self._on(view.mask_use.click, self._mask, [view.editor], view.mask_error, then_live=True)
        self._on(view.mask_clear.click, self._no_mask, [], view.mask_error, then_live=True)
        renders = [view.format, view.first, view.last]
        self._on(view.render.click, self._render, renders, view.render_error)
        self._on(view.render_stop.click, self._stop_render, [], view.render_error)
        for field in renders:
            self._on(field.change, self._snippets, renders, view.render_error, progress="hidden")
        self._timer.tick(
            self._tick,
            [self._token, self.project_id, self._seen],
            self.shows.outputs,
            show_progress="hidden",
            api_visibility="private",
        ).then(
            self._live_if_new, [self._token, self.project_id, self._seen], self.shows.outputs, show_progress="hidden"
        )

    def _on(
        self,
        event: Any,
        handler: Callable[..., Updates],
        inputs: list[Any],
        error: Any,
        then_live: bool = False,
        always_last: bool = False,
        progress: str = "minimal",
    ) -> None:
        """Call `handler(project, *inputs)` at an event. A `UserError` becomes one line in the component `error`."""

        def call(request: gr.Request, token: Any, project_id: str, *values: Any) -> Updates:
            try:
                project = self.studio.project(project_id, self.studio.owner(token, request.username))
                return {error: "", **handler(project, *values)}
            except UserError as problem:
                return {error: error_line(self._plain(str(problem)))}

        done = event(
            call,
            [self._token, self.project_id, *inputs],
            self.shows.outputs,
            show_progress=progress,
            show_progress_on=[self.view.result] if always_last else None,
            trigger_mode="always_last" if always_last else None,
            api_visibility="private",
        )
        if then_live:
            done.then(
                self.live,
                [self._token, self.project_id],
                self.shows.outputs,
                show_progress="minimal",
                show_progress_on=[self.view.result],
                api_visibility="private",
            )

    def _plain(self, text: str) -> str:
        """A message without the workspace's folders, which say nothing to its reader."""
        for path in sorted(self.studio.projects.folder.glob("*"), reverse=True):
            text = text.replace(f"{path}/", "")
        return text.replace(f"{self.studio.workspace}/", "")

    # -- inputs ---------------------------------------------------------------------------------------------------

    def load(self, token: Any, request: gr.Request) -> Updates:
        """Show the newest project of the session: after a reload, and in a browser that was closed."""
        project = self.studio.projects.latest(self.studio.owner(token, request.username))
        return self.shows.everything(project)

    def _or_as_before(self, handler: Callable[..., Updates]) -> Callable[..., Updates]:
        """`handler` of an upload; where it refuses a file, the fields show the files that the project has.

        The field of styles adds an upload to its files: a refused one would be refused again with the next one.
        """

        def call(project: Project, upload: Any) -> Updates:
            try:
                return handler(project, upload)
            except UserError as problem:
                error = self.view.source_error if handler == self._source else self.view.style_error
                return {**self.shows.files(project), error: error_line(self._plain(str(problem)))}

        return call

    def _source(self, project: Project, upload: str | None) -> Updates:
        if upload is None:
            return {}
        path, facts = self.studio.accept(upload, project.folder)
        values = {"source": str(path), "facts": vars(facts), "masks": (), "painted": "", "frame": 0, "render": ""}
        # A model that was uploaded translates other sources, too; one that was trained here belongs to its source.
        values["models"] = project.models if project.imported else ()
        return self.shows.everything(project.changed(**values))

    def _no_source(self, project: Project) -> Updates:
        return self.shows.everything(project.changed(source="", facts={}, models=(), masks=(), painted="", render=""))

    def _styles(self, project: Project, uploads: list[str] | None) -> Updates:
        # Files that were kept come again, as copies below the cache: they are known by their names.
        known = {Path(path).name: path for path in project.styles}
        styles = []
        for upload in map(self.studio.uploaded, uploads or []):
            if upload.name in known and str(upload) == self.studio.served(known[upload.name]):
                styles.append(known[upload.name])
                continue
            path, facts = self.studio.accept(str(upload), project.folder)
            if facts.is_clip:
                raise UserError(f"{path.name}: is a clip, and a style is a picture; use one of its frames")
            styles.append(str(path))
        if len(styles) > len(REGION_COLORS):
            raise UserError(f"{len(styles)} styles: choose at most {len(REGION_COLORS)}")
        changes = {"styles": tuple(styles), "models": (), "masks": (), "painted": "", "shown": 0, "render": ""}
        changes["imported"] = ""
        return self.shows.everything(project.changed(**changes))

    def _no_styles(self, project: Project) -> Updates:
        return self._styles(project, None)

    def _select_style(self, token: Any, project_id: str, event: gr.SelectData, request: gr.Request) -> Updates:
        project = self.studio.project(project_id, self.studio.owner(token, request.username))
        index = event.index if isinstance(event.index, int) else 0
        return self.shows.texts(project.changed(shown=min(index, len(project.styles) - 1)))

    def _new(self, project: Project) -> Updates:
        return self.shows.everything(self.studio.projects.add(project.owner))

    # -- training -------------------------------------------------------------------------------------------------

    def _train(self, project: Project, preset: str, *values: Any) -> Updates:
        if not project.is_complete:
            raise UserError("give a source and a style first")
        project = project.changed(preset=preset, training=read_values(training_settings(), values))
        project = trainings.start_trainings(self.studio, project)
        return {**self.shows.texts(project), **self.shows.progress(project)}

    def _wish(self, wish: Any) -> Callable[[Project], Updates]:
        def call(project: Project) -> Updates:
            for job in project.trainings(self.studio.jobs):
                if job.state not in ("done", "failed"):
                    job.changed(wish=wish)
            return self.shows.progress(project)

        return call

    def _resume(self, project: Project) -> Updates:
        for job in project.trainings(self.studio.jobs):
            if job.state in ("paused", "stopped", "failed", "pausing", "stopping"):
                self.studio.jobs.resume(job)
        return self.shows.progress(project)

    def _tick(self, token: Any, project_id: str, seen: str, request: gr.Request) -> Updates:
        """Show how far the jobs are; nothing is sent where nothing has changed."""
        try:
            project = self.studio.project(project_id, self.studio.owner(token, request.username))
        except UserError:
            return {self._seen: seen}
        return self.shows.progress(project, seen)

    def _live_if_new(self, token: Any, project_id: str, computed: str, request: gr.Request) -> Updates:
        """Compute the frame again where a training has given another model than it was computed with."""
        try:
            project = self.studio.project(project_id, self.studio.owner(token, request.username))
        except UserError:  # the browser has not stored its secret yet
            return {self._computed: computed}
        models = "\n".join(trainings.model_paths(self.studio, project))
        if not models.strip() or models == computed:
            return {self._computed: computed}
        try:
            return self._frame(project)
        except UserError as problem:
            return {self._computed: models, self.view.dial_error: error_line(self._plain(str(problem)))}

    # -- dials and frames -----------------------------------------------------------------------------------------

    def _dial(self, project: Project, *values: Any) -> Updates:
        *dials, is_auto, frame = values
        changed = dict(zip(self.view.dials, dials, strict=True))
        if is_auto:
            changed["texture_size"] = "auto"
        return self._frame(project.changed(dials=changed, frame=int(frame or 0)))

    def _reset(self, project: Project) -> Updates:
        return self.shows.dials(project.changed(dials=default_dials()))

    def live(self, token: Any, project_id: str, request: gr.Request) -> Updates:
        try:
            project = self.studio.project(project_id, self.studio.owner(token, request.username))
            return self._frame(project)
        except UserError as problem:
            return {self.view.dial_error: error_line(self._plain(str(problem)))}

    def _frame(self, project: Project) -> Updates:
        """The current frame beside its translation, with the trained models or without a training."""
        texts = self.shows.texts(project)
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
        return {**texts, self.view.result: pair, self.view.result_text: note_line(text), self.view.dial_error: ""}

    # -- mask and render ------------------------------------------------------------------------------------------

    def _mask(self, project: Project, value: Any) -> Updates:
        painted = masks.painted_layer(value)
        if painted is None:
            raise UserError("nothing is painted yet: paint over the picture with the brush")
        colors = REGION_COLORS[: max(1, len(project.styles))]
        # Another name each time: what is loaded or shown under the old one stays right.
        stem = f"mask-{int(time.time() * 1000)}"
        paths = masks.write_masks(painted, colors, project.folder, stem)
        picture = project.folder / f"{stem}-painted.png"
        painted.save(picture)
        project = project.changed(masks=tuple(map(str, paths)), painted=str(picture))
        return {**self.shows.texts(project), self.view.mask_error: note_line("the mask is in use")}

    def _no_mask(self, project: Project) -> Updates:
        project = project.changed(masks=(), painted="")
        return {**self.shows.texts(project), **self.shows.editor(project)}

    def _render(self, project: Project, kind: str, first: Any, last: Any) -> Updates:
        return self.shows.progress(trainings.start_render(self.studio, project, kind, first, last))

    def _stop_render(self, project: Project) -> Updates:
        trainings.stop_render(self.studio, project)
        return self.shows.progress(project)

    def _snippets(self, project: Project, kind: str, first: Any, last: Any) -> Updates:
        return self.shows.texts(project, kind, first, last)
