"""The command line: find the command, make its flags from dataclasses, turn errors into one line.

Nothing here imports torch before a command runs: `--help` must answer at once.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import version
from typing import Any

from lonepair.commands import COMMANDS, Command
from lonepair.commands.forms import flags
from lonepair.errors import UserError, name_flags
from lonepair.media.files import error_reason

logger = logging.getLogger("lonepair")

FLAGS = {"out": "--run"}
"""Setting of a training -> its flag, where the two names differ."""

INTRO = """\
lonepair learns a generative model from a single image, a pair, or a clip and a picture:
it redraws one in the look of the other, or draws, animates and edits images like the one.

  lonepair translate clip.mp4 look.png     train, then redraw the clip in the picture's look
  lonepair translate a.jpg b.jpg           the same for two images
  lonepair generate photo.jpg              train on one image, then draw others like it
  lonepair animate runs/photo -o out.gif   use what was learnt; also edit, harmonize, paint, ...
  lonepair demo                            see it work on pictures that come along
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` names; returns the exit status: 0, 2 for a user's mistake, 130 when interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    with _messages():
        try:
            return _dispatch(arguments)
        except UserError as error:
            if debug:
                traceback.print_exc()
            print(f"lonepair: {name_flags(str(error), FLAGS)}", file=sys.stderr)
            return 2
        except KeyboardInterrupt as stop:
            print(f"lonepair: {str(stop) or 'interrupted'}", file=sys.stderr)
            return 130
        except BrokenPipeError:
            return 0
        except OSError as error:  # what no one nearer to it has put in words: a name too long, a disk that is gone
            if debug:
                traceback.print_exc()
            where = f"{error.filename}: " if error.filename else ""
            print(f"lonepair: {where}{error_reason(error)}; check names, permissions and free space", file=sys.stderr)
            return 2
        except Exception as error:
            if debug:
                raise
            kind = type(error).__name__
            print(f"lonepair: unexpected {kind}: {str(error).splitlines()[0] if str(error) else ''}", file=sys.stderr)
            print("lonepair: this is a bug; the same command with --debug shows where", file=sys.stderr)
            return 1


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"lonepair {version('lonepair')}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"{name!r} is no command; {hint}commands: {', '.join(COMMANDS)}")
    command = COMMANDS[name]
    values = parse(command, name, rest)
    return 0 if values is None else command.run(values)


def parse(command: Command, name: str, arguments: list[str]) -> Any:
    """The command's dataclass filled from `arguments`; None where help was asked for, and printed.

    Raises:
        UserError: one line for whatever is wrong with the arguments.
    """
    import tyro

    kind = command.arguments(arguments)
    prog = f"lonepair {name}"
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    wants_help = any(a in ("-h", "--help") for a in arguments)
    said = io.StringIO()
    try:
        # tyro draws a box for what is wrong; ours is one line, made from it.
        with contextlib.nullcontext() if wants_help else contextlib.redirect_stderr(said):
            return tyro.cli(kind, args=arguments, prog=prog, description=kind.__doc__, config=config)
    except SystemExit as stop:
        if not stop.code:
            return None
        raise UserError(f"{_one_line(said.getvalue(), arguments, kind)}; `{prog} --help` lists all flags") from None


def _one_line(box: str, arguments: list[str], kind: type) -> str:
    lines = [re.sub(r"\s+", " ", re.sub(r"[│╭╮╰╯─]", " ", line)).strip() for line in box.splitlines()]
    lines = [line for line in lines if line and not re.fullmatch(r"-+", line)]
    body = lines[1:] or ["the arguments cannot be read"]
    end = next(
        (i for i, line in enumerate(body) if line.startswith(("For full helptext", "Argument helptext"))), len(body)
    )
    text = (
        " ".join(body[:end]).rstrip(".").removeprefix("Error parsing config: ").removeprefix("Error parsing options: ")
    )
    if text.startswith("Missing from"):
        named = [line.split()[0] for line in body[:end] if re.fullmatch(r"--[a-z-]+ \S+|[A-Z]+", line)]
        return "missing: " + " and ".join(named)
    if text.startswith("Unrecognized options"):
        known = ["-o", "-h", "--help", *flags(kind)]
        unknown = next((a for a in arguments if a.startswith("-") and a.split("=")[0] not in known), None)
        if unknown is None:
            return "too many inputs were given"
        near = get_close_matches(unknown.split("=")[0], known, 1)
        return f"flag {unknown.split('=')[0]} is unknown" + (f"; did you mean {near[0]}?" if near else "")
    for pattern, says in _TYRO_SAYS:
        if match := re.search(pattern, text):
            return match.expand(says).replace("'", "")
    return text


_TYRO_SAYS = (
    (r"Error parsing (--\S+): invalid literal for int\(\) with base 10: '(.*)'", r"\1 is \2: give a whole number"),
    (r"Error parsing (--\S+): could not convert string to float: '(.*)'", r"\1 is \2: give a number"),
    (r"invalid choice '(.*)' for argument '(--\S+)'. Expected one of \((.*)\)", r"\2 is \1: choose one of \3"),
    (r"Missing value for argument '(--\S+)'.*", r"\1 needs a value"),
)
"""What tyro says, and what we say for it."""


def _help() -> str:
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join([INTRO, "commands:", *lines, "", "`lonepair COMMAND --help` lists a command's flags."])


class _ToTerminal(logging.Handler):
    """Messages above the progress bar rather than through it."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm = sys.modules.get("tqdm")
        line = self.format(record)
        if tqdm is None:
            print(line, file=sys.stderr)
        else:
            tqdm.tqdm.write(line, file=sys.stderr)


@contextlib.contextmanager
def _messages() -> Any:
    """While a command runs, what the package has to say goes to the terminal."""
    handler = _ToTerminal()
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
