"""Conversion of checkpoints of the authors' code. Their networks are written again here, with their names."""

from __future__ import annotations

import argparse
import os
import sys
import types
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lonepair as lp
from lonepair.commands.main import main
from lonepair.methods.base import Method
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image
from lonepair.train.checkpoint import load_model

Size = tuple[int, int]


class ConvBlock(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, padding: int, norm: bool = True, slope: float = 0.2) -> None:
        super().__init__()
        self.add_module("conv", nn.Conv2d(inputs, outputs, 3, padding=padding))
        if norm:
            self.add_module("norm", nn.BatchNorm2d(outputs))
        self.add_module("LeakyRelu", nn.LeakyReLU(slope, inplace=True))


class StageNetwork(nn.Module):
    """Head, three blocks and tail, as SinGAN's and Structural Analogy's generators."""

    def __init__(self, width: int, padding: int) -> None:
        super().__init__()
        self.is_cuda = False
        self.head = ConvBlock(3, width, padding)
        self.body = nn.Sequential()
        for number in range(1, 4):
            self.body.add_module(f"block{number}", ConvBlock(width, width, padding))
        self.tail = nn.Sequential(nn.Conv2d(width, 3, 3, padding=padding), nn.Tanh())
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                for tensor in (part.weight.data, part.running_var):
                    assert tensor is not None
                    tensor.uniform_(0.5, 1.5)
                part.running_mean.normal_()  # type: ignore[union-attr]

    def forward(self, image: Tensor) -> Tensor:
        output: Tensor = self.tail(self.body(self.head(image)))
        return output


class GeneratorConcatSkip2CleanAdd(StageNetwork): ...


class Generator(StageNetwork): ...


class Generator_no_res(StageNetwork):  # noqa: N801 - the authors' name
    ...


class GrowingGenerator(nn.Module):
    """ConSinGAN's generator for `generation`."""

    def __init__(self, width: int, stages: int, slope: float) -> None:
        super().__init__()
        self.opt = argparse.Namespace(train_mode="generation", nfc=width, device=torch.device("cpu"))
        self._pad = nn.ZeroPad2d(1)
        self._pad_block = nn.ZeroPad2d(2)
        self.head = ConvBlock(3, width, 0, False, slope)
        self.body = nn.ModuleList()
        for _ in range(stages):
            stage = nn.Sequential()
            for number in range(3):
                stage.add_module(f"block{number}", ConvBlock(width, width, 0, False, slope))
            self.body.append(stage)
        self.tail = nn.Sequential(nn.Conv2d(width, 3, 3), nn.Tanh())

    def forward(self, noises: Sequence[Tensor], sizes: Sequence[Size], amplitudes: Sequence[float]) -> Tensor:
        def enlarge(features: Tensor, h: int, w: int) -> Tensor:
            return F.interpolate(features, size=(h, w), mode="bicubic", align_corners=True)

        features = self.head(self._pad(noises[0]))
        features = self.body[0](self._pad_block(enlarge(features, features.shape[2] + 2, features.shape[3] + 2)))
        for stage in range(1, len(self.body)):
            h, w = sizes[stage]
            noisy = enlarge(features, h + 6, w + 6) + amplitudes[stage] * noises[stage]
            features = self.body[stage](noisy) + enlarge(features, h, w)
        image: Tensor = self.tail(self._pad(features))
        return image


@pytest.fixture(autouse=True)
def authors_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes under the names of the authors' modules, while files are written."""
    classes = {
        "SinGAN.models": (GeneratorConcatSkip2CleanAdd,),
        "ConSinGAN.models": (GrowingGenerator,),
        "models": (Generator, Generator_no_res),
    }
    for name, members in classes.items():
        module = types.ModuleType(name)
        # A package, as pickle imports it by its parts.
        if "." in name:
            package = types.ModuleType(name.partition(".")[0])
            package.__path__ = []  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, package.__name__, package)
        for member in members:
            monkeypatch.setattr(member, "__module__", name)
            setattr(module, member.__name__, member)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(ConvBlock, "__module__", "SinGAN.models")
    monkeypatch.setattr(sys.modules["SinGAN.models"], "ConvBlock", ConvBlock, raising=False)
    torch.manual_seed(0)


