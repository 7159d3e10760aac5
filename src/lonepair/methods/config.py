"""Settings of a method: the base class that composes groups of settings with a method's own.

A method's config is a frozen dataclass whose fields are groups (`SizeConfig`, `AdamConfig`, ...), with this method's
defaults, and settings of its own. For users settings are flat: `from_preset("draft", steps=500)`, flags, config.json
and model files name a setting without its group, and `config.steps` reads it. Names are unique across groups.
This module imports no torch, so that the command line can show every flag at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from lonepair.errors import UserError, wrong_types
from lonepair.methods.setting_groups import Group, SettingChecks, SizeConfig


@dataclass(frozen=True)
class Config(SettingChecks):
    """Settings of any method. A subclass adds groups and fields of its own, with a sentence under each field.

    Raises:
        UserError: names all invalid settings, each with its value and the remedy.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"standard": {}}
    """Name -> values that differ from the defaults; the method's page in the docs has results and times of each."""
    basic: ClassVar[tuple[str, ...]] = ("max_side", "steps", "finest_steps", "stages", "start_stage", "task")
    """Settings that users change first; the command line shows them before the others."""

    size: SizeConfig = SizeConfig()

    def __post_init__(self) -> None:
        parts = [self, *self.groups().values()]
        # A value of a wrong type cannot be compared with its bounds.
        type_problems = [text for part in parts for text in wrong_types(part)]
        if problems := type_problems or [text for part in parts for text in part.problems()]:
            raise UserError("; ".join(problems))

    def __getattr__(self, name: str) -> Any:
        """The value of the setting `name` of any group."""
        # Read at every training step, so no dictionary of groups is built here.
        for group in vars(self).values():
            if isinstance(group, Group) and name in group.__dataclass_fields__:  # type: ignore[attr-defined]
                return getattr(group, name)
        raise AttributeError(f"{type(self).__name__} has no setting {name!r}")

    def groups(self) -> dict[str, Group]:
        """Name of the field -> the group."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Group)}

    @classmethod
    def setting_groups(cls) -> dict[str, str | None]:
        """Setting -> name of the field that holds its group; None for the method's own settings."""
        groups: dict[str, str | None] = {}
        for field in dataclasses.fields(cls):
            is_group = isinstance(field.default, Group)
            names = [f.name for f in dataclasses.fields(field.default)] if is_group else [field.name]  # type: ignore[arg-type]
            for name in names:
                assert name not in groups, f"{cls.__name__}: setting {name!r} is in two groups; rename one"
                groups[name] = field.name if is_group else None
        return groups

    @classmethod
    def setting_names(cls) -> list[str]:
        """Names of all settings."""
        return list(cls.setting_groups())

    @classmethod
    @final
    def from_flat(cls, values: Mapping[str, Any]) -> Config:
        """The config with `values`, by flat names; other settings have their defaults.

        Raises:
            UserError: for unknown names, and for invalid values.
        """
        groups = cls.setting_groups()
        if unknown := sorted(set(values) - set(groups)):
            raise UserError(f"{', '.join(unknown)}: no such setting of this method; it has {', '.join(sorted(groups))}")
        arguments = {name: value for name, value in values.items() if groups[name] is None}
        for field in dataclasses.fields(cls):
            # The group keeps this method's defaults for all other settings.
            of_group = {name: value for name, value in values.items() if groups[name] == field.name}
            if of_group:
                arguments[field.name] = dataclasses.replace(field.default, **of_group)  # type: ignore[type-var]
        return cls(**arguments)

    @classmethod
    @final
    def from_preset(cls, preset: str, **settings: Any) -> Config:
        """The config of `preset`, with `settings` in place of its values.

        Raises:
            UserError: for an unknown preset or setting, with a list of all, and for invalid values.
        """
        if preset not in cls.presets:
            raise UserError(f"preset {preset!r} is unknown; choose one of {', '.join(cls.presets)}")
        return cls.from_flat({**cls.presets[preset], **settings})

    @final
    def to_dict(self) -> dict[str, Any]:
        """Flat name -> plain value, as config.json and model files store them."""
        return {name: getattr(self, name) for name in self.setting_names()}

    @property
    def crop_side(self) -> int:
        """`crop_size`, but at least 2 x min_side; 0 if training uses no crops."""
        crop_size: int = getattr(self, "crop_size", 0)
        return max(crop_size, 2 * self.size.min_side) if crop_size else 0
