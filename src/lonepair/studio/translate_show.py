"""What the page Translate shows of a project: one function for each part, which returns the values of components."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from lonepair import UserError
from lonepair.studio import frames, trainings
from lonepair.studio.context import Studio
from lonepair.studio.jobs import State, StudioJob
from lonepair.studio.progress_view import jobs_html, note_line
from lonepair.studio.projects import Project
from lonepair.studio.snippets import command_line, format_of, python_code
from lonepair.studio.translate_view import REGION_COLORS, TranslateView, mask_brush

Updates = dict[Any, Any]
MASK_SIDE = 640
"""Longest side, in pixels, of the picture that is painted on."""


class Shows:
    """The project as values of the page's components."""

    def __init__(self, studio: Studio, view: TranslateView, seen: Any, computed: Any, project_id: Any) -> None:
        """
        Args:
            studio: The workspace.
            view: The components.
            seen: State with a text of what the page shows of the jobs.
            computed: State with the paths of the models of the frame that is shown.
            project_id: State with the id of the project.
        """
        self._studio, self._view, self._seen, self._project_id = studio, view, seen, project_id
        components = [value for value in vars(view).values() if not isinstance(value, dict)]
        self.outputs = [*components, *view.dials.values(), *view.expert.values(), seen, computed, project_id]
        """All components that any handler changes."""

    def everything(self, project: Project) -> Updates:
        """The whole page."""
        view, served = self._view, self._studio.served
        facts = project.source_facts
        source = Path(project.source) if project.source else None
        name = f"{source.name}: {facts.text}" if source is not None and facts is not None else ""
        last = facts.frames - 1 if facts is not None else 0
        styles = [served(style) for style in project.styles]
        return {
            self._project_id: project.id,
            view.source_text: note_line(name),
            view.source_error: "",
            view.style_error: "",
            **self.files(project),
            view.style_gallery: gr.update(value=styles or None, visible=bool(styles)),
            view.result: None,
            view.result_text: note_line("" if project.is_complete else "drop a source and a style to see a first look"),
            view.frame: gr.update(maximum=max(1, last), value=project.frame, visible=project.is_clip),
            view.format: gr.update(visible=project.is_clip),
            view.first: gr.update(value=0, visible=project.is_clip),
            view.last: gr.update(value=last, visible=project.is_clip),
            view.preset: project.preset,
            **{field: str(project.training.get(name, "")) for name, field in view.expert.items()},
            **self.dials(project),
            **self.editor(project),
            **self.texts(project),
            **self.progress(project),
        }

    def files(self, project: Project) -> Updates:
        """The files in the fields of uploads."""
        served, source = self._studio.served, Path(project.source)
        has_file = bool(project.source) and source.is_file()
        return {
            self._view.source: gr.update(value=served(source) if has_file else None),
            self._view.styles: gr.update(value=[served(style) for style in project.styles] or None),
        }

    def dials(self, project: Project) -> Updates:
        """The dials."""
        view, values = self._view, dict(project.dials)
        is_auto = values.get("texture_size") == "auto"
        if is_auto:
            values["texture_size"] = 1.0
        return {view.texture_auto: is_auto, **{view.dials[name]: value for name, value in values.items()}}

    def editor(self, project: Project) -> Updates:
        """The picture to paint on, what is painted on it, and a color for each style."""
        view = self._view
        colors = list(REGION_COLORS[: max(1, len(project.styles))])
        names = [Path(style).stem for style in project.styles]
        if len(colors) > 1:
            swatches = "".join(
                f'<span class="lp-swatch" style="background:{color}"></span>{escape(name)}'
                for color, name in zip(colors, names, strict=True)
            )
            text = f'<p class="lp-note">One color of the brush for each style:{swatches}</p>'
        else:
            text = note_line("Paint where the style shows. What is not painted keeps the source.")
        background = None
        if project.source:
            background = self._studio.pool.run(frames.canvas, project.source, project.frame, MASK_SIDE)
        value = None if background is None else {"background": background, "layers": [], "composite": None}
        brush = mask_brush(colors)
        return {view.editor: gr.update(value=value, brush=brush), view.mask_help: text}

    def texts(self, project: Project, kind: str = "", first: Any = None, last: Any = None) -> Updates:
        """The command line and the Python code of the result."""
        if not project.is_complete:
            return {self._view.command: "", self._view.python: "", self._view.train: gr.update(interactive=False)}
        kind = format_of(project, kind)
        span = ""
        if project.is_clip:
            try:
                span = trainings.frame_range(project, first, last)
            except UserError:
                span = ""
        return {
            self._view.command: command_line(project, kind, span),
            self._view.python: python_code(project, kind, span),
        }

    # -- jobs -----------------------------------------------------------------------------------------------------

    def progress(self, project: Project, seen: str = "") -> Updates:
        """The jobs of the project: bars, buttons, preview, players and download; nothing where all is as in `seen`."""
        jobs = project.trainings(self._studio.jobs)
        renders = [job for job in self._studio.jobs.jobs(project.owner) if job.id == project.render]
        html, render_html = jobs_html(jobs), jobs_html(renders)
        if not renders and not (jobs and all(trainings.model_paths(self._studio, project))):
            render_html = note_line("Train first. A training that you stop can be rendered, too.")
        preview = trainings.newest_preview(jobs)
        stamp = preview.stat().st_mtime if preview is not None else 0
        text = f"{project.id} {hash((html, render_html))} {stamp}"
        if text == seen:
            return {self._seen: seen}
        view = self._view
        return {
            self._seen: text,
            view.jobs: html,
            view.render_jobs: render_html,
            view.stage_preview: gr.update(
                value=None if preview is None else self._studio.served(preview), visible=preview is not None
            ),
            **self._buttons(project, jobs, {job.state for job in renders}),
            **self._result(project, renders[0] if renders else None),
        }

    def _buttons(self, project: Project, jobs: list[StudioJob], renders: set[State]) -> Updates:
        view, states = self._view, {job.state for job in jobs}
        runs, renders_run = bool(states & trainings.UNFINISHED), bool(renders & trainings.UNFINISHED)
        rests = bool(states & {"paused", "stopped", "failed"}) and not runs
        can_train = project.is_complete and not runs and not states & {"pausing", "stopping"}
        can_render = bool(states) and all(trainings.model_paths(self._studio, project))
        return {
            view.train: gr.update(interactive=can_train, visible=not runs),
            view.pause: gr.update(visible=runs),
            view.stop: gr.update(visible=runs),
            view.resume: gr.update(visible=rests),
            view.render: gr.update(interactive=can_render and not renders_run and "stopping" not in renders),
            view.render_stop: gr.update(visible=renders_run),
        }

    def _result(self, project: Project, job: StudioJob | None) -> Updates:
        """The files of the last render."""
        view = self._view
        files = job.result_files() if job is not None and job.state == "done" else []
        if not files:
            return {view.download: gr.update(visible=False), view.videos: gr.update(visible=False)}
        served = self._studio.served
        updates: Updates = {
            view.download: gr.update(value=served(files[0]), visible=True, label=f"Download {files[0].name}"),
            view.videos: gr.update(visible=project.is_clip),
        }
        if project.is_clip:
            updates |= {view.result_video: served(files[1]), view.source_video: served(files[2])}
        return updates
