"""Flags of a form: their names and types, before and after parsing, and the text of `--help`.

tyro parses the arguments. The help is our own: panels have titles, expert settings come last, and `--help` of
`translate` shows two forms at once.
"""

from __future__ import annotations

import dataclasses
import shutil
import textwrap
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from lonepair.apply.base import field_docs
from lonepair.methods.config import Config
from lonepair.methods.setting_groups import Group

EXPERT = "Expert method settings"
TITLES = ("Options", "Translation", "Output", "Run options", "Method settings", "Patch synthesis", EXPERT)
"""Panels in the order in which they are shown."""

FIRST_GROUPS = frozenset({"SizeConfig", "ScheduleConfig", "FinestStepsConfig", "ClipConfig", "TranslationConfig"})
"""Groups of a method's settings that users turn first; the other groups are expert settings."""


@dataclass(frozen=True)
class Flag:
    """A field of a form as the command line shows it."""

    name: str
    """Such as --start-stage, or the metavar of a positional."""
    hint: Any
    """Its type without None."""
    metavar: str
    aliases: tuple[str, ...]
    help: str
    default: Any
    """`dataclasses.MISSING` if the flag is required."""
    is_positional: bool
    title: str
    """Panel in which the help shows it."""

    @property
    def usage(self) -> str:
        """Such as "-o, --out FILE"."""
        name = self.name
        if self.hint is bool and self.default is True:
            name = "--no-" + name.removeprefix("--")
        return " ".join(part for part in (", ".join([*self.aliases, name]), self.metavar) if part)

    @property
    def text(self) -> str:
        """The help with the default; of a flag that turns something off, in the negative."""
        if self.hint is bool:
            return negated(self.help) if self.default is True else self.help
        if self.default is dataclasses.MISSING:
            return f"{self.help} (required)" if not self.is_positional else self.help
        if self.default is None or self.default in ("", ()):
            return self.help
        return f"{self.help} (default: {self.default})"


def negated(text: str) -> str:
    """The help of --no-NAME from the help of NAME."""
    if text.startswith("Whether "):
        return f"Turn off: {text[0].lower()}{text[1:]}"
    return f"Do not {text[0].lower()}{text[1:]}"


def form_flags(form: type, title: str = "Options", defaults: Any = None) -> list[Flag]:
    """Every flag and positional of the dataclass `form`, nested dataclasses included.

    Args:
        form: The dataclass of a command's flags. A nested class names its panel in `title`.
        title: Panel of its own fields.
        defaults: An instance whose values are the defaults.
    """
    hints, docs = typing.get_type_hints(form, include_extras=True), field_docs(form)
    expert: frozenset[str] = getattr(form, "expert_fields", frozenset())
    collected: list[Flag] = []
    for part in dataclasses.fields(form):
        default = part.default if part.default_factory is dataclasses.MISSING else part.default_factory()
        default = getattr(defaults, part.name) if defaults is not None else default
        hint = hints[part.name]
        if dataclasses.is_dataclass(hint):
            kind = typing.cast(type, hint)
            collected += form_flags(kind, _panel(kind, title), default)
            continue
        panel = EXPERT if part.name in expert or part.metadata.get("expert") else title
        collected.append(_flag(part.name, hint, docs.get(part.name, ""), default, panel))
    return collected


def _panel(form: type, outer: str) -> str:
    """Title of the panel of a nested form."""
    if issubclass(form, Config):
        return "Method settings"
    if issubclass(form, Group):
        return outer if form.__name__ in FIRST_GROUPS else EXPERT
    own: str = getattr(form, "title", "Run options" if outer == "Options" else outer)
    return own


def _flag(name: str, hint: Any, doc: str, default: Any, title: str) -> Flag:
    marks = list(getattr(hint, "__metadata__", ()))
    is_positional = tyro.conf.Positional in marks
    settings = next((mark for mark in reversed(marks) if hasattr(mark, "metavar")), None)
    plain = typing.get_args(hint)[0] if marks else hint
    options = [kind for kind in typing.get_args(plain) if kind is not types.NoneType]
    plain = options[0] if isinstance(plain, types.UnionType) or typing.get_origin(plain) is typing.Union else plain
    metavar = getattr(settings, "metavar", None) or _metavar(plain)
    flag = metavar if is_positional else "--" + name.replace("_", "-")
    aliases = tuple(getattr(settings, "aliases", None) or ())
    doc = getattr(settings, "help", None) or doc
    return Flag(flag, plain, "" if is_positional else metavar, aliases, doc, default, is_positional, title)


def _metavar(hint: Any) -> str:
    if hint is bool:
        return ""
    if typing.get_origin(hint) is Literal:
        return "{" + ",".join(map(str, typing.get_args(hint))) + "}"
    return {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}.get(hint, "VALUE")


def flag_types(form: type) -> dict[str, Any]:
    """Flag -> type of every flag of `form`."""
    return {flag.name: flag.hint for flag in form_flags(form) if not flag.is_positional}


# -- help -------------------------------------------------------------------------------------------------------------


def help_text(command: str, form: type) -> str:
    """The answer to `lonepair COMMAND --help`."""
    # A flag of two panels is shown in the first one.
    shown = list({flag.name: flag for flag in [*form_flags(form), *getattr(form, "use_flags", ())]}.values())
    positionals = [flag for flag in shown if flag.is_positional]
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    words = " ".join([flag.name for flag in positionals] + ["[FLAGS]"])
    lines = [f"usage: lonepair {command} {words}", ""]
    lines += [line for part in (form.__doc__ or "").split("\n\n") for line in [*_paragraph(part, width, ""), ""]]
    if positionals:
        lines += ["Inputs:", *(line for flag in positionals for line in _entry(flag, width)), ""]
    notes = getattr(form, "notes", {})
    for title in sorted({flag.title for flag in shown if not flag.is_positional}, key=TITLES.index):
        lines.append(f"{title}:")
        lines += _paragraph(notes[title], width, "  ") if title in notes else []
        for flag in shown:
            if flag.title == title and not flag.is_positional:
                lines += _entry(flag, width)
        lines.append("")
    return "\n".join(lines).rstrip()


def _entry(flag: Flag, width: int) -> Iterator[str]:
    """A flag's usage and help, in two columns."""
    indent = 28
    rows = textwrap.wrap(flag.text, width - indent, break_on_hyphens=False) or [""]
    usage = f"  {flag.usage if not flag.is_positional else flag.name}"
    if len(usage) + 2 > indent:
        yield usage
    else:
        yield f"{usage:{indent}}{rows.pop(0)}".rstrip()
    yield from (" " * indent + row for row in rows)


def _paragraph(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), width, initial_indent=indent, subsequent_indent=indent)


# -- arguments before they are parsed ---------------------------------------------------------------------------------


def peek(arguments: Sequence[str], flag: str) -> str | None:
    """The value of `flag` in `arguments`, before they are parsed."""
    for index, argument in enumerate(arguments):
        if argument == flag and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith(f"{flag}="):
            return argument.split("=", 1)[1]
    return None


def positionals(arguments: Sequence[str], form: type) -> list[str]:
    """Those of `arguments` that are neither flags of `form` nor their values."""
    switches = {"-h", "--help"}
    for flag in form_flags(form):
        if flag.hint is bool:
            switches |= {flag.name, flag.usage}
    words, rest = [], list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            words.append(word)
        elif word not in switches and "=" not in word and rest:
            rest.pop(0)
    return words
