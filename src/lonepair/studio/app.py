"""The pages of the studio in one `gr.Blocks`."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lonepair.studio import library
from lonepair.studio.context import Studio, is_token, new_token
from lonepair.studio.events import QUIET, Events, Updates
from lonepair.studio.runs_page import RunsPage
from lonepair.studio.single_page import SinglePage
from lonepair.studio.translate_page import TranslatePage

TITLE = """<div class="lp-title"><h1>lonepair studio</h1>
<p>Translate a clip or a picture into the style of another picture. Everything stays on this machine.</p></div>"""


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
        # A page is filled when it is opened, and only the page that is shown asks for news.
        timers = [translate.timer, single.timer]
        one_tab.select(single.load, token, single.outputs, **QUIET)
        runs_tab.select(runs.load, token, runs.outputs, **QUIET)
        for tab, own in ((translate_tab, translate.timer), (one_tab, single.timer), (runs_tab, None)):
            states = [timer is own for timer in timers]
            tab.select(lambda states=states: [gr.Timer(active=s) for s in states], None, timers, queue=False, **QUIET)
        _open_runs(studio, token, runs, translate, tabs)
    return app


def _open_runs(studio: Studio, token: Any, runs: RunsPage, page: TranslatePage, tabs: Any) -> None:
    """The button that opens a run on the page Translate."""

    def open_run(owner: str, chosen: str) -> Updates:
        project = library.open_run(studio, runs.job(owner, chosen))
        return {tabs: gr.update(selected="translate"), **page.display.everything(project)}

    events = Events(studio, [token], studio.owner, [tabs, *page.display.outputs])
    page.show_frame_after(events.on(runs.open.click, open_run, [runs.chosen], runs.error, show_progress="full"))


def _restore(app: Any, token: Any, page: TranslatePage) -> None:
    """When a page is opened: give the browser a secret at its first visit, and show the newest project."""

    def load(request: gr.Request, value: Any) -> Updates:
        secret = value if is_token(value) else new_token()
        with page.studio.opening(request, secret) as owner:
            return {token: secret, **page.load(owner)}

    page.show_frame_after(app.load(load, token, [token, *page.display.outputs], **QUIET))
