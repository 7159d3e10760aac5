"""A method of another package is loaded by its entry point; a message names what an incomplete one lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from lonepair.errors import UserError
from lonepair.media.stills.image import write_image
from lonepair.methods import ATTRIBUTES, check_class
from lonepair.methods.base import Method
from lonepair.methods.singan import SinGAN
from tiny_settings import picture
from warm_processes import start_module

PLUGIN = Path(__file__).with_name("plugin_method.py")


def test_plugin_of_at_most_54_lines_trains_at_the_first_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = PLUGIN.read_text()
    assert len(source.splitlines()) <= 54
    (tmp_path / "plugin_method.py").write_text(source)
    info = tmp_path / "plugin_method-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-method\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lonepair.methods]\nblend = plugin_method:Blend\n")
    write_image(tmp_path / "a.png", picture(40, 40))
    monkeypatch.chdir(tmp_path)
    words, printed = ["train", "a.png", "--method", "blend", "--run", "run", "--steps", "2"], tmp_path / "printed"
    process = start_module("lonepair", words, printed, printed, tmp_path)
    process.join()
    assert process.exitcode == 0, printed.read_text()
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