def converted(folder: Path, *flags: str) -> Method:
    """The model that the command writes, read again."""
    out = folder.with_suffix(".safetensors")
    assert main(["convert", str(folder), "-o", str(out), *flags]) == 0
    method = load_model(out)[0]
    assert lp.load(out, "cpu").sample(1, seed=1)
    return method


SIZES = [(12, 14), (16, 19), (21, 25)]


def save_singan(folder: Path, legacy: bool = False, stages_apart: bool = False) -> list[StageNetwork]:
    """A model of SinGAN's code in `folder`; `legacy` is the format of torch 1.4."""
    folder.mkdir()
    generators = [GeneratorConcatSkip2CleanAdd(4, 0).eval() for _ in SIZES]
    noises = [torch.zeros(1, 3, h + 10, w + 10) for h, w in SIZES]
    noises[0] = F.pad(torch.randn(1, 1, *SIZES[0]).expand(1, 3, -1, -1), [5] * 4)
    lists = {"Gs": generators, "Zs": noises, "NoiseAmp": [1, torch.tensor(0.2), torch.tensor(0.1)]}
    for name, values in lists.items():
        torch.save(values, folder / f"{name}.pth", _use_new_zipfile_serialization=not legacy)
    for stage, generator in enumerate(generators if stages_apart else []):
        (folder / str(stage)).mkdir()
        torch.save(generator.state_dict(), folder / str(stage) / "netG.pth", _use_new_zipfile_serialization=not legacy)
    return generators


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("legacy", [False, True])
def test_a_converted_singan_makes_the_same_images(tmp_path: Path, legacy: bool) -> None:
    """Files of torch 1.4 name classes in a way that cannot be read safely; those of single stages can."""
    generators = save_singan(tmp_path / "stone", legacy, stages_apart=legacy)
    method = converted(tmp_path / "stone")
    assert (method.name, method.plan.sizes(SIZES[-1])) == ("singan", SIZES)
    noises = method.noise_maps(SIZES, RandomStream(1))  # type: ignore[attr-defined]
    image = torch.zeros(1, 3, *SIZES[0])
    with torch.no_grad():
        for amplitude, generator, noise, size in zip((1, 0.2, 0.1), generators, noises, SIZES, strict=True):
            image = resize_image(image, size)
            image = generator(amplitude * F.pad(noise, [5] * 4) + F.pad(image, [5] * 4)) + image
        assert torch.allclose(method.render(noises, SIZES), image, atol=1e-5)  # type: ignore[attr-defined]
    fixed = torch.load(tmp_path / "stone" / "Zs.pth", weights_only=True)[0][:, :1, 5:-5, 5:-5]
    assert torch.equal(method.nets["reconstruction_noise"].value, fixed)


def test_a_converted_consingan_makes_the_same_images(tmp_path: Path) -> None:
    folder = tmp_path / "bridge"
    folder.mkdir()
    generator, amplitudes = GrowingGenerator(6, 3, 0.1), [1, torch.tensor(0.3), torch.tensor(0.2)]
    fixed = [torch.rand(1, 3, *SIZES[0]), *(torch.randn(1, 6, h + 6, w + 6) for h, w in SIZES[1:])]
    for name, value in {"G": generator, "fixed_noise": fixed, "noise_amp": amplitudes}.items():
        torch.save(value, folder / f"{name}.pth")
    method = converted(folder)
    assert (method.name, method.config.leaky_slope, method.plan.sizes(SIZES[-1])) == ("consingan", 0.1, SIZES)
    noises = method.noise_maps(SIZES, RandomStream(1))  # type: ignore[attr-defined]
    with torch.no_grad():
        expected = generator(noises, SIZES, [1, 0.3, 0.2])
        assert torch.allclose(method.render(noises, SIZES), expected, atol=1e-5)  # type: ignore[attr-defined]
    assert torch.equal(method.nets["reconstruction_input"].value, fixed[0])


