"""The pages of the studio in one `gr.Blocks`."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lonepair import UserError
from lonepair.studio import library
from lonepair.studio.context import Studio, is_token, new_token
from lonepair.studio.progress_view import error_line
from lonepair.studio.runs_page import RunsPage
from lonepair.studio.single_page import SinglePage
from lonepair.studio.translate_page import TranslatePage

TITLE = """<div class="lp-title"><h1>lonepair studio</h1>
<p>Redraw a clip or a picture in the style of another one. Everything stays on this machine.</p></div>"""


def build_app(studio: Studio) -> gr.Blocks:
    """The pages over a workspace."""
    with gr.Blocks(title="lonepair studio", analytics_enabled=False) as app:
        token = gr.BrowserState("", storage_key="lonepair-session", secret=studio.secret[:32])
        project_id = gr.State("")
        gr.HTML(TITLE, padding=False)
        with gr.Tabs() as tabs:
            with gr.Tab("Translate", id="translate") as translate_tab:
                translate = TranslatePage(studio, token, project_id)
            with gr.Tab("One image", id="one") as one_tab:
                single = SinglePage(studio, token)
            with gr.Tab("Runs", id="runs") as runs_tab:
                runs = RunsPage(studio, token)
        _restore(app, token, translate)
        for tab, page in ((one_tab, single), (runs_tab, runs)):
            tab.select(page.load, token, page.outputs, api_visibility="private", show_progress="hidden")
        # Only the page that is shown asks for news.
        timers = [translate.timer, single.timer]
        for tab, shown in ((translate_tab, translate), (one_tab, single), (runs_tab, runs)):
            states = [timer is getattr(shown, "timer", None) for timer in timers]
            tab.select(
                lambda states=states: [gr.Timer(active=state) for state in states],
                None,
                timers,
                queue=False,
                api_visibility="private",
                show_progress="hidden",
            )
        _open_runs(studio, token, runs, translate, tabs)
    return app


def _open_runs(studio: Studio, token: Any, runs: RunsPage, page: TranslatePage, tabs: Any) -> None:
    """The button that opens a run on the page Translate."""

    def open_run(request: gr.Request, value: Any, chosen: str) -> dict[Any, Any]:
        try:
            project = library.open_run(studio, runs.job(studio.owner(value, request), chosen))
        except UserError as problem:
            return {runs.error: error_line(str(problem))}
        return {tabs: gr.update(selected="translate"), runs.error: "", **page.shows.everything(project)}

    outputs = [tabs, runs.error, *page.shows.outputs]
    runs.open.click(open_run, [token, runs.chosen], outputs, api_visibility="private").then(
        page.live, [token, page.project_id], page.shows.outputs, api_visibility="private", show_progress="hidden"
    )


def _restore(app: Any, token: Any, page: TranslatePage) -> None:
    """When a page is opened: give the browser a secret at its first visit, and show the newest project."""

    def load(request: gr.Request, value: Any) -> dict[Any, Any]:
        secret = value if is_token(value) else new_token()
        return {token: secret, fresh: secret, **page.load(secret, request)}

    # The browser stores the secret only after the next event has been sent.
    fresh = gr.State("")
    app.load(load, token, [token, fresh, *page.shows.outputs], api_visibility="private", show_progress="hidden").then(
        page.live, [fresh, page.project_id], page.shows.outputs, api_visibility="private", show_progress="hidden"
    )
