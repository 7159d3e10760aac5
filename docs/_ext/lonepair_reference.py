"""A Sphinx extension that writes the reference from the code: settings, commands and the Python interface.

Four directives, each without content: `lonepair-settings METHOD`, `lonepair-synthesis-settings`,
`lonepair-commands` and `lonepair-api`. All read the
installed package when the site is built, so that a new method, flag or public name is documented by its own text. No
module of the package is named here but the tables that list methods, commands and public names.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import inspect
import io
import itertools
import os
import re
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SECTIONS = ("Args", "Arguments", "Returns", "Yields", "Raises", "Attributes", "Example", "Examples", "Note")
"""Heads of sections in a docstring (Google form)."""


class MarkdownDirective(SphinxDirective, ABC):
    """A directive that is replaced by Markdown text, headings included."""

    has_content = False

    @abstractmethod
    def markdown(self) -> str:
        """The text."""

    def run(self) -> list[nodes.Node]:
        container = nodes.section()
        lines = StringList(self.markdown().splitlines(), source=type(self).__name__)
        self.state.nested_parse(lines, self.content_offset, container, match_titles=True)
        return container.children


class Settings(MarkdownDirective):
    """All settings of one method: name, default, effect, and what each preset changes."""

    required_arguments = 1

    def markdown(self) -> str:
        method = importlib.import_module("lonepair.methods").get_method(self.arguments[0])
        config = method.config_class
        presets = {name: dict(values) for name, values in getattr(config, "presets", {}).items()}
        text = ["| setting | default | effect |", "| --- | --- | --- |"]
        text += [f"| `{name}` | `{default}` | {effect} |" for name, default, effect in rows(config)]
        text += ["", "| preset | changes |", "| --- | --- |"]
        for name, values in presets.items():
            changes = ", ".join(f"`{key}={value!r}`" for key, value in values.items())
            text.append(f"| `{name}` | {changes or 'nothing: the defaults above'} |")
        return "\n".join([*text, "", field_texts(config).get("presets", "")])


class SynthesisSettings(MarkdownDirective):
    """All settings of patch synthesis: name, default and effect."""

    def markdown(self) -> str:
        config = importlib.import_module("lonepair.patches.config").SynthesisConfig
        text = ["| setting | default | effect |", "| --- | --- | --- |"]
        return "\n".join(text + [f"| `{name}` | `{default}` | {effect} |" for name, default, effect in rows(config)])


class Commands(MarkdownDirective):
    """Every command of the command line with its own help text."""

    def markdown(self) -> str:
        commands = importlib.import_module("lonepair.commands").COMMANDS
        text = [fenced(help_text([]))]
        for name in commands:
            text += [f"## lonepair {name}", fenced(help_text([name, "--help-all"]))]
        return "\n\n".join(text)


class Api(MarkdownDirective):
    """Every public name of the package with its signature and docstring."""

    def markdown(self) -> str:
        package = importlib.import_module("lonepair")
        values = [(name, getattr(package, name)) for name in package.__all__ if not name.startswith("_")]
        functions = [pair for pair in values if not isinstance(pair[1], type) and callable(pair[1])]
        errors = [pair for pair in values if isinstance(pair[1], type) and issubclass(pair[1], Exception)]
        classes = [pair for pair in values if isinstance(pair[1], type) and pair not in errors]
        text: list[str] = []
        for title, members in (("Functions", functions), ("Classes", classes), ("Errors", errors)):
            if members:
                text.append(f"## {title}")
            for name, value in members:
                text += [f"### lonepair.{name}", *described(name, value)]
        return "\n\n".join(text)


def is_method_config(config: Any) -> bool:
    """Whether settings of the dataclass `config` are named without their group."""
    return hasattr(config, "setting_names")


def rows(config: Any, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(name, default, effect) of every field of the dataclass `config`; parts that are dataclasses are opened."""
    texts = field_texts(config if isinstance(config, type) else type(config))
    for field in dataclasses.fields(config):
        default = field.default if isinstance(config, type) else getattr(config, field.name)
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if dataclasses.is_dataclass(default) and not isinstance(default, type):
            yield from rows(default, "" if is_method_config(config) else f"{prefix}{field.name}.")
        elif field.init:
            shown = "required" if default is dataclasses.MISSING else repr(default)
            effect = texts.get(field.name) or str(field.metadata.get("help", ""))
            yield prefix + field.name, shown, cell(effect)


def field_texts(config: type) -> dict[str, str]:
    """The string below each field, of `config` and of the classes that it extends."""
    texts: dict[str, str] = {}
    for cls in reversed(config.__mro__):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
        except (OSError, TypeError):
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, below in itertools.pairwise(body):
            is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            if is_text and isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                texts[field.target.id] = inspect.cleandoc(str(below.value.value))
    return texts


