"""The page One image: train on one image, and generate, animate, edit or enlarge it. Each use has its own form."""

from __future__ import annotations

from typing import Any

import gradio as gr

import lonepair as lp
from lonepair import UserError
from lonepair.api.settings import (
    Setting,
    method_settings,
    methods_that_support,
    option_settings,
    presets,
    use_settings,
    use_summary,
)
from lonepair.studio import frames, singles
from lonepair.studio.context import Studio
from lonepair.studio.events import QUIET, Events, Updates
from lonepair.studio.forms import component, placeholders, read_values
from lonepair.studio.progress_view import error_line, jobs_html, note_line
from lonepair.studio.translate_display import MASK_SIDE, poll_seconds
from lonepair.studio.translate_view import REGION_COLORS, mask_brush


def single_methods(use: str) -> list[str]:
    """The methods of one image that support a use, the one that the page proposes first."""
    names = [name for name in methods_that_support(use) if lp.get_method(name).domains == ("a",)]
    return sorted(names, key=lambda name: (name != "lonepair-single", name != "consingan", name))


def first_preset(method: str) -> str:
    """The preset that the page proposes for a method."""
    names = presets(method)
    return "draft" if "draft" in names else names[0]


def training_settings(method: str, preset: str) -> list[Setting]:
    """The settings of a training that the page shows, with the defaults of a preset."""
    options = [setting for setting in option_settings() if setting.name == "max_minutes"]
    return [*method_settings(method, preset), *options]


