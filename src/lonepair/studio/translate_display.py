"""What the page Translate shows of a project: one function for each part, which returns the values of components."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from lonepair import UserError
from lonepair.studio import frames, trainings
from lonepair.studio.context import Studio
from lonepair.studio.events import Updates
from lonepair.studio.jobs import RESTING, State, StudioJob
from lonepair.studio.progress_view import jobs_html, note_line
from lonepair.studio.projects import Project
from lonepair.studio.snippets import command_line, python_code
from lonepair.studio.translate_view import REGION_COLORS, TranslateView, mask_brush

MASK_SIDE = 640
"""Longest side, in pixels, of the picture that is painted on."""


def poll_seconds(jobs: Sequence[StudioJob]) -> float:
    """Seconds to the next look at the jobs: a page where nothing happens asks less often.

    Each look costs the browser about as much as a frame of the result, since Gradio then updates all components.
    """
    return 2.0 if any(job.state not in RESTING for job in jobs) else 5.0


class Display:
    """The project as values of the page's components."""

    def __init__(self, studio: Studio, view: TranslateView, timer: Any, computed: Any, project_id: Any) -> None:
        """
        Args:
            studio: The workspace.
            view: The components.
            timer: The clock of looks at the jobs.
            computed: State with the paths of the models of the frame that is shown.
            project_id: State with the id of the project.
        """
        self._studio, self._view, self._timer, self._project_id = studio, view, timer, project_id
        components = [value for value in vars(view).values() if not isinstance(value, dict)]
        self.outputs = [*components, *view.dials.values(), *view.expert.values(), timer, computed, project_id]
        """All components that any handler changes."""
        buttons = [view.train, view.pause, view.stop, view.resume, view.render, view.render_stop]
        results = [view.download, view.videos, view.source_video, view.result_video]
        self.progress_outputs = [timer, view.jobs, view.render_jobs, view.stage_preview, *buttons, *results]
        """Components that change while jobs run."""
        self.text_outputs = [view.command, view.python]
        """Components that `texts` changes."""
        self.frame_outputs = [view.result, view.result_text, view.command, view.python, view.dial_error, computed]
        """Components that change with the frame that is shown."""

    def everything(self, project: Project) -> Updates:
        """The whole page."""
        view = self._view
        facts = project.source_facts
        source = Path(project.source) if project.source else None
        name = f"{source.name}: {facts.text}" if source is not None and facts is not None else ""
        last = facts.frames - 1 if facts is not None else 0
        styles = [self._serve(project, style) for style in project.styles]
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
            view.span: gr.update(visible=project.is_clip),
            view.format: project.format,
            view.first: project.first,
            view.last: last if project.last is None else project.last,
            view.preset: project.preset,
            **{field: str(project.training.get(name, "")) for name, field in view.expert.items()},
            **self.dials(project),
            **self.editor(project),
            **self.texts(project),
            **self.progress(project),
        }

    def _serve(self, project: Project, path: Path | str) -> str:
        return self._studio.serve(path, project.owner)

    def files(self, project: Project) -> Updates:
        """The files in the fields of uploads."""
        source = Path(project.source)
        has_file = bool(project.source) and source.is_file()
        return {
            self._view.source: gr.update(value=self._serve(project, source) if has_file else None),
            self._view.styles: gr.update(value=[self._serve(project, style) for style in project.styles] or None),
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
        value: dict[str, Any] | None = None
        if project.source:
            image = self._studio.pool.run(frames.canvas, project.source, project.frame, MASK_SIDE)
            painted = [self._serve(project, project.painted)] if project.painted else []
            background = self._studio.serve_image(image, project.owner)
            value = {"background": background, "layers": painted, "composite": None}
        return {view.editor: gr.update(value=value, brush=mask_brush(colors)), view.mask_help: text}

    def texts(self, project: Project) -> Updates:
        """The command line and the Python code of the result."""
        if not project.is_complete:
            return {self._view.command: "", self._view.python: ""}
        try:
            return {self._view.command: command_line(project), self._view.python: python_code(project)}
        except UserError:  # a range of frames that is being written; Render refuses it
            return {}

    # -- jobs -----------------------------------------------------------------------------------------------------

    def stamp(self, project: Project) -> str:
        """A text that changes with what `progress` shows."""
        jobs, renders = self._jobs(project)
        preview = trainings.newest_preview(jobs)
        written = preview.stat().st_mtime_ns if preview is not None else 0
        return f"{project.id} {hash((jobs_html(jobs), jobs_html(renders)))} {written}"

    def progress(self, project: Project) -> Updates:
        """The jobs of the project: bars, buttons, preview, players and download."""
        jobs, renders = self._jobs(project)
        render_html = jobs_html(renders)
        if not renders and not (jobs and all(trainings.model_paths(self._studio, project))):
            render_html = note_line("Train first. A training that you stop can be rendered, too.")
        preview, view = trainings.newest_preview(jobs), self._view
        return {
            self._timer: gr.Timer(poll_seconds([*jobs, *renders])),
            view.jobs: jobs_html(jobs),
            view.render_jobs: render_html,
            view.stage_preview: gr.update(
                value=None if preview is None else self._serve(project, preview), visible=preview is not None
            ),
            **self._buttons(project, jobs, {job.state for job in renders}),
            **self._result(project, renders[0] if renders else None),
        }

    def _jobs(self, project: Project) -> tuple[list[StudioJob], list[StudioJob]]:
        """The trainings and the last render of a project."""
        renders = [job for job in self._studio.jobs.jobs(project.owner) if job.id == project.render]
        return project.trainings(self._studio.jobs), renders

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
        shown = [self._serve(project, file) for file in files]
        updates: Updates = {
            view.download: gr.update(value=shown[0], visible=True, label=f"Download {files[0].name}"),
            view.videos: gr.update(visible=project.is_clip),
        }
        if project.is_clip:
            updates |= {view.result_video: shown[1], view.source_video: shown[2]}
        return updates
