"""The page Translate: what is on it and where. `translate_page` says what happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lonepair.api.settings import Setting, method_settings, option_settings, presets, use_settings
from lonepair.studio.forms import component, title_of
from lonepair.studio.projects import DIALS
from lonepair.studio.snippets import CLIP_FORMATS

REGION_COLORS = ("#f97316", "#22c55e", "#3b82f6", "#e11d48", "#a855f7", "#eab308")
"""Color of the brush for each style."""
BRUSH_OPACITY = 0.6
"""Opacity of the brush: the picture stays visible."""
PRESET_TEXTS = {
    "draft": "draft: a first result",
    "standard": "standard: recommended",
    "full": "full: slowest, finest",
}


FIRST_PRESET = "draft"
"""The preset that the page proposes."""


def mask_brush(colors: Sequence[str]) -> Any:
    """A brush with these colors and no others, through which the picture stays visible."""
    brushes = [(color, BRUSH_OPACITY) for color in colors]
    return gr.Brush(colors=brushes, default_color=brushes[0], color_mode="fixed")


def training_settings(preset: str = FIRST_PRESET) -> list[Setting]:
    """The settings of a training that the page shows: those that the help shows first, and some run options.

    Args:
        preset: Decides the defaults.
    """
    options = [setting for setting in option_settings() if setting.name in ("seed", "max_minutes")]
    return [*method_settings("lonepair", preset), *options]


@dataclass(frozen=True)
class TranslateView:
    """The components of the page."""

    source: Any
    source_text: Any
    source_error: Any
    styles: Any
    style_gallery: Any
    style_error: Any
    preset: Any
    expert: dict[str, Any]
    """Setting of the training -> its component."""
    train: Any
    pause: Any
    stop: Any
    resume: Any
    new: Any
    jobs: Any
    train_error: Any
    stage_preview: Any
    result: Any
    result_text: Any
    frame: Any
    dials: dict[str, Any]
    """Dial -> its component; the size of texture also has `texture_auto`."""
    texture_auto: Any
    reset: Any
    dial_error: Any
    mask_panel: Any
    mask_help: Any
    editor: Any
    mask_use: Any
    mask_clear: Any
    mask_error: Any
    span: Any
    """The row of the next three, which only clips have."""
    format: Any
    first: Any
    last: Any
    render: Any
    render_stop: Any
    render_jobs: Any
    render_error: Any
    source_video: Any
    result_video: Any
    videos: Any
    download: Any
    command: Any
    python: Any


def build() -> TranslateView:
    """Create the components, inside a `gr.Blocks` context."""
    parts: dict[str, Any] = {}
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            _inputs(parts)
            _training(parts)
        with gr.Column(scale=3, min_width=320):
            _result(parts)
            _dials(parts)
            _mask(parts)
            _rendering(parts)
            _snippets(parts)
    return TranslateView(**parts)


def _step(text: str) -> None:
    gr.HTML(f'<h2 class="lp-step">{text}</h2>', padding=False)


def _inputs(parts: dict[str, Any]) -> None:
    _step("1. Source")
    parts["source"] = gr.File(
        label="Clip, image or ZIP of frames", height=160, elem_id="lp-source", file_count="single"
    )
    parts["source_text"] = gr.HTML("", padding=False, elem_id="lp-source-text")
    parts["source_error"] = gr.HTML("", padding=False, elem_id="lp-source-error")
    _step("2. Style")
    parts["styles"] = gr.File(label="One or more pictures", height=160, elem_id="lp-styles", file_count="multiple")
    parts["style_gallery"] = gr.Gallery(
        label="Styles",
        show_label=False,
        columns=4,
        height=124,
        visible=False,
        interactive=False,
        object_fit="cover",
        buttons=[],
        elem_id="lp-style-gallery",
    )
    parts["style_error"] = gr.HTML("", padding=False, elem_id="lp-style-error")


def _training(parts: dict[str, Any]) -> None:
    _step("3. Training")
    names = [(PRESET_TEXTS.get(name, name), name) for name in presets("lonepair")]
    parts["preset"] = gr.Radio(names, value=FIRST_PRESET, label="How long", elem_id="lp-preset")
    with gr.Accordion("Training settings", open=False, elem_id="lp-expert"):
        parts["expert"] = {s.name: component(s, "lp-expert", is_blank=True) for s in training_settings()}
    with gr.Row():
        parts["train"] = gr.Button("Train", variant="primary", interactive=False, elem_id="lp-train", min_width=100)
        parts["pause"] = gr.Button("Pause", visible=False, elem_id="lp-pause", min_width=80)
        parts["stop"] = gr.Button("Stop", visible=False, elem_id="lp-stop", min_width=80)
        parts["resume"] = gr.Button("Resume", variant="primary", visible=False, elem_id="lp-resume", min_width=100)
    parts["train_error"] = gr.HTML("", padding=False, elem_id="lp-train-error")
    parts["jobs"] = gr.HTML("", padding=False, elem_id="lp-jobs")
    parts["stage_preview"] = gr.Image(
        label="Preview of the training",
        show_label=False,
        visible=False,
        interactive=False,
        elem_id="lp-stage-preview",
        buttons=["fullscreen"],
    )
    parts["new"] = gr.Button("Start another translation", size="sm", elem_id="lp-new")


def _result(parts: dict[str, Any]) -> None:
    _step("Result")
    parts["result"] = gr.ImageSlider(
        label="Source | translation",
        interactive=False,
        type="pil",
        elem_id="lp-result",
        max_height=520,
        format="png",
        buttons=["download", "fullscreen"],
    )
    parts["result_text"] = gr.HTML("", padding=False, elem_id="lp-result-text")
    parts["frame"] = gr.Slider(0, 1, 0, step=1, label="Frame", visible=False, elem_id="lp-frame")


def _dials(parts: dict[str, Any]) -> None:
    settings = {setting.name: setting for setting in use_settings("translate") if setting.name in DIALS}
    tone = settings["tone"]
    dials: dict[str, Any] = {}
    with gr.Group():
        with gr.Row():
            dials["structure"] = _slider(settings["structure"], 0, 1)
            dials["strength"] = _slider(settings["strength"], 0, 1)
        with gr.Row():
            dials["texture_size"] = _slider(settings["texture_size"], 0.1, 4, 1)
            dials["colour"] = _slider(settings["colour"], 0, 1)
        with gr.Row():
            parts["texture_auto"] = gr.Checkbox(
                True, label="Texture size: auto", elem_id="lp-texture-auto", min_width=120
            )
            dials["tone"] = gr.Radio(
                list(tone.choices), value=tone.default, label=title_of(tone), info=tone.help, elem_id="lp-tone"
            )
        parts["reset"] = gr.Button("Reset dials", size="sm", elem_id="lp-reset")
    parts["dial_error"] = gr.HTML("", padding=False, elem_id="lp-dial-error")
    parts["dials"] = {name: dials[name] for name in DIALS}


def _slider(setting: Setting, least: float, most: float, value: float | None = None) -> Any:
    """The dial of a setting; `value` stands in for a default that is no number."""
    value = setting.default if value is None else value
    name = f"lp-{setting.name.replace('_', '-')}"
    return gr.Slider(least, most, value, step=0.05, label=title_of(setting), info=setting.help, elem_id=name)


def _mask(parts: dict[str, Any]) -> None:
    with gr.Accordion("Mask: paint where the style shows", open=False, elem_id="lp-mask-panel") as panel:
        parts["mask_help"] = gr.HTML("", padding=False)
        parts["editor"] = gr.ImageEditor(
            label="Paint over the picture",
            type="pil",
            sources=(),
            transforms=(),
            layers=False,
            brush=mask_brush(REGION_COLORS[:1]),
            height=420,
            elem_id="lp-editor",
            buttons=[],
            visible=False,
        )
        with gr.Row():
            parts["mask_use"] = gr.Button("Use this mask", variant="primary", elem_id="lp-mask-use")
            parts["mask_clear"] = gr.Button("Remove the mask", elem_id="lp-mask-clear")
        parts["mask_error"] = gr.HTML("", padding=False, elem_id="lp-mask-error")
    parts["mask_panel"] = panel


def _rendering(parts: dict[str, Any]) -> None:
    _step("4. Render")
    with gr.Row(visible=False) as span:
        parts["format"] = gr.Radio(list(CLIP_FORMATS), value="MP4", label="Format", elem_id="lp-format")
        parts["first"] = gr.Number(0, precision=0, minimum=0, label="First frame", elem_id="lp-first")
        parts["last"] = gr.Number(0, precision=0, minimum=0, label="Last frame", elem_id="lp-last")
    parts["span"] = span
    with gr.Row():
        parts["render"] = gr.Button("Render", variant="primary", interactive=False, elem_id="lp-render", min_width=100)
        parts["render_stop"] = gr.Button("Stop the render", visible=False, elem_id="lp-render-stop", min_width=100)
    parts["render_error"] = gr.HTML("", padding=False, elem_id="lp-render-error")
    parts["render_jobs"] = gr.HTML("", padding=False, elem_id="lp-render-jobs")
    with gr.Row(visible=False) as videos:
        parts["source_video"] = gr.Video(label="Source", elem_id="lp-source-video", interactive=False, buttons=[])
        parts["result_video"] = gr.Video(label="Translation", elem_id="lp-result-video", interactive=False, buttons=[])
    parts["videos"] = videos
    parts["download"] = gr.DownloadButton("Download", visible=False, elem_id="lp-download", variant="primary")


def _snippets(parts: dict[str, Any]) -> None:
    with gr.Accordion("The same on the command line and in Python", open=False, elem_id="lp-snippets"):
        parts["command"] = gr.Code("", language="shell", label="Command line", interactive=False, elem_id="lp-command")
        parts["python"] = gr.Code("", language="python", label="Python", interactive=False, elem_id="lp-python")
