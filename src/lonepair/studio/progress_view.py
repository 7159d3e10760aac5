"""Jobs as HTML: a bar, what is done at the moment, and the time that is left. Everything from outside is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lonepair.studio.jobs import StudioJob

WORDS = {
    "queued": "waits for its turn",
    "running": "running",
    "pausing": "saves, then pauses",
    "paused": "paused",
    "stopping": "saves, then stops",
    "stopped": "stopped",
    "done": "done",
    "failed": "failed",
}
"""State -> what the page says."""


def error_line(text: str) -> str:
    """An error as one line beside its field; empty text hides it."""
    return f'<p class="lp-error" role="alert">{escape(text)}</p>' if text else ""


def note_line(text: str) -> str:
    """A remark beside a field."""
    return f'<p class="lp-note">{escape(text)}</p>' if text else ""


def jobs_html(jobs: Sequence[StudioJob]) -> str:
    """A bar for each job."""
    return "".join(_job_html(job) for job in jobs)


def _job_html(job: StudioJob) -> str:
    state, status = job.state, job.status
    percent = round(100 * (1.0 if state == "done" else status.share))
    parts = [WORDS[state]]
    if state in ("running", "pausing", "stopping", "failed", "paused", "stopped") and status.text:
        parts.append(status.text)
    if state == "running" and status.eta_seconds is not None:
        parts.append(f"{duration(status.eta_seconds)} left")
    name, text = escape(job.name), escape(" · ".join(parts))
    return (
        f'<div class="lp-job lp-{state}"><div class="lp-job-head"><span>{name}</span><span>{percent}%</span></div>'
        f'<div class="lp-bar" role="progressbar" aria-label="{name}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><div style="width:{percent}%"></div></div>'
        f'<p class="lp-job-text" aria-live="polite">{text}</p></div>'
    )


def duration(seconds: float) -> str:
    """Seconds in words: "40 s", "3 min", "2 h 5 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