class SinglePage:
    """The page, inside a `gr.Blocks` context."""

    def __init__(self, studio: Studio, token: Any) -> None:
        """
        Args:
            studio: The workspace.
            token: Component with the browser's secret.
        """
        self.studio, self._token = studio, token
        self.image_path, self._stamp = gr.State(""), gr.State("")
        self._forms: dict[str, tuple[list[Setting], list[Any]]] = {}
        self._groups: dict[str, Any] = {}
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                self._inputs()
            with gr.Column(scale=3, min_width=320):
                self._canvas()
                self._results()
        self.timer = gr.Timer(1.0, active=False)
        self._connect()

    # -- components -----------------------------------------------------------------------------------------------

    def _inputs(self) -> None:
        gr.HTML('<h2 class="lp-step">1. The image</h2>', padding=False)
        self.image = gr.File(label="Image", height=160, elem_id="lp-one-image")
        self.image_text = gr.HTML("", padding=False, elem_id="lp-one-text")
        self.image_error = gr.HTML("", padding=False, elem_id="lp-one-error")
        gr.HTML('<h2 class="lp-step">2. What to do</h2>', padding=False)
        first = singles.USES[0]
        self.use = gr.Radio([(title, name) for name, title in singles.TITLES.items()], value=first, label="Use")
        self.use.elem_id = "lp-use"
        self.summary = gr.HTML(note_line(use_summary(first)), padding=False, elem_id="lp-one-summary")
        for name in singles.USES:
            with gr.Group(visible=name == first) as group:
                settings = [s for s in use_settings(name) if s.kind not in ("file", "files")]
                fields = [component(setting, f"lp-{name.replace('_', '-')}") for setting in settings]
            self._forms[name], self._groups[name] = (settings, fields), group
        self.extra = gr.File(label="The edited image", height=160, visible=False, elem_id="lp-one-extra")
        gr.HTML('<h2 class="lp-step">3. Train and run</h2>', padding=False)
        methods = single_methods(first)
        self.method = gr.Dropdown(methods, value=methods[0], label="Method", elem_id="lp-one-method")
        self.preset = gr.Radio(
            presets(methods[0]), value=first_preset(methods[0]), label="How long", elem_id="lp-one-preset"
        )
        self._training()
        self.run = gr.Button("Run", variant="primary", elem_id="lp-one-run")
        self.run_error = gr.HTML("", padding=False, elem_id="lp-one-run-error")

    def _training(self) -> None:
        names = sorted({name for use in singles.USES for name in single_methods(use)})
        with gr.Accordion("Training settings", open=False, elem_id="lp-one-expert"):
            for name in names:
                with gr.Group(visible=name == single_methods(singles.USES[0])[0]) as group:
                    settings = training_settings(name, first_preset(name))
                    fields = [component(setting, f"lp-{name}", is_blank=True) for setting in settings]
                self._forms[f"method {name}"], self._groups[f"method {name}"] = (settings, fields), group

    def _canvas(self) -> None:
        with gr.Column(visible=False) as self.canvas_panel:
            self.canvas_help = gr.HTML("", padding=False)
            self.canvas = gr.ImageEditor(
                label="Paint",
                type="pil",
                sources=(),
                transforms=(),
                layers=False,
                height=420,
                elem_id="lp-one-canvas",
                brush=mask_brush(REGION_COLORS[:1]),
                buttons=[],
            )

    def _results(self) -> None:
        gr.HTML('<h2 class="lp-step">Results</h2>', padding=False)
        self.jobs = gr.HTML(note_line("Results appear here."), padding=False, elem_id="lp-one-jobs")
        with gr.Row():
            self.stop = gr.Button("Stop", visible=False, elem_id="lp-one-stop", min_width=80)
            self.resume = gr.Button("Resume", visible=False, elem_id="lp-one-resume", min_width=80)
        self.picture = gr.Image(
            label="Result", visible=False, interactive=False, elem_id="lp-one-result", buttons=["fullscreen"]
        )
        self.video = gr.Video(label="Result", visible=False, interactive=False, loop=True, elem_id="lp-one-video")
        self.download = gr.DownloadButton("Download", visible=False, variant="primary", elem_id="lp-one-download")
        with gr.Accordion("The same on the command line and in Python", open=False):
            self.command = gr.Code("", language="shell", label="Command line", interactive=False)
            self.python = gr.Code("", language="python", label="Python", interactive=False)

    @property
    def outputs(self) -> list[Any]:
        """All components that a handler of this page changes."""
        inputs = [self.image, self.image_path, self.image_text, self.image_error, self.summary, self.extra]
        training = [self.method, self.preset, self.run_error, *self._groups.values()]
        return [*inputs, *training, *self.shown, self.canvas_panel, self.canvas_help, self.canvas]

    @property
    def shown(self) -> list[Any]:
        """The components that change while jobs run."""
        results = [self.jobs, self.stop, self.resume, self.picture, self.video, self.download]
        return [*results, self.command, self.python, self.timer]

    # -- connections ----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        on = Events(self.studio, [self._token], self.studio.owner, self.outputs).on
        on(self.image.upload, self._image, [self.image, self.use], self.image_error)
        on(self.use.change, self._use, [self.use, self.image_path], self.run_error)
        on(self.method.change, self._method, [self.method], self.run_error)
        on(self.preset.change, self._preset, [self.method, self.preset], self.run_error, self._method_fields())
        fields = [field for _, group in self._forms.values() for field in group]
        inputs = [self.image_path, self.use, self.method, self.preset, self.extra, self.canvas, *fields]
        on(self.run.click, self._run, inputs, self.run_error)
        on(self.stop.click, lambda owner: self._wish(owner, False), [], self.run_error)
        on(self.resume.click, lambda owner: self._wish(owner, True), [], self.run_error)
        # One text is computed at each look; only where it has changed the page changes.
        self.timer.tick(self._poll, [self._token, self._stamp], self._stamp, **QUIET)
        self._stamp.change(self.load, self._token, self.shown, **QUIET)

    # -- handlers -------------------------------------------------------------------------------------------------

    def load(self, request: gr.Request, token: Any) -> Updates:
        """Show the results of the session."""
        return self.show(self.studio.owner(request, token))

    def _poll(self, request: gr.Request, token: Any, stamp: str) -> str:
        """What there is to show of the jobs, as one text."""
        return jobs_html(singles.latest(self.studio, self.studio.owner(request, token)))

    def _image(self, owner: str, upload: str | None, use: str) -> Updates:
        if upload is None:
            return {}
        try:
            path, facts = self.studio.accept(upload, singles.folder(self.studio, owner), owner)
            if facts.is_clip:
                raise UserError(f"{path.name}: is a clip; give an image, such as one of its frames")
        except UserError as problem:  # a refused file leaves the field, so that the next one can be dropped
            line = error_line(self.studio.plain(str(problem)))
            return {self.image: None, self.image_path: "", self.image_text: "", self.image_error: line}
        texts = {self.image_path: str(path), self.image_text: note_line(f"{path.name}: {facts.text}")}
        return {**texts, **self._canvas_for(owner, use, str(path))}

    def _use(self, owner: str, use: str, path: str) -> Updates:
        methods = single_methods(use)
        groups = {self._groups[name]: gr.update(visible=name == use) for name in singles.USES}
        return {
            **groups,
            self.summary: note_line(use_summary(use)),
            self.extra: gr.update(visible=use in singles.EDITED),
            self.method: gr.update(choices=methods, value=methods[0]),
            **self._method(owner, methods[0]),
            **self._canvas_for(owner, use, path),
        }

    def _method(self, owner: str, method: str) -> Updates:
        groups = {
            group: gr.update(visible=name == f"method {method}")
            for name, group in self._groups.items()
            if name.startswith("method ")
        }
        return {self.preset: gr.update(choices=presets(method), value=first_preset(method)), **groups}

    def _preset(self, owner: str, method: str, preset: str) -> Updates:
        if preset not in presets(method):  # the event of a method that was left
            return {}
        return placeholders(training_settings(method, preset), self._forms[f"method {method}"][1])

    def _method_fields(self) -> list[Any]:
        """The fields of all methods' settings."""
        return [field for name, (_, fields) in self._forms.items() if name.startswith("method ") for field in fields]

    def _canvas_for(self, owner: str, use: str, path: str) -> Updates:
        """What is painted on for a use: the image for masks, an empty sheet for a painting."""
        if use not in singles.CANVAS or not path:
            return {self.canvas_panel: gr.update(visible=False)}
        image = self.studio.pool.run(frames.canvas, path, 0, MASK_SIDE)
        brush = mask_brush(REGION_COLORS[:1])
        if use == "paint":
            colors = singles.palette(image)
            image = singles.sheet(image)
            brush = gr.Brush(colors=colors, default_color=colors[0], color_mode="defaults")
        value: dict[str, Any] = {"background": self.studio.serve_image(image, owner), "layers": [], "composite": None}
        return {
            self.canvas_panel: gr.update(visible=True),
            self.canvas_help: note_line(singles.CANVAS[use]),
            self.canvas: gr.update(value=value, brush=brush),
        }

    def _run(
        self, owner: str, path: str, use: str, method: str, preset: str, extra: str | None, canvas: Any, *values: Any
    ) -> Updates:
        if not path:
            raise UserError("give an image first")
        read: dict[str, dict[str, Any]] = {}
        rest = list(values)
        for name, (settings, fields) in self._forms.items():
            own, rest = rest[: len(fields)], rest[len(fields) :]
            if name == f"method {method}":
                read[name] = read_values(training_settings(method, preset), own)
            elif name == use:
                read[name] = read_values(settings, own)
        training = {"method": method, "preset": preset, "settings": read.get(f"method {method}", {})}
        request = singles.Request(path, use, read[use], training)
        request = singles.with_files(self.studio, owner, request, extra, canvas)
        singles.start(self.studio, owner, request)
        return self.show(owner)

    def _wish(self, owner: str, resumes: bool) -> Updates:
        for job in singles.latest(self.studio, owner):
            if resumes and job.state in ("stopped", "paused", "failed"):
                self.studio.jobs.resume(job)
            elif not resumes and job.state in ("queued", "running"):
                job.update(wish="stop")
        return self.show(owner)

    def show(self, owner: str) -> Updates:
        """The last use and its training."""
        jobs = singles.latest(self.studio, owner)
        if not jobs:
            return {self.jobs: gr.skip()}
        states, job = {job.state for job in jobs}, jobs[-1]
        updates: Updates = {
            self.timer: gr.Timer(poll_seconds(jobs)),
            self.jobs: jobs_html(jobs),
            self.stop: gr.update(visible=bool(states & {"queued", "running"})),
            self.resume: gr.update(visible=bool(states & {"stopped", "paused"})),
            self.command: singles.command_lines(job),
            self.python: singles.python_code(job),
        }
        files = job.result_files() if job.state == "done" else []
        is_video = bool(files) and files[0].suffix == ".mp4"
        shown = self.studio.serve(files[0], owner) if files else None
        packed = next((path for path in files if path.suffix == ".zip"), files[0] if files else None)
        updates |= {
            self.picture: gr.update(value=None if is_video else shown, visible=bool(files) and not is_video),
            self.video: gr.update(value=shown if is_video else None, visible=is_video),
            self.download: gr.update(
                value=None if packed is None else self.studio.serve(packed, owner), visible=packed is not None
            ),
        }
        return updates
