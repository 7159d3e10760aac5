"""How the events of a page lead to handlers: who asks, and an error as one line beside its field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from lonepair import UserError
from lonepair.studio.context import Studio
from lonepair.studio.progress_view import error_line

Updates = dict[Any, Any]
"""Component -> its new value."""
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Options of events that nobody waits for."""


class Events:
    """Connects the events of one page."""

    def __init__(
        self, studio: Studio, session: Sequence[Any], subject: Callable[..., Any], outputs: Sequence[Any]
    ) -> None:
        """
        Args:
            studio: The workspace.
            session: Components that say who asks, such as the one with the browser's secret.
            subject: Function of a `gr.Request` and the values of `session`. It returns what each handler gets first:
                the name of the session, or its project.
            outputs: All components of the page that handlers change.
        """
        self._studio, self._session, self._subject, self._outputs = studio, list(session), subject, list(outputs)

    def on(
        self,
        event: Callable[..., Any],
        handler: Callable[..., Updates],
        inputs: Sequence[Any],
        error: Any,
        outputs: Sequence[Any] | None = None,
        **options: Any,
    ) -> Any:
        """Call `handler(subject, *inputs)` at an event. A `UserError` becomes one line in the component `error`.

        Args:
            event: The event of a component, such as `button.click`, or the `then` of an earlier one.
            handler: Returns the values of the components that change.
            inputs: Components.
            error: Component of the line.
            outputs: Components that the handler changes; None: those of the page.
            **options: Of Gradio's event, in place of `QUIET`.

        Returns:
            Gradio's event, whose `then` takes the next handler.
        """

        def call(request: gr.Request, *values: Any) -> Updates:
            own, others = values[: len(self._session)], values[len(self._session) :]
            try:
                return {error: "", **handler(self._subject(request, *own), *others)}
            except UserError as problem:
                return {error: error_line(self._studio.plain(str(problem)))}

        # Components are compared by identity: some of them define equality in another way.
        changed = {id(part): part for part in (*(self._outputs if outputs is None else outputs), error)}
        return event(call, [*self._session, *inputs], list(changed.values()), **{**QUIET, **options})
