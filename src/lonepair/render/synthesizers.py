"""Patch synthesis for a method's predictions: a `Synthesizer` from the exemplar that a model stores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lonepair.errors import UserError
from lonepair.methods.base import Method
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.synthesis import Synthesizer


def can_synthesize(method: Method) -> bool:
    """Whether `method` stores exemplars, which patch synthesis needs."""
    return method.synthesis is not None and method.exemplar(method.domains[0]) is not None


def chosen_synthesis(
    method: Method, synthesize: bool, synthesis: SynthesisConfig | Mapping[str, Any] | None
) -> SynthesisConfig | None:
    """The settings of patch synthesis for a use; None where the networks' prediction is the output.

    Args:
        synthesize: Whether to synthesize, if `method` stores exemplars.
        synthesis: All settings, or those that replace the model's own; None: the model's own.

    Raises:
        UserError: for settings without exemplars, and for a setting that does not exist or has a wrong value.
    """
    if synthesis and not can_synthesize(method):
        raise UserError(
            f"synthesis: {method.name!r} stores no target to synthesize from; omit the settings of patch synthesis"
        )
    if not synthesize or method.synthesis is None:
        return None
    return synthesis if isinstance(synthesis, SynthesisConfig) else with_changes(method.synthesis, synthesis or {})


def with_changes(own: SynthesisConfig, changes: Mapping[str, Any]) -> SynthesisConfig:
    """The settings `own` with `changes`.

    Raises:
        UserError: A setting does not exist or has a wrong value; the message names the argument `synthesis`, as
            methods have settings of the same names.
    """
    try:
        return own.with_changes(changes)
    except UserError as error:
        raise UserError(f"synthesis: {error}") from error


def synthesizer_for(
    method: Method,
    domain: str,
    config: SynthesisConfig | None = None,
    start_stage: int = 0,
    caches_all_scales: bool = False,
) -> Synthesizer:
    """Return the synthesizer of the newest stage's predictions of `domain`.

    Args:
        config: Settings of the synthesis; None: the model's own.
        start_stage: First stage that predicts; the layout of the image that enters there is retained entirely.
        caches_all_scales: As of `Synthesizer`.
    """
    exemplar = method.exemplar(domain)
    config = config or method.synthesis
    assert exemplar is not None
    assert config is not None
    # Scales are relative to the newest stage: a model that was saved during its training has no finer one.
    factors = method.plan.factors[: method.stage + 1]
    factors = [factor / factors[-1] for factor in factors]
    return Synthesizer(exemplar(), factors, config, exemplar.detail, factors[start_stage], caches_all_scales)
