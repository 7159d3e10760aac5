"""The page Translate: which event of a component leads to which action."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lonepair import UserError
from lonepair.studio.context import Studio
from lonepair.studio.events import QUIET, Events, Updates
from lonepair.studio.projects import Project
from lonepair.studio.translate_actions import Actions
from lonepair.studio.translate_display import Display
from lonepair.studio.translate_view import build

BRIEF: dict[str, Any] = {"show_progress": "minimal"}
"""Options of events that show the time while the user waits."""


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
        self.project_id, self.session = project_id, [token, project_id]
        # What the page shows of the jobs, and the models of the frame that it display.
        self._stamp, self._computed = gr.State(""), gr.State("")
        self.timer = gr.Timer(1.0)
        self.display = Display(studio, self.view, self.timer, self._computed, project_id)
        self.actions = Actions(studio, self.view, self.display, self._computed)
        self.events = Events(studio, self.session, self._project, self.display.outputs)
        self._connect()

    # -- connections ----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        view, do, display, on = self.view, self.actions, self.display, self.events.on
        on_source, on_styles, on_result = (
            {**BRIEF, "show_progress_on": [part]} for part in (view.source, view.styles, view.result)
        )
        source = on(view.source.upload, do.or_keep_files(do.source), [view.source], view.source_error, **on_source)
        on(view.source.clear, do.no_source, [], view.source_error)
        styles = on(view.styles.upload, do.or_keep_files(do.styles), [view.styles], view.style_error, **on_styles)
        fewer_styles = on(view.styles.delete, do.styles, [view.styles], view.style_error)
        on(view.styles.clear, do.no_styles, [], view.style_error)
        on(view.new.click, do.new, [], view.source_error)
        style = view.style_gallery.select(self._select_style, self.session, display.text_outputs, **QUIET)
        # Training
        started = [*display.progress_outputs, *display.text_outputs]
        settings = [view.preset, *view.expert.values()]
        on(view.preset.change, do.preset, [view.preset], view.train_error, [*view.expert.values()])
        on(view.train.click, do.train, settings, view.train_error, started, **BRIEF)
        for button, wish in ((view.pause, "pause"), (view.stop, "stop")):
            on(button.click, do.wish(wish), [], view.train_error, display.progress_outputs, **BRIEF)
        on(view.resume.click, do.resume, [], view.train_error, display.progress_outputs, **BRIEF)
        # Dials: of several events that wait, the last one counts.
        dials = [*view.dials.values(), view.texture_auto, view.frame]
        last = {**on_result, "trigger_mode": "always_last"}
        for dial in dials:
            event = dial.release if isinstance(dial, gr.Slider) else dial.input
            handler = do.texture_size if dial is view.dials["texture_size"] else do.dial
            on(event, handler, dials, view.dial_error, [*display.frame_outputs, view.texture_auto], **last)
        defaults = on(view.reset.click, do.reset, [], view.dial_error, dials)
        # Mask. With each event of a page Gradio sends what is painted on a canvas to the server, so that the canvas
        # exists only while its panel is open.
        canvas = [view.editor, view.mask_help]
        on(view.mask_panel.expand, do.show_canvas, [], view.mask_error, canvas)
        view.mask_panel.collapse(lambda: gr.update(visible=False), None, view.editor, **QUIET)
        mask = on(view.mask_use.click, do.mask, [view.editor], view.mask_error, display.text_outputs)
        no_mask = on(view.mask_clear.click, do.no_mask, [], view.mask_error, [*canvas, *display.text_outputs])
        # Render
        span = [view.format, view.first, view.last]
        for field in span:
            on(field.input, do.span, span, view.render_error, display.text_outputs)
        on(view.render.click, do.render, span, view.render_error, display.progress_outputs, **BRIEF)
        on(view.render_stop.click, do.stop_render, [], view.render_error, display.progress_outputs, **BRIEF)
        # The frame after what changes it.
        for done in (source, styles, fewer_styles, style, defaults, mask, no_mask):
            self.show_frame_after(done)
        # One text is computed at each look; only where it has changed the page changes.
        self.timer.tick(self._poll, [*self.session, self._stamp], self._stamp, **QUIET)
        progress = self._stamp.change(self._progress, self.session, display.progress_outputs, **QUIET)
        on(progress.then, do.frame_of_new_model, [self._computed], view.dial_error, display.frame_outputs)

    def show_frame_after(self, done: Any) -> None:
        """Compute the current frame and its translation after an event."""
        view, shown = self.view, {**BRIEF, "show_progress_on": [self.view.result]}
        self.events.on(done.then, self.actions.frame, [], view.dial_error, self.display.frame_outputs, **shown)

    # -- handlers ------------------------------------------------------------------------------------------------

    def load(self, owner: str) -> Updates:
        """Show the newest project of the session: after a reload, and in a browser that was closed."""
        return self.display.everything(self.studio.projects.latest(owner))

    def _select_style(self, request: gr.Request, token: Any, project_id: str, event: gr.SelectData) -> Updates:
        project = self._project(request, token, project_id)
        index = event.index if isinstance(event.index, int) else 0
        return self.display.texts(project.update(shown=min(index, len(project.styles) - 1)))

    def _poll(self, request: gr.Request, token: Any, project_id: str, stamp: str) -> str:
        """What there is to show of the jobs, as one text."""
        try:
            return self.display.stamp(self._project(request, token, project_id))
        except UserError:  # the project was deleted on another page
            return stamp

    def _progress(self, request: gr.Request, token: Any, project_id: str) -> Updates:
        return self.display.progress(self._project(request, token, project_id))

    def _project(self, request: gr.Request, token: Any, project_id: str) -> Project:
        return self.studio.project(project_id, self.studio.owner(request, token))
