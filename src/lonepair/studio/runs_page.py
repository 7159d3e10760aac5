"""The page Runs: a list with pictures; open, rename, delete, share, compare, and add a model file."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lonepair import UserError
from lonepair.studio import library
from lonepair.studio.context import Studio
from lonepair.studio.events import QUIET, Events, Updates
from lonepair.studio.jobs import RESTING, StudioJob
from lonepair.studio.progress_view import error_line, jobs_html, note_line

EMPTY = "No runs yet. Train one on the page Translate, or add a model file."


class RunsPage:
    """The page, inside a `gr.Blocks` context."""

    def __init__(self, studio: Studio, token: Any) -> None:
        """
        Args:
            studio: The workspace.
            token: Component with the browser's secret.
        """
        self.studio, self._token = studio, token
        self.ids, self.chosen, self._comparison = gr.State([]), gr.State(""), gr.State("")
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=320):
                self._list()
            with gr.Column(scale=2, min_width=300):
                self._details()
        self._compared()
        self._timer = gr.Timer(1.0, active=False)
        self._connect()

    # -- components -----------------------------------------------------------------------------------------------

    def _list(self) -> None:
        gr.HTML('<h2 class="lp-step">Runs of this session</h2>', padding=False)
        self.gallery = gr.Gallery(
            label="Runs",
            show_label=False,
            columns=1,
            allow_preview=False,
            interactive=False,
            elem_id="lp-runs",
            buttons=[],
            height=460,
            object_fit="contain",
        )
        self.note = gr.HTML(note_line(EMPTY), padding=False, elem_id="lp-runs-note")
        self.refresh = gr.Button("Refresh", size="sm", elem_id="lp-runs-refresh")
        self.upload = gr.File(
            label="Add a model file (.safetensors)", file_types=[".safetensors"], height=160, elem_id="lp-add-model"
        )
        self.upload_error = gr.HTML("", padding=False, elem_id="lp-add-model-error")

    def _details(self) -> None:
        with gr.Column(visible=False) as self.panel:
            self.title = gr.HTML("", padding=False, elem_id="lp-run-facts")
            self.open = gr.Button("Open in Translate", variant="primary", elem_id="lp-run-open")
            with gr.Row():
                self.name = gr.Textbox(label="Name", max_length=library.MAX_NAME, elem_id="lp-run-name")
                self.rename = gr.Button("Rename", elem_id="lp-run-rename", min_width=80)
            self.share = gr.DownloadButton("Share as one file", elem_id="lp-run-share")
            self.delete = gr.Button("Delete", elem_id="lp-run-delete")
            with gr.Row(visible=False) as self.question:
                self.sure = gr.Button("Yes, delete for good", variant="stop", elem_id="lp-run-sure")
                self.keep = gr.Button("Keep", elem_id="lp-run-keep")
        self.error = gr.HTML("", padding=False, elem_id="lp-run-error")

    def _compared(self) -> None:
        with gr.Accordion("Compare runs", open=False, elem_id="lp-compare-panel"):
            self.choices = gr.CheckboxGroup([], label="Complete runs", elem_id="lp-compare-choices")
            self.compare = gr.Button("Compare", variant="primary", elem_id="lp-compare")
            self.compare_error = gr.HTML("", padding=False, elem_id="lp-compare-error")
            self.compare_jobs = gr.HTML("", padding=False, elem_id="lp-compare-jobs")
            self.numbers = gr.HTML("", padding=False, elem_id="lp-compare-numbers")
            self.pictures = gr.Gallery(
                label="Pictures",
                show_label=False,
                columns=3,
                visible=False,
                interactive=False,
                buttons=[],
                elem_id="lp-compare-pictures",
            )

    @property
    def outputs(self) -> list[Any]:
        """All components that a handler of this page changes."""
        listed = [self.ids, self.chosen, self._comparison, self.gallery, self.note, self.upload, self.upload_error]
        details = [self.panel, self.title, self.name, self.share, self.question, self.error]
        return [
            *(*listed, *details, self.choices, self.compare_error),
            *(self.compare_jobs, self.numbers, self.pictures, self._timer),
        ]

    # -- connections ----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        on = Events(self.studio, [self._token], self.studio.owner, self.outputs).on
        on(self.refresh.click, lambda owner: self.show(owner), [], self.error)
        on(self.upload.upload, self._add, [self.upload], self.upload_error)
        self.gallery.select(self._select, [self._token, self.ids], self.outputs, **QUIET)
        on(self.rename.click, self._rename, [self.chosen, self.name], self.error)
        on(self.name.submit, self._rename, [self.chosen, self.name], self.error)
        on(self.delete.click, lambda owner: {self.question: gr.update(visible=True)}, [], self.error)
        on(self.keep.click, lambda owner: {self.question: gr.update(visible=False)}, [], self.error)
        on(self.sure.click, self._delete, [self.chosen], self.error)
        on(self.compare.click, self._compare, [self.choices], self.compare_error)
        shown = [self._timer, self._comparison, self.compare_jobs, self.compare_error, self.numbers, self.pictures]
        on(self._timer.tick, self._tick, [self._comparison], self.compare_error, shown)

    # -- handlers -------------------------------------------------------------------------------------------------

    def load(self, request: gr.Request, token: Any) -> Updates:
        """Show the runs of the session."""
        return self.show(self.studio.owner(request, token))

    def show(self, owner: str) -> Updates:
        """The list of runs."""
        jobs = library.list_runs(self.studio, owner)
        shown = [(job, picture) for job in jobs if (picture := library.picture_of(job)) is not None]
        complete = [(job.name, job.id) for job in jobs if job.state == "done" and "imported" not in job.task]
        pictures = [(self.studio.serve(path, owner), library.caption(job)) for job, path in shown]
        comparisons = [job for job in self.studio.jobs.jobs(owner) if job.kind == "compare"]
        return {
            **(self._compared_of(comparisons[-1]) if comparisons else {}),
            self.ids: [job.id for job, _ in shown],
            self.gallery: gr.update(value=pictures),
            self.note: note_line("" if shown else EMPTY),
            self.choices: gr.update(choices=complete),
        }

    def job(self, owner: str, job_id: str) -> StudioJob:
        """The chosen run.

        Raises:
            UserError: None is chosen.
        """
        if not job_id:
            raise UserError("choose a run first")
        return self.studio.jobs.job(job_id, owner)

    def _select(self, request: gr.Request, token: Any, ids: list[str], event: gr.SelectData) -> Updates:
        index = event.index if isinstance(event.index, int) else 0
        try:
            job = self.job(self.studio.owner(request, token), ids[index] if index < len(ids) else "")
        except UserError as problem:
            return {self.error: error_line(str(problem))}
        return {self.error: "", **self._detail(job)}

    def _detail(self, job: StudioJob) -> Updates:
        shared = library.share_file(self.studio, job)
        return {
            self.chosen: job.id,
            self.panel: gr.update(visible=True),
            self.title: library.facts_html(job),
            self.name: job.name,
            self.share: gr.update(value=shared, interactive=shared is not None),
            self.question: gr.update(visible=False),
        }

    def _add(self, owner: str, upload: str | None) -> Updates:
        if upload is None:
            return {}
        try:
            job = library.add_model(self.studio, owner, self.studio.check_upload(upload, owner))
        except UserError as problem:  # a refused file leaves the field, so that the next one can be dropped
            return {self.upload: None, self.upload_error: error_line(self.studio.plain(str(problem)))}
        return {**self.show(owner), **self._detail(job), self.upload: None}

    def _rename(self, owner: str, job_id: str, name: str) -> Updates:
        job = library.rename(self.job(owner, job_id), name)
        return {**self.show(owner), **self._detail(job)}

    def _delete(self, owner: str, job_id: str) -> Updates:
        library.delete_run(self.studio, self.job(owner, job_id))
        return {**self.show(owner), self.chosen: "", self.panel: gr.update(visible=False)}

    def _compare(self, owner: str, ids: list[str]) -> Updates:
        job = library.start_comparison(self.studio, owner, ids)
        return {self.numbers: "", self.pictures: gr.update(visible=False), **self._compared_of(job)}

    def _tick(self, owner: str, comparison: str) -> Updates:
        return self._compared_of(self.studio.jobs.job(comparison, owner))

    def _compared_of(self, job: StudioJob) -> Updates:
        """How far a comparison is; once it is done, its numbers and pictures."""
        updates: Updates = {
            self._comparison: job.id,
            self._timer: gr.Timer(active=job.state not in RESTING),
            self.compare_jobs: jobs_html([job]),
        }
        if job.state == "done":
            pictures = [path for path in job.result_files() if path.suffix == ".png"]
            shown = [(self.studio.serve(path, job.owner), path.stem) for path in pictures]
            updates |= {
                self.numbers: library.comparison_html(job),
                self.pictures: gr.update(value=shown, visible=bool(shown)),
            }
        return updates
