"""Flags of a form: their names and types, before and after parsing, and the text of `--help`.

tyro parses the arguments. The help is our own: panels have titles, expert settings come last, and `--help` of
`translate` shows two forms at once.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import tyro

from lonepair.apply.base import field_docs, field_types
from lonepair.methods.config import Config

TRANSLATION = "Translation"
RUN = "Run options"
BASIC = "Method settings"
EXPERT = "Expert method settings"
SYNTHESIS = "Patch synthesis"
TITLES = ("Options", TRANSLATION, "Output", RUN, BASIC, EXPERT, SYNTHESIS)
"""Panels in the order in which the help shows them."""
NOTES = {
    BASIC: "Settings of --method; the defaults are those of --preset.",
    EXPERT: "Further settings of --method; the defaults are those of --preset.",
    SYNTHESIS: "A flag that you omit leaves the model's own value unchanged.",
}
"""Panel -> the sentence under its title. A form can replace it in `notes`."""
EXPERT_TITLES = frozenset({EXPERT, SYNTHESIS})
"""Panels that only --help-all shows."""
LAST_FLAGS = ("--start-stage", "--synthesize")
"""Flags that come last in the panel of a translation."""
FIRST_FLAGS = ("--method", "--preset", "--seed", "--device", "--max-minutes", "--run", "--resume", "--warm-start")
"""Flags that come first in their panels, most used first."""


HELP_FLAGS = ("-h", "--help", "--help-all")


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
    def is_switch(self) -> bool:
        """Whether the flag takes no value."""
        return self.hint is bool and not self.metavar

    @property
    def usage(self) -> str:
        """Such as "-o, --out FILE"."""
        name = self.name
        if self.is_switch and self.default is True:
            name = "--no-" + name.removeprefix("--")
        return " ".join(part for part in (", ".join([*self.aliases, name]), self.metavar) if part)

    @property
    def text(self) -> str:
        """The help with the default; of a flag that turns something off, in the negative."""
        if self.is_switch:
            return negated(self.help) if self.default is True else self.help
        if self.default is dataclasses.MISSING:
            return f"{self.help} (required)" if not self.is_positional else self.help
        if self.default is None or self.default in ("", ()):
            return self.help
        default = f"{self.default:g}" if isinstance(self.default, float) else self.default
        return f"{self.help} (default: {default})"


def negated(text: str) -> str:
    """The help of --no-NAME from the help of NAME, whose first clause says what the setting does."""
    first = re.split(r"[.:] ", text)[0].rstrip(".")
    return f"Do not {first[0].lower()}{first[1:]}."


def form_flags(form: type, title: str = "Options", defaults: Any = None) -> list[Flag]:
    """Every flag and positional of the dataclass `form`, nested dataclasses included.

    Args:
        form: The dataclass of a command's flags. A nested class may name its panel in `title`.
        title: Panel of the fields of `form` itself.
        defaults: An instance whose values are the defaults.
    """
    hints, docs = field_types(form), field_docs(form)
    flags: list[Flag] = []
    for part in dataclasses.fields(form):
        default = part.default if part.default_factory is dataclasses.MISSING else part.default_factory()
        default = getattr(defaults, part.name) if defaults is not None else default
        hint = hints[part.name]
        if dataclasses.is_dataclass(hint):
            kind = typing.cast(type, hint)
            flags += form_flags(kind, getattr(kind, "title", RUN), default)
        else:
            flags.append(_flag(part.name, hint, docs.get(part.name, ""), default, title))
    return _by_importance(flags, form) if issubclass(form, Config) else flags


def _by_importance(flags: list[Flag], config: type[Config]) -> list[Flag]:
    """The flags of a method's settings: those in `Config.basic` first, the others in the expert panel."""
    basic = ["--" + name.replace("_", "-") for name in config.basic]
    first = sorted((flag for flag in flags if flag.name in basic), key=lambda flag: basic.index(flag.name))
    others = [flag for flag in flags if flag.name not in basic]
    return [replace(flag, title=BASIC) for flag in first] + [replace(flag, title=EXPERT) for flag in others]