def cell(text: str) -> str:
    """`text` as it can stand in a cell of a table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def help_text(arguments: list[str]) -> str:
    """What `lonepair ARGUMENTS` prints, 100 columns wide and without colors."""
    main = importlib.import_module("lonepair.commands.main").main
    said = io.StringIO()
    before = {name: os.environ.get(name) for name in ("COLUMNS", "NO_COLOR", "TERM")}
    os.environ.update(COLUMNS="100", NO_COLOR="1", TERM="dumb")
    try:
        with contextlib.redirect_stdout(said):
            main(arguments)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    return re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue())


def fenced(text: str) -> str:
    return f"```text\n{text.strip()}\n```"


def described(name: str, value: Any) -> list[str]:
    """Paragraphs of Markdown about a function or class: signature, docstring, public members."""
    text = [signature(name, value), docstring(value)]
    if not isinstance(value, type) or issubclass(value, Exception):
        return text
    if dataclasses.is_dataclass(value) and (fields := list(public_rows(value))):
        table = ["| field | default | meaning |", "| --- | --- | --- |"]
        text.append("\n".join(table + [f"| `{field}` | {shown} | {effect} |" for field, shown, effect in fields]))
    for member, attribute in members(value):
        if isinstance(attribute, property):
            text += [f"**`{name.lower()}.{member}`**", docstring(attribute)]
        else:
            text += [signature(f"{name}.{member}", attribute), docstring(attribute)]
    return text


def public_rows(value: type) -> Iterator[tuple[str, str, str]]:
    for field, default, meaning in rows(value):
        if not field.startswith("_"):
            yield field, "" if default == "required" else f"`{default}`", meaning


def members(cls: type) -> list[tuple[str, Any]]:
    """Public methods and properties of `cls` that the package itself defines, in the order of the source."""
    seen: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith("lonepair"):
            continue
        for name, raw in vars(base).items():
            attribute = raw.__func__ if isinstance(raw, (classmethod, staticmethod)) else raw
            if not name.startswith("_") and (inspect.isfunction(attribute) or isinstance(attribute, property)):
                seen[name] = attribute
    return list(seen.items())


def signature(name: str, value: Any) -> str:
    """The call in a block of code; annotations as they are written in the source."""
    if isinstance(value, type) and issubclass(value, Exception):
        return f"```python\nclass {name}({value.__mro__[1].__name__})\n```"
    try:
        parameters = inspect.signature(value)
    except (TypeError, ValueError):
        return f"```python\n{name}\n```"
    shown = [parameter_text(p) for p in parameters.parameters.values() if p.name not in ("self", "cls")]
    kinds = [p.kind for p in parameters.parameters.values() if p.name not in ("self", "cls")]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        shown.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    result = "" if isinstance(value, type) else annotation_text(parameters.return_annotation)
    end = f") -> {result}" if result else ")"
    line = f"{name}({', '.join(shown)}{end}"
    if len(line) > 100:
        line = f"{name}(\n" + "".join(f"    {text},\n" for text in shown) + end
    return f"```python\n{line}\n```"


def annotation_text(annotation: Any) -> str:
    """An annotation as the source writes it; empty where there is none."""
    if annotation in (inspect.Signature.empty, None):
        return ""
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def parameter_text(parameter: inspect.Parameter) -> str:
    """NAME: TYPE = DEFAULT, with the stars of collected arguments."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    kind = annotation_text(parameter.annotation)
    text = stars + parameter.name + (f": {kind}" if kind else "")
    if parameter.default is inspect.Parameter.empty:
        return text
    # A default without a literal form, such as a lazily imported object, has an address in its repr.
    default = "..." if "<" in repr(parameter.default) else repr(parameter.default)
    return f"{text} = {default}" if kind else f"{text}={default}"


def docstring(value: Any) -> str:
    """The docstring as Markdown: a section of arguments becomes a list."""
    text, lines = [], (inspect.getdoc(value) or "").splitlines()
    section = ""
    for line in lines:
        if (head := line.strip().removesuffix(":")) in SECTIONS and line.strip().endswith(":"):
            section = head
            text += ["", f"*{head}:*", ""]
        elif section and (match := re.match(r"    (?! )([*\w., ()\[\]|\"-]+?): (.*)", line)):
            text.append(f"- `{match[1]}`: {match[2]}")
        elif section and line.startswith("        "):
            text.append("  " + line.strip())
        else:
            section = section if not line or line.startswith(" ") else ""
            text.append(line.strip() if section else line)
    return "\n".join(text)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("lonepair-settings", Settings)
    app.add_directive("lonepair-synthesis-settings", SynthesisSettings)
    app.add_directive("lonepair-commands", Commands)
    app.add_directive("lonepair-api", Api)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
