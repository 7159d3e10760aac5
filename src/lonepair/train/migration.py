"""Conversion of model files of older formats to the current one; the only module that knows old names.

Format 1 (until 2026-11-26) has other names for settings and for some networks. Format 2 has settings of patch synthesis
for clips whose frames were matched again rather than carried. Format 3 has no limit of the source's fine shapes. Format
4 has a setting for the released training of `singan` and `consingan`, which is the only one since. Format 5 has
settings of how little may move in a clip that stands still; since then a pixel's motion is compared with the camera's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

FORMAT_VERSION = 6
"""The current format, which `save_model` writes. Files of this format and of all earlier ones can be read."""

_SETTINGS_OF_1 = {
    "blocks": "blocks_per_stage",
    "border": "border_padding",
    "coarse": "coarse_stages",
    "concurrent": "trained_stages",
    "concurrent_decay": "stage_lr_decay",
    "crop": "crop_size",
    "cycle": "cycle_channels",
    "decay": "lr_drop_factor",
    "decay_at": "lr_drop_at",
    "detail_side": "exemplar_max_side",
    "entry": "start_stage",
    "entry_share": "random_start_probability",
    "frame": "border_channel_weight",
    "grid": "layout_grid",
    "lambda_pen": "lambda_gp",
    "layers": "convolutions",
    "levels": "patch_scales",
    "margin": "reflect_pad_fraction",
    "noise": "noise_amplitude",
    "noise_base": "noise_scale",
    "norm": "normalization",
    "patch": "patch_size",
    "random_share": "random_image_probability",
    "ratio": "pyramid_ratio",
    "real_share": "real_image_probability",
    "replacing": "replacing_stages",
    "size_rule": "pyramid_rule",
    "slope": "leaky_slope",
    "translation_noise": "translation_noise_scale",
    "window": "window_fraction",
}
"""Setting of format 1 -> its current name."""
_REMOVED_SINCE_1 = frozenset({"pieces", "penalty_every"})
"""Settings of format 1 that no longer exist; they affect training only."""
_PAIR_SYNTHESIS: dict[str, Any] = {
    "layout_scale": 3.2,
    "layout_restoration": 1.0,
    "novelty_threshold": 3.0,
    "similarity_stride": 3,
    "similarity_floor": 1e-4,
    "patch_size": 7,
    "patch_stride": 2,
    "rounds": 4,
    "upscaling_rounds": 2,
    "max_scale_ratio": 1.4,
    "blend_sigma": 1.0,
    "texture_contrast": False,
    "max_contrast_ratio": 3.0,
    "completeness": 0.015,
    "completeness_samples": 512,
    "propagation_distance": 4,
    "search_components": 32,
    "search_component_samples": 16384,
    "copied_region_share": 0.08,
    "copied_region_min_run": 2,
    "replacement_passes": 4,
}
_SYNTHESIS_OF_1 = {
    "lonepair": _PAIR_SYNTHESIS,
    "lonepair-single": {**_PAIR_SYNTHESIS, "layout_scale": 1.0, "layout_restoration": 0.3},
}
"""Method -> settings of patch synthesis; when format 1 was current they were constants in the code."""
_REMOVED_OF_METHOD: dict[str, frozenset[str]] = {
    "consingan": frozenset({"reflect_pad_fraction"}),
    "lonepair-single": frozenset({"reflect_pad_fraction", "max_frames"}),
    "singan": frozenset({"reflect_pad_fraction", "max_frames", "crop_size"}),
    "structural-analogy": frozenset({"crop_size"}),
}
"""Method -> settings, by their current names, that files of format 1 have although the method ignores them."""

_REMOVED_SYNTHESIS = frozenset(
    {
        *("gpu_replacement_passes", "gpu_replacements", "clip_rounds", "clip_global_rounds", "clip_patch_stride"),
        *("clip_completeness", "clip_completeness_samples", "clip_half_search"),
        *("flow_window", "flow_iterations", "flow_damping", "cut_threshold"),
    }
)
"""Settings of patch synthesis of format 2 that no longer exist."""
_REMOVED_SYNTHESIS_OF_5 = frozenset({"still_window", "still_motion", "still_ratio"})
"""Settings of patch synthesis of format 5 that no longer exist."""

_NO_LIMIT = 1e6
"""A `guide_max_energy` that no image exceeds: of files older than the setting."""

_TENSORS_OF_1: dict[str, dict[str, str]] = {
    "consingan": {"anchor": "reconstruction_input"},
    "singan": {"anchor": "reconstruction_noise"},
    "structural-analogy": {"anchor_a": "reconstruction_noise_a", "anchor_b": "reconstruction_noise_b"},
}
"""Method -> network of format 1 (the first part of its tensors' names) -> its current name."""


def migrate(header: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header and tensors of a model file in the current format.

    Args:
        header: Header of a file of any format up to `FORMAT_VERSION`.
        tensors: Name -> tensor of the same file.
    """
    if header["format_version"] == 1:
        # Header: names of settings, and the settings of patch synthesis.
        method = header["method"]
        header = {**header, "format_version": 2, "config": _current_settings(method, header["config"])}
        header["license"] = header.pop("licence", "")
        header["synthesis"] = _SYNTHESIS_OF_1.get(method)
        if isinstance(header["settings"].get("config"), dict):
            config = _current_settings(method, header["settings"]["config"])
            header["settings"] = {**header["settings"], "config": config}
        # Tensors: exemplars, and names of networks.
        tensors = _with_exemplars(tensors)
        networks = _TENSORS_OF_1.get(method, {})
        parts = {name: name.partition(".") for name in tensors}
        tensors = {f"{networks.get(net, net)}{dot}{rest}": tensors[name] for name, (net, dot, rest) in parts.items()}
    if header["format_version"] == 2:
        synthesis = _without(_REMOVED_SYNTHESIS, header.get("synthesis"))
        header = {**header, "format_version": 3, "synthesis": synthesis}
    if header["format_version"] == 3:
        synthesis = header.get("synthesis")
        if synthesis is not None:
            synthesis = {**synthesis, "guide_max_energy": _NO_LIMIT}
        header = {**header, "format_version": 4, "synthesis": synthesis}
    if header["format_version"] == 4:
        method = header["method"]
        header = {**header, "format_version": 5, "config": _settings_of_5(method, header["config"])}
        if isinstance(header["settings"].get("config"), dict):
            config = _settings_of_5(method, header["settings"]["config"])
            header["settings"] = {**header["settings"], "config": config}
    if header["format_version"] == 5:
        synthesis = _without(_REMOVED_SYNTHESIS_OF_5, header.get("synthesis"))
        header = {**header, "format_version": 6, "synthesis": synthesis}
    return header, tensors


def _without(removed: frozenset[str], synthesis: dict[str, Any] | None) -> dict[str, Any] | None:
    """The settings of patch synthesis of a file without those that no longer exist; None for a method without any."""
    if synthesis is None:
        return None
    return {name: value for name, value in synthesis.items() if name not in removed}


def _settings_of_5(method: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of `method` in format 4 by the names of format 5; they describe the training, and change no use."""
    if method not in ("singan", "consingan"):
        return settings
    current = {name: value for name, value in settings.items() if name != "as_released"}
    if method == "consingan":
        # Without the setting, a step had one update of the generator; fine-tuning had the steps of any training.
        current["generator_steps"] = 3 if settings.get("as_released") else 1
        current["fine_tuning_steps"] = settings.get("steps", 2000)
    return current


def _current_settings(method: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of `method` in format 1 by their current names, without those that no longer exist."""
    current = {_SETTINGS_OF_1.get(name, name): value for name, value in settings.items()}
    removed = _REMOVED_SINCE_1 | _REMOVED_OF_METHOD.get(method, frozenset())
    return {name: value for name, value in current.items() if name not in removed}


def _with_exemplars(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of format 1 with those of `memory_*` and `detail_*` under the names of `Exemplar`.

    The first files of format 1 have no `detail_*`; their exemplars have no frame above the training size.
    """
    current = {}
    for name, tensor in tensors.items():
        # "memory_a.images" -> module "memory_a", kind "memory", domain "a".
        module, _, _ = name.partition(".")
        kind, _, domain = module.partition("_")
        if kind == "memory":
            current[f"exemplar_{domain}.images"] = tensor
            empty = torch.zeros(1, tensor.shape[1], 0, 0, dtype=torch.uint8)
            current[f"exemplar_{domain}.detail_bytes"] = tensors.get(f"detail_{domain}.image", empty)
        elif kind != "detail":
            current[name] = tensor
    return current
