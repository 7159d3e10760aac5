"""The command `completion`: a script that lets a shell complete commands, flags, values and names of files.

tyro, which parses the arguments, can print such scripts as well; they complete no name of a file for an input, start
Python at each key, and name the flags as tyro's own help does.
"""

from __future__ import annotations

import shlex
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

import lonepair.methods as methods
from lonepair.commands.flags import Flag, form_flags
from lonepair.commands.forms import Command

PRESETS = ("draft", "standard", "full")


@dataclass(frozen=True)
class Completion:
    """Print a script by which a shell completes the words of lonepair's commands.

    Load it in the shell's start file: `eval "$(lonepair completion bash)"` in ~/.bashrc, the same with zsh in ~/.zshrc
    after `compinit`, and `lonepair completion fish | source` in ~/.config/fish/config.fish."""

    shell: Annotated[Literal["bash", "zsh", "fish"], tyro.conf.Positional, tyro.conf.arg(metavar="bash|zsh|fish")]
    """The shell."""


def run_completion(values: Completion) -> int:
    """Print the script of the shell."""
    from lonepair.commands import COMMANDS

    script = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}[values.shell]
    print(script(COMMANDS))
    return 0


def bash_script(commands: Mapping[str, Command]) -> str:
    """The script for bash. Where it proposes no word, bash completes names of files."""
    values, flags = [], []
    for name, command in commands.items():
        options = command_flags(command)
        flags.append(f"      {name}) words={shlex.quote(' '.join(w for flag in options for w in spellings(flag)))} ;;")
        for flag in options:
            if choices := flag_choices(flag):
                patterns = "|".join(f'"{name} {word}"' for word in spellings(flag))
                values.append(f"      {patterns}) words={shlex.quote(' '.join(choices))} ;;")
    names = " ".join(["help", *commands])
    return "\n".join(
        [
            "_lonepair() {",
            '  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words=""',
            '  local command="${COMP_WORDS[1]}"',
            "  COMPREPLY=()",
            '  if [ "$COMP_CWORD" -eq 1 ]; then',
            f'    words="{names}"',
            "  else",
            '    case "$command $before" in',
            f'      "help help") words="{" ".join(commands)}" ;;',
            '      "completion completion") words="bash zsh fish" ;;',
            *values,
            "    esac",
            '    if [ -z "$words" ]; then case "$word" in -*) case "$command" in',
            *flags,
            "    esac ;; esac; fi",
            "  fi",
            '  if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$word")); fi',
            "}",
            "complete -o default -F _lonepair lonepair",
        ]
    )


def zsh_script(commands: Mapping[str, Command]) -> str:
    """The script for zsh, which can run bash's."""
    return "autoload -U +X bashcompinit && bashcompinit\n" + bash_script(commands)


def fish_script(commands: Mapping[str, Command]) -> str:
    """The script for fish. It shows the first sentence of a flag's help beside it."""
    lines = [_fish("-f", "-n", "__fish_use_subcommand", "-a", "help", "-d", "show a command's flags")]
    lines.append(_fish("-f", "-n", "__fish_seen_subcommand_from help", "-a", " ".join(commands)))
    lines.append(_fish("-f", "-n", "__fish_seen_subcommand_from completion", "-a", "bash zsh fish"))
    for name, command in commands.items():
        lines.append(_fish("-f", "-n", "__fish_use_subcommand", "-a", name, "-d", command.summary))
        for flag in command_flags(command):
            words = ["-n", f"__fish_seen_subcommand_from {name}", "-d", flag.text.split(". ")[0].rstrip(".")]
            for word in spellings(flag):
                words += ["-l", word[2:]] if word.startswith("--") else ["-s", word[1:]]
            if choices := flag_choices(flag):
                words += ["-x", "-a", " ".join(choices)]
            elif flag.metavar:
                words.append("-r")
            lines.append(_fish(*words))
    return "\n".join(lines)


def _fish(*words: str) -> str:
    return shlex.join(["complete", "-c", "lonepair", *words])


def command_flags(command: Command) -> list[Flag]:
    """The flags of a command at its default method, those of both forms of `translate` included."""
    form = command.form([])
    flags = [*form_flags(form), *getattr(form, "use_flags", ())]
    return list({flag.name: flag for flag in flags if not flag.is_positional}.values())


def spellings(flag: Flag) -> list[str]:
    """How a flag can be written, such as ["-o", "--out"]."""
    return flag.usage.removesuffix(flag.metavar).replace(",", " ").split()


def flag_choices(flag: Flag) -> list[str]:
    """The values of a flag that has few; empty for all others."""
    if typing.get_origin(flag.hint) is Literal:
        return [str(value) for value in typing.get_args(flag.hint)]
    if flag.hint is bool and flag.metavar:
        return ["True", "False"]
    return {"--method": list(methods.names()), "--preset": list(PRESETS)}.get(flag.name, [])
