"""`--help` of every command, and the commands `methods` and `info`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lonepair.methods as methods
from lonepair.commands import COMMANDS
from lonepair.commands.main import main
from lonepair.patches.config import SynthesisConfig
from lonepair.train.checkpoint import load_model, save_model


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_top_level_help_lists_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert all(f"\n  {name} " in output for name in COMMANDS)


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"lonepair \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_no_empty_default(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    captured = capsys.readouterr()
    assert f"usage: lonepair {command}" in captured.out
    assert not captured.err
    assert "default: None" not in captured.out
    assert "(default: )" not in captured.out


def test_help_of_translate_shows_the_flags_of_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "--help"]) == 0
    output = capsys.readouterr().out
    titles = re.findall(r"^([A-Z][A-Za-z ]+):$", output, re.M)
    assert titles[:6] == ["Examples", "Inputs", "Translation", "Output", "Run options", "Method settings"]
    assert output.count("  --start-stage ") == 1
    for flag in ("--no-synthesize", "--stage-sheet", "--steps", "--preset", "--seed"):
        assert f"  {flag}" in output
    assert "Do not replace patches" in output
    assert "For training only." in output


@pytest.mark.parametrize("preset", ["draft", "full"])
def test_help_shows_a_methods_settings_at_the_presets_values(preset: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = methods.get_method(methods.DEFAULT).config_class
    main(["translate", "--help", "--preset", preset])
    output = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert f"(default: {config.from_preset(preset).max_side})" in output
    assert "--lambda-structure" in output


@pytest.mark.parametrize("method", methods.names())
def test_help_shows_basic_settings_first_and_all_others_as_expert_settings(
    method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--help-all", "--method", method]) == 0
    panels = dict(re.findall(r"^([A-Z][A-Za-z ]+):\n(.*?)(?=\n\n|\Z)", capsys.readouterr().out, re.M | re.S))
    config = methods.get_method(method).config_class
    names = {
        title: [flag.replace("-", "_") for flag in re.findall(r"^  (?:-\w, )?--(?:no-)?([\w-]+)", panels[title], re.M)]
        for title in ("Method settings", "Expert method settings")
    }
    basic = [name for name in config.basic if name in config.setting_names()]
    assert names["Method settings"] == basic
    assert set(names["Expert method settings"]) == set(config.setting_names()) - set(basic)


def test_help_of_a_switch_that_may_be_left_to_the_model_shows_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--help-all"]) == 0
    assert "--synthesis-texture-contrast {True,False}" in capsys.readouterr().out


def test_help_leaves_expert_settings_to_help_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "--help"]) == 0
    output = capsys.readouterr().out
    assert "--synthesis-rounds" not in output
    assert "Expert method settings" not in output
    count = int(re.search(r"`lonepair translate --help-all` also shows (\d+) expert settings", output)[1])  # type: ignore[index]
    assert main(["translate", "--help-all"]) == 0
    output = capsys.readouterr().out
    expert = output[output.index("Expert method settings:") :]
    assert len(re.findall(r"^  --[a-z0-9-]+(?=\s)", expert, re.M)) == count
    assert "also shows" not in output


def test_methods_lists_every_method_and_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    output = capsys.readouterr().out
    for name in methods.names():
        assert name in output
    assert "(default for a pair)" in output
    assert "presets: draft, standard, full" in output


def test_methods_and_info_say_what_the_presets_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    listed = capsys.readouterr().out
    for name in ("singan", "consingan"):
        assert main(["info", "--method", name, "--preset", "full"]) == 0
        assert "full is what the authors ran for their samples" in capsys.readouterr().out
    assert listed.count("full is what the authors ran for their samples") == 2


def test_info_describes_a_model_file_and_its_run_alike(pair_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = pair_run / "model.safetensors"
    assert main(["info", str(model)]) == 0
    output = capsys.readouterr().out
    assert main(["info", str(pair_run)]) == 0
    assert capsys.readouterr().out == output
    counts = {name: int(n.replace(",", "")) for name, n in re.findall(r"^  (g_.+?) +([\d,]+)$", output, re.M)}
    assert counts == load_model(model)[0].parameter_counts()
    for part in (
        "trained to   stage 2 of 2",
        "input a      a.png",
        "stages a     15x18 17x20",
        "  width              8",
    ):
        assert part in output


def test_info_lists_changed_settings_of_patch_synthesis(
    pair_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def output_of(*words: str) -> str:
        assert main(["info", *words]) == 0
        return capsys.readouterr().out

    model, _ = load_model(pair_run / "model.safetensors")
    assert model.synthesis == SynthesisConfig()
    assert "settings of patch synthesis: all defaults\ncite" in output_of(str(pair_run))
    model.synthesis = SynthesisConfig(rounds=7)
    changed = save_model(tmp_path / "changed.safetensors", model, {"method": "lonepair"})
    title = "settings of patch synthesis; all others have their defaults"
    assert f"{title}\n  rounds             7\ncite" in output_of(str(changed))
    assert f"{title}\n  layout_scale       1.0\n" in output_of("--method", "lonepair-single")
    assert "patch synthesis" not in output_of("--method", "singan")


def test_info_without_a_model_counts_a_methods_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    def total(*words: str) -> int:
        assert main(["info", *words]) == 0
        match = re.search(r"total +([\d,]+)", capsys.readouterr().out)
        assert match is not None
        return int(match[1].replace(",", ""))

    assert abs(total("--method", "representative") / 1.32e6 - 1) < 0.03  # the thesis' own count
    assert total() < 1.32e6