def test_a_converted_structural_analogy_makes_the_same_images(tmp_path: Path) -> None:
    """18 to 40 pixels are five stages; the fifth is twice as wide, and the last two replace the image."""
    folder, amplitudes = tmp_path / "eggs", [0.1, 0.2, 0.3, 0.2, 0.1]
    folder.mkdir()
    generators = {}
    for domain in "ab":
        classes = [Generator, Generator, Generator, Generator_no_res, Generator_no_res]
        generators[domain] = [kind(width, 1) for kind, width in zip(classes, (4, 4, 4, 4, 8), strict=True)]
        torch.save(generators[domain], folder / f"Gs_{domain}.pth")
        torch.save([0.1, *map(torch.tensor, amplitudes[1:])], folder / f"NoiseAmp_{domain}.pth")
    method = converted(folder, "--image-size", "40", "--min-size", "18")
    assert method.name == "structural-analogy"
    sizes = method.plan.sizes((40, 40))
    source = torch.rand(1, 3, 40, 40) * 2 - 1
    rng, again = RandomStream(2), RandomStream(2)
    with torch.no_grad():
        translation = method.translate(source, sizes, "b", -1, rng)
        assert torch.allclose(translation, generators["b"][-1](source), atol=1e-5)
        sample, image = method.sample({"a": sizes, "b": sizes}, rng), torch.zeros(1, 3, *sizes[0])
        noises = [again.feature_noise(3, *size) for size in sizes]
        for stage, (amplitude, generator) in enumerate(zip(amplitudes, generators["a"], strict=True)):
            image = resize_image(image, sizes[stage])
            output = generator(image + amplitude * noises[stage])
            image = output + image if stage < 3 else output
        assert torch.allclose(sample["a"], image, atol=1e-5)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["EVIL"],)


def test_a_checkpoint_with_code_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVIL", str(tmp_path / "ran"))
    save_singan(tmp_path / "stone")
    torch.save([Evil()], tmp_path / "stone" / "Gs.pth")
    assert main(["convert", str(tmp_path / "stone")]) == 2
    error = capsys.readouterr().err
    assert "cannot be read without running code from it" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "ran").exists()


def break_nothing(folder: Path) -> None:
    (folder / "Gs.pth").unlink()


def break_stages(folder: Path) -> None:
    torch.save([1, 2], folder / "NoiseAmp.pth")


def break_width(folder: Path) -> None:
    torch.save([GeneratorConcatSkip2CleanAdd(width, 0) for width in (4, 4, 6)], folder / "Gs.pth")


def break_sizes(folder: Path) -> None:
    torch.save([torch.zeros(1, 3, h + 10, w + 10) for h, w in ((12, 40), (16, 19), (21, 25))], folder / "Zs.pth")


def break_values(folder: Path) -> None:
    torch.save([torch.zeros(2)] * 3, folder / "NoiseAmp.pth")


def break_shapes(folder: Path) -> None:
    torch.save([1.0, 1.0, 1.0], folder / "Zs.pth")


def break_weights(folder: Path) -> None:
    generators = [GeneratorConcatSkip2CleanAdd(4, 0) for _ in SIZES]
    generators[1].tail[0].weight.data[0] = float("nan")  # type: ignore[union-attr, operator]
    torch.save(generators, folder / "Gs.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (break_nothing, "has no Gs.pth (SinGAN)"),
        (break_stages, "has 2 stages, the generators have 3"),
        (break_width, "tensor 'g.stages.2.body.0.0.weight' has the shape [6, 3, 3, 3], its settings need [4"),
        (break_sizes, "are those of no pyramid"),
        (break_values, "only models with the layers of the authors' code can be converted"),
        (break_shapes, "hold other values than those of that code"),
        (break_weights, "holds NaN or infinite weights"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line(
    change: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_singan(tmp_path / "stone")
    change(tmp_path / "stone")  # type: ignore[operator]
    assert main(["convert", str(tmp_path / "stone"), "-o", str(tmp_path / "out.safetensors")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.safetensors").exists()
