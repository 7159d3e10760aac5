"""`lonepair completion`: the scripts, and what bash proposes with its script."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lonepair.commands import COMMANDS
from lonepair.commands.completion import command_flags, flag_choices, spellings
from lonepair.commands.main import main


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_flags_and_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "script").write_text(script("bash", capsys))
    lines = {
        "trans": ["translate"],
        "translate --dev": ["--device"],
        "translate a.png --device cu": ["cuda"],
        "translate --method structural": ["structural-analogy"],
        "sample --no-syn": ["--no-synthesize"],
        "help ed": ["edit"],
        "completion f": ["fish"],
        "translate a": [],  # bash completes names of files
    }
    for line, expected in lines.items():
        words = ["lonepair", *line.split()]
        test = f"source {tmp_path}/script; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _lonepair; "
        result = subprocess.run(
            ["bash", "-c", test + 'printf "%s\\n" "${COMPREPLY[@]}"'], check=True, capture_output=True, text=True
        )
        assert result.stdout.split() == expected, line
        assert not result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_script_has_all_commands_flags_and_values(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    for name, command in COMMANDS.items():
        assert name in text
        for flag in command_flags(command):
            assert all(word.lstrip("-") in text for word in [*spellings(flag), *flag_choices(flag)]), flag.name


def test_a_flag_is_completed_as_it_is_written() -> None:
    flags = {flag.name: flag for flag in command_flags(COMMANDS["translate"])}
    assert spellings(flags["--out"]) == ["-o", "--out"]
    assert spellings(flags["--synthesize"]) == ["--no-synthesize"]
    assert flag_choices(flags["--device"]) == ["auto", "cpu", "cuda", "mps"]
    assert flag_choices(flags["--size"]) == []


def test_an_unknown_shell_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("command", ["translate", "eval"])
def test_help_of_a_command_has_two_spellings(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert main(["help", command]) == 0
    assert capsys.readouterr().out == text
    assert main(["help", "tranlate"]) == 2
    assert "did you mean 'translate'?" in capsys.readouterr().err