def _flag(name: str, hint: Any, doc: str, default: Any, title: str) -> Flag:
    marks = list(getattr(hint, "__metadata__", ()))
    is_positional = tyro.conf.Positional in marks
    settings = next((mark for mark in reversed(marks) if hasattr(mark, "metavar")), None)
    plain = typing.get_args(hint)[0] if marks else hint
    kinds = [kind for kind in typing.get_args(plain) if kind is not types.NoneType]
    is_optional = isinstance(plain, types.UnionType) or typing.get_origin(plain) is typing.Union
    words = [word for kind in kinds if typing.get_origin(kind) is Literal for word in typing.get_args(kind)]
    plain = kinds[0] if is_optional else plain
    metavar = getattr(settings, "metavar", None) or "|".join([_metavar(plain, is_optional), *map(str, words)])
    flag = metavar if is_positional else "--" + name.replace("_", "-")
    aliases = tuple(getattr(settings, "aliases", None) or ())
    doc = getattr(settings, "help", None) or doc
    return Flag(flag, plain, "" if is_positional else metavar, aliases, doc, default, is_positional, title)


def _metavar(hint: Any, is_optional: bool) -> str:
    if hint is bool:
        return "{True,False}" if is_optional else ""
    if typing.get_origin(hint) is Literal:
        return "{" + ",".join(map(str, typing.get_args(hint))) + "}"
    return {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}.get(hint, "VALUE")


def flag_types(form: type) -> dict[str, Any]:
    """Flag -> type of every flag of `form`."""
    return {flag.name: flag.hint for flag in form_flags(form) if not flag.is_positional}


# -- help -------------------------------------------------------------------------------------------------------------


def help_text(command: str, form: type, shows_all: bool = False) -> str:
    """The answer to `lonepair COMMAND --help`; with `shows_all`, to `lonepair COMMAND --help-all`."""
    # A flag of two panels is shown in the first one.
    flags = list({flag.name: flag for flag in [*form_flags(form), *getattr(form, "use_flags", ())]}.values())
    inputs = [flag for flag in flags if flag.is_positional]
    width = min(100, shutil.get_terminal_size((100, 24)).columns)

    # Usage, what the command does, and its inputs.
    words = " ".join([flag.name for flag in inputs] + ["[FLAGS]"])
    lines = [f"usage: lonepair {command} {words}", ""]
    lines += [line for part in (form.__doc__ or "").split("\n\n") for line in [*_paragraph(part, width, ""), ""]]
    if examples := getattr(form, "examples", ()):
        lines += ["Examples:", *_examples(examples, width), ""]
    if texts := getattr(form, "input_texts", {}):
        inputs = [replace(inputs[0], name=name, help=text) for name, text in texts.items()]
    if inputs:
        lines += ["Inputs:", *(line for flag in inputs for line in _entry(flag, width)), ""]

    # One panel for each title. Help texts name settings as Python does.
    notes = {**NOTES, **getattr(form, "notes", {})}
    names = {flag.name[2:].replace("-", "_"): flag.name for flag in flags if not flag.is_positional}
    hidden = [flag for flag in flags if flag.title in EXPERT_TITLES]
    for title in TITLES:
        panel = [flag for flag in flags if flag.title == title and not flag.is_positional]
        if panel and (shows_all or title not in EXPERT_TITLES):
            lines.append(f"{title}:")
            lines += _paragraph(notes[title], width, "  ") if title in notes else []
            for flag in sorted(panel, key=_rank):
                lines += _entry(replace(flag, help=name_known_flags(flag.help, names)), width)
            lines.append("")
    if hidden and not shows_all:
        lines.append(f"`lonepair {command} --help-all` also shows {len(hidden)} expert settings.")
    return "\n".join(lines).rstrip()


def _examples(examples: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """(command, what it does) pairs in two columns; on two lines each where the terminal is narrow."""
    indent = max(len(command) for command, _ in examples) + 4
    for command, text in examples:
        if indent + max(len(text) for _, text in examples) <= width:
            yield f"  {command:{indent - 2}}{text}"
        else:
            yield from (f"  {command}", f"      {text}")


def _rank(flag: Flag) -> int:
    """Position of a flag in its panel; flags of one rank keep their order."""
    if flag.name in FIRST_FLAGS:
        return FIRST_FLAGS.index(flag.name)
    return len(FIRST_FLAGS) + (flag.title == TRANSLATION and flag.name in LAST_FLAGS)


def name_known_flags(text: str, names: Mapping[str, str]) -> str:
    """`text` with each setting in backticks replaced by its name in `names`; other backticks stay."""
    return re.sub(r"`([a-z]\w*)`", lambda match: names.get(match[1], match[0]), text)


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
    switches = set(HELP_FLAGS)
    for flag in form_flags(form):
        if flag.is_switch:
            switches |= {flag.name, flag.usage}
    words, rest = [], list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            words.append(word)
        elif word not in switches and "=" not in word and rest:
            rest.pop(0)
    return words
