"""Messages on the command line: flags in place of settings, --debug, and unexpected errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import list_files, tiny_flags
from lonepair.commands import COMMANDS
from lonepair.commands.main import main, with_flags


def test_debug_shows_the_traceback_of_a_users_mistake(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "none.png", "b.png", "--debug"]) == 2
    output = capsys.readouterr().err
    assert output.startswith("Traceback")
    assert "lonepair: none.png: no such file" in output


def test_only_an_error_of_this_package_is_called_a_bug(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(value: object) -> None:
        raise ZeroDivisionError("first line\nsecond line")

    monkeypatch.setattr("lonepair.media.source.open_source", broken)
    assert main(["translate", "a.png", "b.png"]) == 1
    assert capsys.readouterr().err == (
        "lonepair: unexpected ZeroDivisionError: first line\n"
        f"lonepair: raised by {__name__}; the same command with --debug shows where\n"
    )
    with pytest.raises(ZeroDivisionError):
        main(["translate", "a.png", "b.png", "--debug"])
    monkeypatch.setattr("lonepair.media.source.open_source", None)
    assert main(["translate", "a.png", "b.png"]) == 1
    assert "lonepair: this is a bug in lonepair; the same command with --debug" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("start_stage is 9, the model has 2 stages", "--start-stage is 9, the model has 2 stages"),
        ("mask and original are both missing", "--mask and --original are both missing"),
        ("seed is 1; dilate is 300: choose 0 to 200", "--seed is 1; --dilate is 300: choose 0 to 200"),
        ("o.png exists; give overwrite=True", "o.png exists; give --overwrite"),
        ("the image has 5x5 pixels", "the image has 5x5 pixels"),
    ],
)
def test_messages_name_flags_instead_of_settings(message: str, expected: str) -> None:
    assert with_flags(message, COMMANDS["edit"].form([])) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--synthesis-rounds", "0"], "--synthesis-rounds is 0: choose 1 or more"),
        (["--synthesis-patch-size", "4"], "--synthesis-patch-size is 4: choose an odd number from 3 to 31"),
        (
            ["--synthesis-patch-stride", "8"],
            "--synthesis-patch-stride is 8: choose at most --synthesis-patch-size, 7: larger ones leave gaps",
        ),
    ],
)
def test_wrong_settings_of_patch_synthesis_are_named_by_their_flags_before_a_training(
    here: Path, pair_run: Path, flags: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(pair_run), *flags]) == 2
    assert capsys.readouterr().err == f"lonepair: {expected}\n"
    assert main(["translate", *tiny_flags(), "a.png", "b.png", *flags]) == 2
    assert capsys.readouterr().err == f"lonepair: {expected}\n"
    assert list_files() == {"a.png", "b.png"}
