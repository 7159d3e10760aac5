"""Settings of patch synthesis."""

import dataclasses
from typing import Any

import pytest

from lonepair.errors import UserError
from lonepair.patches.config import SynthesisConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 0}, "rounds is 0: choose 1 or more"),
        ({"replacement_passes": -1}, "replacement_passes is -1: choose 0 or more"),
        ({"anchors": 1}, "anchors is 1: choose 2 or more"),
        ({"blend_sigma": 0.0}, "blend_sigma is 0.0: choose a number above 0"),
        ({"completeness": float("nan")}, "completeness is nan: choose a number above 0"),
        ({"layout_restoration": 2.0}, "layout_restoration is 2.0: choose a number from 0 to 1.5"),
        ({"copied_region_share": 0.0}, "copied_region_share is 0.0: choose a number above 0, at most 1"),
        ({"patch_size": 8}, "patch_size is 8: choose an odd number from 3 to 31"),
        ({"patch_stride": 9}, "patch_stride is 9: choose at most patch_size, 7: larger ones leave gaps"),
    ],
)
def test_invalid_value_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        SynthesisConfig(**changes)
    assert str(error.value) == message


def test_changes_replace_fields_and_unknown_names_are_refused() -> None:
    config = SynthesisConfig().with_changes({"rounds": 6})
    assert config == SynthesisConfig(rounds=6)
    assert SynthesisConfig(**config.to_dict()) == config
    with pytest.raises(UserError, match=r"^focus: no setting of patch synthesis; choose from layout_scale, "):
        config.with_changes({"focus": 2})


def test_every_number_has_a_lower_bound() -> None:
    for field in dataclasses.fields(SynthesisConfig):
        if field.type != "bool":
            with pytest.raises(UserError, match=f"{field.name} is -5"):
                SynthesisConfig(**{field.name: -5})
