"""The page Translate: which event of a component leads to which action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from lonepair import UserError
from lonepair.studio import trainings
from lonepair.studio.context import Studio
from lonepair.studio.progress_view import error_line
from lonepair.studio.projects import Project
from lonepair.studio.translate_actions import Actions
from lonepair.studio.translate_show import Shows
from lonepair.studio.translate_view import build

Updates = dict[Any, Any]
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Options of events that nobody waits for."""


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
        # What the page shows of the jobs, and the models of the frame that it shows.
        self._stamp, self._computed = gr.State(""), gr.State("")
        self.timer = gr.Timer(1.0)
        self.shows = Shows(studio, self.view, self.timer, self._computed, project_id)
        self.actions = Actions(studio, self.view, self.shows, self._computed)
        self._connect()

    # -- connections ----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        view, do, shows, session = self.view, self.actions, self.shows, [self._token, self.project_id]
        self._on(view.source.upload, do.or_as_before(do.source), [view.source], view.source_error, then_live=True)
        self._on(view.source.clear, do.no_source, [], view.source_error)
        self._on(view.styles.upload, do.or_as_before(do.styles), [view.styles], view.style_error, then_live=True)
        self._on(view.styles.delete, do.styles, [view.styles], view.style_error, then_live=True)
        self._on(view.styles.clear, do.no_styles, [], view.style_error)
        view.style_gallery.select(self._select_style, session, shows.text_outputs, **QUIET).then(
            self.live, session, shows.frame_outputs, **QUIET
        )
        self._on(view.new.click, do.new, [], view.source_error)
        # Training
        started = [*shows.progress_outputs, *shows.text_outputs]
        self._on(view.train.click, do.train, [view.preset, *view.expert.values()], view.train_error, started)
        for button, wish in ((view.pause, "pause"), (view.stop, "stop")):
            self._on(button.click, do.wish(wish), [], view.train_error, shows.progress_outputs)
        self._on(view.resume.click, do.resume, [], view.train_error, shows.progress_outputs)
        # Dials
        dials = [*view.dials.values(), view.texture_auto, view.frame]
        for dial in dials:
            event = dial.release if isinstance(dial, gr.Slider) else dial.input
            self._on(event, do.dial, dials, view.dial_error, shows.frame_outputs, is_frame=True)
        self._on(view.reset.click, do.reset, [], view.dial_error, dials, then_live=True)
        # Mask and render. With each event of a page Gradio sends what is painted on a canvas to the server, so that the
        # canvas exists only while its panel is open.
        canvas = [view.editor, view.mask_help]
        self._on(view.mask_panel.expand, do.show_canvas, [], view.mask_error, canvas, progress="hidden")
        view.mask_panel.collapse(lambda: gr.update(visible=False), None, view.editor, **QUIET)
        self._on(view.mask_use.click, do.mask, [view.editor], view.mask_error, shows.text_outputs, then_live=True)
        cleared = [*canvas, *shows.text_outputs]
        self._on(view.mask_clear.click, do.no_mask, [], view.mask_error, cleared, then_live=True)
        span = [view.format, view.first, view.last]
        for field in span:
            self._on(field.input, do.span, span, view.render_error, shows.text_outputs, progress="hidden")
        self._on(view.render.click, do.render, span, view.render_error, shows.progress_outputs)
        self._on(view.render_stop.click, do.stop_render, [], view.render_error, shows.progress_outputs)
        # One text is computed at each look; only where it has changed the page changes.
        self.timer.tick(self._look, [*session, self._stamp], self._stamp, **QUIET)
        self._stamp.change(self._progress, session, shows.progress_outputs, **QUIET).then(
            self._live_if_new, [*session, self._computed], shows.frame_outputs, **QUIET
        )

    def _on(
        self,
        event: Any,
        handler: Callable[..., Updates],
        inputs: list[Any],
        error: Any,
        outputs: list[Any] | None = None,
        then_live: bool = False,
        is_frame: bool = False,
        progress: str = "minimal",
    ) -> None:
        """Call `handler(project, *inputs)` at an event. A `UserError` becomes one line in the component `error`.

        Args:
            event: The event of a component.
            handler: Returns the values of the components that change.
            inputs: Components.
            error: Component of the line.
            outputs: Components that the handler changes; None: the whole page.
            then_live: Compute the frame afterwards.
            is_frame: The handler computes the frame: of several events that wait, the last one counts.
            progress: How the page shows that it waits, as Gradio names it.
        """

        def call(request: gr.Request, token: Any, project_id: str, *values: Any) -> Updates:
            try:
                project = self._project(token, project_id, request)
                return {error: "", **handler(project, *values)}
            except UserError as problem:
                return {error: error_line(self.actions.plain(str(problem)))}

        session, shows = [self._token, self.project_id], self.shows
        done = event(
            call,
            [*session, *inputs],
            shows.outputs if outputs is None else list({id(part): part for part in (*outputs, error)}.values()),
            show_progress=progress,
            show_progress_on=[self.view.result] if is_frame else None,
            trigger_mode="always_last" if is_frame else None,
            api_visibility="private",
        )
        if then_live:
            on = [self.view.result]
            shown = {"show_progress": "minimal", "show_progress_on": on, "api_visibility": "private"}
            done.then(self.live, session, shows.frame_outputs, **shown)

    # -- handlers ------------------------------------------------------------------------------------------------

    def load(self, token: Any, request: gr.Request) -> Updates:
        """Show the newest project of the session: after a reload, and in a browser that was closed."""
        project = self.studio.projects.latest(self.studio.owner(token, request))
        return self.shows.everything(project)

    def _select_style(self, token: Any, project_id: str, event: gr.SelectData, request: gr.Request) -> Updates:
        project = self._project(token, project_id, request)
        index = event.index if isinstance(event.index, int) else 0
        return self.shows.texts(project.changed(shown=min(index, len(project.styles) - 1)))

    def _look(self, token: Any, project_id: str, stamp: str, request: gr.Request) -> str:
        """What there is to show of the jobs, as one text."""
        try:
            return self.shows.stamp(self._project(token, project_id, request))
        except UserError:  # the browser has not stored its secret yet
            return stamp

    def _progress(self, token: Any, project_id: str, request: gr.Request) -> Updates:
        return self.shows.progress(self._project(token, project_id, request))

    def _live_if_new(self, token: Any, project_id: str, computed: str, request: gr.Request) -> Updates:
        """Compute the frame again where a training has given another model than it was computed with."""
        project = self._project(token, project_id, request)
        models = "\n".join(trainings.model_paths(self.studio, project))
        if not models.strip() or models == computed:
            return {self._computed: computed}
        try:
            return self.actions.frame(project)
        except UserError as problem:
            return {self._computed: models, self.view.dial_error: error_line(self.actions.plain(str(problem)))}

    def _project(self, token: Any, project_id: str, request: gr.Request) -> Project:
        return self.studio.project(project_id, self.studio.owner(token, request))

    def live(self, token: Any, project_id: str, request: gr.Request) -> Updates:
        """Show the current frame and its translation."""
        try:
            return self.actions.frame(self._project(token, project_id, request))
        except UserError as problem:
            return {self.view.dial_error: error_line(self.actions.plain(str(problem)))}
