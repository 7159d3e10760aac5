"""The command line: find the command, parse its flags from dataclasses, print errors as one line.

Nothing here imports torch before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import signal
import sys
import traceback
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib.metadata import version
from typing import Any

from lonepair.api.stop import RECEIVED, interrupt_on_signal
from lonepair.commands import COMMANDS
from lonepair.commands.flags import HELP_FLAGS, Flag, form_flags, help_text
from lonepair.commands.forms import PREFIX
from lonepair.commands.protect import inputs_protected
from lonepair.compute.memory import is_out_of_memory, memory_text
from lonepair.errors import OutOfMemoryError, UserError, name_flags, printable, printable_lines
from lonepair.storage.files import error_reason
from lonepair.streams import patient_streams

logger = logging.getLogger("lonepair")

FLAGS = {"out": "--run"}
"""Setting of a training -> its flag, where the two names differ."""

INTRO = """\
lonepair learns a generative model from a single image, a pair, or a clip and an image. It translates one into the
style of the other, and generates, animates and edits images like the one.

  lonepair translate clip.mp4 style.png    train, then translate the clip into the image's style
  lonepair translate a.jpg b.jpg           the same for two images
  lonepair generate photo.jpg              train on one image, then generate images like it
  lonepair animate runs/photo -o out.gif   use a trained model; also edit, harmonize, paint, ...
  lonepair demo                            translate a clip made from included photographs
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` names.

    Returns:
        The exit status: 0, 1 for an unexpected error or where stdout could not be written, 2 for a user's mistake, 128
        plus the signal's number where one stopped it: 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    with patient_streams() as (out, _), _messages(), interrupt_on_signal():
        try:
            status = _run(arguments, debug)
        except KeyboardInterrupt as stop:
            print(f"lonepair: {str(stop) or 'interrupted'}", file=sys.stderr)
            status = 128 + (RECEIVED[-1] if RECEIVED else signal.SIGINT)
        out.flush()
        if out.is_broken and out.error is not None:
            print(f"lonepair: stdout cannot be written ({error_reason(out.error)})", file=sys.stderr)
            status = status or 1
    return status


def _run(arguments: list[str], debug: bool) -> int:
    """Run a command; an error is printed as a line."""
    try:
        return _dispatch(arguments)
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, UserError) and not is_out_of_memory(error):
            print(f"lonepair: {printable(name_flags(str(error), FLAGS))}", file=sys.stderr)
            return 2
        if is_out_of_memory(error):
            print(f"lonepair: {printable(_memory_line(error, arguments))}", file=sys.stderr)
            return 2
        if isinstance(error, OSError):  # that no nearer function explains: a name that is too long, a missing disk
            where = f"{printable(error.filename)}: " if error.filename else ""
            print(f"lonepair: {where}{error_reason(error)}; check names, permissions and free space", file=sys.stderr)
            return 2
        if debug:
            raise
        print(f"lonepair: {_unexpected(error)}", file=sys.stderr)
        return 1


def _memory_line(error: Exception, arguments: list[str]) -> str:
    """One line about an error of memory, with a flag of the command to lower."""
    if isinstance(error, OutOfMemoryError):
        return name_flags(str(error), FLAGS)
    flags = {flag.name for flag in form_flags(COMMANDS[arguments[0]].form(arguments[1:]))}
    lower = " or ".join(flag for flag in ("--size", "--max-side", "--count", "--crop-size") if flag in flags)
    return memory_text(error, arguments[0], f"lower {lower}" if lower else "close other programs")


def _unexpected(error: Exception) -> str:
    """Two lines about an error that no `UserError` explains. Only an error of this package is called a bug."""
    text = printable(str(error).splitlines()[0]) if str(error) else ""
    innermost = list(traceback.walk_tb(error.__traceback__))[-1][0]
    module = str(innermost.f_globals.get("__name__", "")).partition(".")[0]
    cause = "this is a bug in lonepair" if module == "lonepair" else f"raised by {module}"
    return f"unexpected {type(error).__name__}: {text}\nlonepair: {cause}; the same command with --debug shows where"


def _dispatch(arguments: list[str]) -> int:
    if arguments[:1] == ["help"] and len(arguments) > 1:
        arguments = [*arguments[1:], "--help"]
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
        raise UserError(f"{name!r} is not a command; {hint}commands: {', '.join(COMMANDS)}")
    command = COMMANDS[name]
    form = command.form([word for word in rest if word not in HELP_FLAGS])
    if any(word in HELP_FLAGS for word in rest):
        print(help_text(name, form, "--help-all" in rest))
        return 0
    try:
        values = parse(form, name, rest)
        with inputs_protected(values):
            return command.run(values)
    except UserError as error:
        kind = OutOfMemoryError if isinstance(error, OutOfMemoryError) else UserError
        raise kind(with_flags(name_flags(str(error), FLAGS), form)) from error


def parse(form: type, name: str, arguments: list[str]) -> Any:
    """The dataclass `form` of the command `name`, filled from `arguments`.

    Raises:
        UserError: one line about what is wrong with the arguments.
    """
    from lonepair.commands.parsing import parse_all, parse_mentioned

    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
        return parse_mentioned(form, name, arguments)
    # tyro prints a box about what is wrong; one line is made from it.
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return parse_all(form, name, arguments)
    except SystemExit:
        line = _one_line(box.getvalue(), arguments, form_flags(form))
        raise UserError(f"{line}; `lonepair {name} --help-all` lists all flags") from None


def with_flags(message: str, form: type) -> str:
    """`message`, which names settings as Python does, with the flags of `form` in their place.

    This is the one place where settings become flags: "start_stage is 9" becomes "--start-stage is 9", and
    "overwrite=True" becomes "--overwrite". Single words change only where a clause starts with them.
    """
    flags = {flag.name[2:].replace("-", "_"): flag.name for flag in form_flags(form) if not flag.is_positional}
    message = _with_synthesis_prefix(message, flags)
    for setting, flag in flags.items():
        no_flag = flag.replace("--", "--no-", 1)
        message = re.sub(rf"\b{setting}=True\b", flag, message)
        message = re.sub(rf"\b{setting}=False\b", no_flag, message)
        if "_" in setting:
            message = re.sub(rf"(?<![\w/.-]){setting}(?![\w/.-])", flag, message)

    def clause(match: re.Match[str]) -> str:
        return re.sub(r"\w+", lambda word: flags.get(word[0], word[0]), match[0])

    return re.sub(r"(?:(?<=^)|(?<=; ))\w+(?: and \w+)*(?= (?:is|are) )", clause, message)


def _with_synthesis_prefix(message: str, settings: Iterable[str]) -> str:
    """`message` with the settings of patch synthesis as the command line names them, if it is about `synthesis`.

    "synthesis: rounds is 0" becomes "synthesis_rounds is 0".
    """
    names = {name.removeprefix(PREFIX) for name in settings if name.startswith(PREFIX)}
    if not names or not message.startswith("synthesis: "):
        return message
    return re.sub(
        r"\w+(?= is )|\w*_\w*",  # a single word such as "rounds" is a setting only where a clause starts with it
        lambda word: PREFIX + word[0] if word[0] in names else word[0],
        message.removeprefix("synthesis: "),
    )


def _one_line(box: str, arguments: list[str], flags: list[Flag]) -> str:
    """tyro's message `box` as one line in the words of this package."""
    lines = [re.sub(r"\s+", " ", re.sub(r"[│╭╮╰╯─]", " ", line)).strip() for line in box.splitlines()]
    lines = [line for line in lines if line and not re.fullmatch(r"-+", line)]
    body = lines[1:] or ["the arguments cannot be read"]
    end = next(
        (i for i, line in enumerate(body) if line.startswith(("For full helptext", "Argument helptext"))), len(body)
    )
    text = re.sub(r"^Error parsing \w+: (?=\S+ )", "", " ".join(body[:end]).rstrip("."))
    if text.startswith("Missing from"):
        missing = [line.split()[0] for line in body[:end] if re.fullmatch(r"--[a-z-]+ \S+|[A-Z|]+", line)]
        return "missing: " + " and ".join(missing)
    if text.startswith("Unrecognized options"):
        known = ["-o", *HELP_FLAGS]
        for flag in flags:
            known.append(flag.usage.split()[-2 if flag.metavar else -1] if not flag.is_positional else flag.name)
        unknown = next((a for a in arguments if a.startswith("-") and a.split("=")[0] not in known), None)
        if unknown is None:
            return "too many inputs"
        near = get_close_matches(unknown.split("=")[0], known, 1)
        return f"flag {unknown.split('=')[0]} is unknown" + (f"; did you mean {near[0]}?" if near else "")
    for pattern, replacement in _TYRO_MESSAGES:
        if match := re.search(pattern, text):
            return match.expand(replacement).replace("'", "")
    return text


_TYRO_MESSAGES = (
    (r"Error parsing (--\S+): invalid literal for int\(\) with base 10: '(.*)'", r"\1 is \2: give a whole number"),
    (r"Error parsing (--\S+): could not convert string to float: '(.*)'", r"\1 is \2: give a number"),
    (r"invalid choice '(.*)' for argument '(\S+)'. Expected one of \((.*)\)", r"\2 is \1: choose one of \3"),
    (r"Missing value for argument '(--\S+)'.*", r"\1 needs a value"),
)
"""Pattern of a message of tyro -> our message."""


def _help() -> str:
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join([INTRO, "commands:", *lines, "", "`lonepair help COMMAND` lists a command's flags."])


class _ToTerminal(logging.Handler):
    """Prints messages above the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm = sys.modules.get("tqdm")
        line = printable_lines(self.format(record))
        if tqdm is None:
            print(line, file=sys.stderr)
        else:
            tqdm.tqdm.write(line, file=sys.stderr)


@contextlib.contextmanager
def _messages() -> Any:
    """Send the messages of the package to the terminal while a command runs."""
    handler = _ToTerminal()
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
