"""A method of another package is loaded by its entry point; a message names what an incomplete one lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import picture
from lonepair.errors import UserError
from lonepair.media.stills.image import write_image
from lonepair.methods import ATTRIBUTES, check_class
from lonepair.methods.base import Method
from lonepair.methods.singan import SinGAN

PLUGIN = Path(__file__).with_name("plugin_method.py")


def test_plugin_of_at_most_54_lines_trains_at_the_first_try(tmp_path: Path) -> None:
    source = PLUGIN.read_text()
    assert len(source.splitlines()) <= 54
    (tmp_path / "plugin_method.py").write_text(source)
    info = tmp_path / "plugin_method-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-method\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lonepair.methods]\nblend = plugin_method:Blend\n")
    write_image(tmp_path / "a.png", picture(40, 40))
    command = [sys.executable, "-m", "lonepair", "train", "a.png", "--method", "blend", "--run", "run", "--steps", "2"]
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.parametrize("attribute", sorted(ATTRIBUTES))
def test_missing_class_attribute_is_named_with_what_to_set(attribute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = next(cls for cls in SinGAN.__mro__ if attribute in vars(cls))
    monkeypatch.delattr(owner, attribute)
    if not hasattr(SinGAN, attribute):
        with pytest.raises(UserError, match=rf"singan\.SinGAN has no attribute '{attribute}'; set {attribute} to "):
            check_class(SinGAN)


def test_class_attribute_of_a_wrong_type_is_named_with_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SinGAN, "accepts_several", "no")
    with pytest.raises(UserError, match=r"SinGAN has accepts_several = 'no'; set accepts_several to True if"):
        check_class(SinGAN)


def test_missing_functions_are_named() -> None:
    class Empty(Method):
        name, domains, config_class, citation = "empty", ("a",), SinGAN.config_class, ""
        inference_nets, uses, accepts_several = (), frozenset({"sample"}), False

    with pytest.raises(UserError, match=r"Empty has no add_stage, .*; define each as"):
        check_class(Empty)
