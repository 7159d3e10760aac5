"""Every kind of bad input, each as one command line or Python call. `refusals.run` runs one.

Sorted by what is wrong: inputs, flags, outputs, model files, uses of a model, resuming, training, Python calls.
"""

from __future__ import annotations

from pathlib import Path

import torch
from limited_machines import absent_device, mounted, without_encoder, without_tensorboard
from refusals import Case
from safetensors.torch import save_file

from corrupt_files import (
    STATE,
    black_mask,
    changed_header,
    clip_without_frames,
    cut_copy,
    cut_frame,
    cut_jpeg,
    cut_video,
    decompression_bomb,
    flipped_copy,
    flipped_state,
    frames_folder,
    image_file,
    other_source,
    pickled_model,
    pickled_state,
    sound_file,
    text_folder,
    write_file,
)

AB = "lonepair translate a.png b.png"
CASES = [
    # inputs
    Case("no such file", "lonepair translate nothing.png b.png", "nothing.png: no such file"),
    Case("empty file", "lonepair translate empty.png b.png", "is empty (0 bytes)", write_file("empty.png", b"")),
    Case("text named .png", "lonepair translate t.png b.png", "neither an image", write_file("t.png", b"hello " * 40)),
    Case("text named .mp4", "lonepair translate t.mp4 b.png", "neither an image", write_file("t.mp4", b"hello " * 40)),
    Case("truncated PNG", "lonepair translate cut.png b.png", "cut short", cut_copy("a.png", "cut.png", 0.5)),
    Case("truncated PNG as target", "lonepair translate a.png cut.png", "cut short", cut_copy("a.png", "cut.png", 0.5)),
    Case("truncated JPEG", "lonepair translate cut.jpg b.png", "cut short", cut_jpeg),
    Case("truncated MP4", "lonepair translate cut.mp4 b.png", "cut short", cut_video),
    Case("clip without frames", "lonepair translate none.mp4 b.png", "no", clip_without_frames),
    Case("sound alone", "lonepair translate sound.wav b.png", "holds only sound", sound_file),
    Case(
        "HEIC photo",
        "lonepair translate photo.heic b.png",
        "HEIC",
        write_file("photo.heic", b"\0\0\0\x18ftypheic" + bytes(200)),
    ),
    Case("decompression bomb", "lonepair translate bomb.png b.png", "megapixels", decompression_bomb),
    Case("1x1 image", "lonepair translate one.png b.png", "1x1 pixels are too few", image_file("one.png", 1, 1)),
    Case("side below min_side", "lonepair translate s.png b.png", "needs 14", image_file("s.png", 13, 40)),
    Case("long and narrow", "lonepair translate s.png b.png", "set --max-side to 140", image_file("s.png", 15, 150)),
    Case("target is a clip", "lonepair translate a.png clip.mp4", "the target must be an image"),
    Case("folder without images", "lonepair translate notes b.png", "holds no images", text_folder("notes", "a.txt")),
    Case(
        "frames of unequal size",
        "lonepair train frames b.png",
        "give frames of one size",
        frames_folder((20, 20), (20, 21)),
    ),
    Case(
        "a folder of unlike images without a model",
        "lonepair translate frames b.png",
        "2 sources need a trained model as the last input",
        frames_folder((20, 20), (20, 21)),
        may_change="nothing",
    ),
    Case(
        "a batch without a model", f"{AB} a.png", "2 sources need a trained model as the last input, and a.png is none"
    ),
    Case(
        "saved frames of a batch",
        "lonepair translate a.png b.png model.safetensors --save-frames f",
        "--save-frames is for one source",
    ),
    Case(
        "a batch into a file",
        "lonepair translate a.png b.png model.safetensors -o o.png",
        "several sources need a folder",
    ),
    Case(
        "a frame that cannot be decoded",
        "lonepair translate frames b.png",
        "1.jpg: the image is damaged or cut short",
        cut_frame,
        may_change="nothing",
    ),
    Case("file name too long", f"lonepair translate {'a' * 300}.png b.png", "too long"),
    # flags and names of commands, methods and presets
    Case("unknown command", "lonepair tranlate a.png b.png", "did you mean 'translate'?"),
    Case("unknown flag", f"{AB} --setps 5", "did you mean --steps?"),
    Case("unknown method", f"{AB} --method representativ", "did you mean 'representative'?"),
    Case("unknown preset", f"{AB} --preset drat", "choose one of draft, standard, full"),
    Case("no target", "lonepair translate a.png", "missing: TARGET"),
    Case("too many inputs", "lonepair train a.png b.png a.png", "too many inputs"),
    Case("a word where a number belongs", f"{AB} --steps many", "--steps is many: give a whole number"),
    Case("a number that is not a number", f"{AB} --lr nan", "--lr is nan"),
    Case("number out of range", f"{AB} --stages 13", "--stages is 13: choose 2 to 12"),
    Case("one mask for two styles", f"{AB} a.png --masks a.png", "--masks has 1 masks for 2 styles: give one for each"),
    Case("masks of one style", f"{AB} --masks a.png", "1 style with --masks: give two or more, or one with --mask"),
    Case(
        "a region that marks nothing",
        f"{AB} a.png --masks a.png m.png",
        "mask 2 of --masks is m.png, which marks no pixel",
        black_mask,
    ),
    Case("reverse of several styles", f"{AB} a.png --masks a.png b.png --reverse", "--reverse is for one style"),
    Case(
        "both sheets", f"{AB} --dial-sheet --stage-sheet", "--dial-sheet and --stage-sheet are both given: choose one"
    ),
    Case(
        "dial sheet of a method without synthesis",
        f"{AB} --method representative --dial-sheet",
        "--dial-sheet: 'representative' stores no target",
    ),
    Case("structure beyond 1, before a training", f"{AB} --structure 7", "--structure is 7.0: choose 0 to 1"),
    Case(
        "mask that marks nothing, before a training", f"{AB} --mask m.png", "--mask is m.png, which marks", black_mask
    ),
    Case("missing mask of a training", f"{AB} --mask no.png", "no.png: no such file"),
    Case(
        "a clip as the mask of an image", f"{AB} --mask clip.mp4", "--mask is clip.mp4, a clip, and a.png is an image"
    ),
    Case(
        "masks of fewer frames than the clip",
        "lonepair translate clip.mp4 model.safetensors --mask frames",
        "--mask is frames with 2 frames, clip.mp4 has 3",
        frames_folder((20, 24), (20, 24)),
    ),
    Case("start stage beyond the planned stages", f"{AB} --start-stage 2", "--start-stage is 2"),
    Case("negative time limit", f"{AB} --max-minutes -1", "--max-minutes is -1.0: choose 0 or more"),
    Case("negative seed", f"{AB} --seed -1", "--seed is -1"),
    Case("flag without a value", f"{AB} --steps", "--steps needs a value"),
    Case("unknown choice", f"{AB} --dtype half", "choose one of auto, float32, bfloat16"),
    Case("absent device", f"{AB} --device {absent_device()}", "is not available"),
    Case("size that is not a size", f"{AB} --size big", "--size big: not a size"),
    Case("size of zero", f"{AB} --size 0x10", "--size 0x10: both sides"),
    Case("size too large", f"{AB} --size 99999", "--size 99999: both sides"),
    Case("TensorBoard that is not installed", f"{AB} --tensorboard", "pip install", environment=without_tensorboard),
    # outputs
    Case("output exists", f"{AB} -o a.png", "a.png: the file exists already; give --overwrite"),
    Case("contact sheet exists", f"{AB} -o o.png", "o-sheet.png: the file exists", write_file("o-sheet.png", b"mine")),
    Case("output of unknown kind", f"{AB} -o out.xyz", "use one of .png"),
    Case("image suffix for a clip", "lonepair translate clip.mp4 b.png -o out.jpg", "use one of .mp4"),
    Case("output without a suffix", f"{AB} -o out", "the name has no suffix"),
    Case("output in a missing folder", f"{AB} -o no/out.png", "the folder no does not exist"),
    Case("output below a file", f"{AB} -o b.png/out.png", "the folder b.png does not exist"),
    Case("output is a folder", f"{AB} -o f.png", "f.png: is a folder", text_folder("f.png")),
    Case("output name too long", f"{AB} -o {'o' * 300}.png", "too long"),
    Case("run below a file", f"{AB} --run b.png/run", "cannot create the run's folder"),
    Case("run without a name", f"{AB} --run /", "cannot be a run's folder"),
    Case("frames of an image", f"{AB} --save-frames f", "has no frames to save"),
    Case(
        "frames into a folder in use",
        "lonepair translate clip.mp4 b.png --save-frames f",
        "f: the folder is not empty",
        text_folder("f", "mine.txt"),
    ),
    Case(
        "missing encoder",
        "lonepair translate clip.mp4 b.png",
        "encoder libx264 is missing",
        environment=without_encoder,
    ),
    Case("read-only disk", f"{AB} -o disk/o.png", "read-only", environment=lambda: mounted("ro")),
    Case("output on a full disk", f"{AB} -o disk/o.png", "no space", environment=lambda: mounted("size=64k", 9**9)),
    Case("run on a full disk", f"{AB} --run disk/run", "no space", environment=lambda: mounted("size=64k", 9**9)),
    Case(
        "disk that fills up in training",
        f"{AB} --run disk/run",
        "no space",
        environment=lambda: mounted("size=64k"),
        may_change="disk/run",
    ),
    Case(
        "disk that fills up at the output",
        "lonepair translate a.png model.safetensors -o disk/o.png --size 200",
        "no space",
        environment=lambda: mounted("size=8k"),
    ),
    # model files
    Case("model is missing", "lonepair translate a.png none.safetensors", "none.safetensors: no such file"),
    Case(
        "text named .safetensors",
        "lonepair info bad.safetensors",
        "not a safetensors file, or an incomplete one",
        write_file("bad.safetensors", b"hi"),
    ),
    Case(
        "pickle named .safetensors",
        "lonepair translate a.png bad.safetensors",
        "not a safetensors file, or an incomplete one",
        pickled_model,
    ),
    Case(
        "safetensors of another program",
        "lonepair info bad.safetensors",
        "not a lonepair model",
        lambda: save_file({"x": torch.zeros(3)}, "bad.safetensors"),
    ),
    Case(
        "model cut short",
        "lonepair translate a.png bad.safetensors",
        "incomplete",
        cut_copy("model.safetensors", "bad.safetensors", 0.9),
    ),
    Case(
        "model with a flipped bit",
        "lonepair translate a.png bad.safetensors",
        "its checksum does not match",
        flipped_copy("model.safetensors", "bad.safetensors", 0.8),
    ),
    Case(
        "model with a changed header",
        "lonepair info bad.safetensors",
        "its checksum does not match",
        changed_header(fits=False, stage=0),
    ),
    Case(
        "model of a later version",
        "lonepair translate a.png bad.safetensors",
        "has format version 99, this lonepair reads version",
        changed_header(format_version=99),
    ),
    Case(
        "model of an unknown method",
        "lonepair translate a.png bad.safetensors",
        "method 'cubism' is unknown",
        changed_header(method="cubism"),
    ),
    Case(
        "start stage that the model lacks", "lonepair translate a.png model.safetensors --start-stage 7", "has 2 stages"
    ),
    Case("folder without a model", "lonepair info runs", "runs/model.safetensors: no such file"),
    # uses of a model, and training on one image
    Case(
        "one image for a method of pairs",
        "lonepair train a.png --method representative",
        "methods that accept it: consingan, lonepair-single, singan",
    ),
    Case(
        "a pair for a method of one image",
        "lonepair train a.png b.png --method singan",
        "lonepair, repres",
    ),
    Case("a clip for a method of one image", "lonepair train clip.mp4 --method singan", "learns from one image"),
    Case(
        "a model of one image to translate with",
        "lonepair translate a.png one.safetensors",
        "'singan' does not support translate",
    ),
    Case("a model of a pair to animate", "lonepair animate model.safetensors", "'lonepair' does not support animate"),
    Case(
        "a model of a pair to edit with",
        "lonepair edit model.safetensors a.png --mask b.png",
        "'lonepair' does not support edit",
    ),
    Case(
        "a method without super-resolution",
        "lonepair superresolve other.safetensors a.png",
        "does not support superresolve; methods that do: singan",
    ),
    Case("samples smaller than min_side", "lonepair sample one.safetensors --size 5x40", "--size is 5x40 (width"),
    Case("zero samples", "lonepair sample one.safetensors --count 0", "--count is 0"),
    Case(
        "start stage of samples that the model lacks",
        "lonepair sample one.safetensors --start-stage 9",
        "--start-stage is 9",
    ),
    Case(
        "retarget to a size that is not a size",
        "lonepair retarget one.safetensors --size wide",
        "--size wide: not a size",
    ),
    Case("retarget without a size", "lonepair retarget one.safetensors", "missing: --size;"),
    Case("edit without a mask", "lonepair edit one.safetensors b.png", "--mask and --original are both missing"),
    Case("edit with a missing mask", "lonepair edit one.safetensors b.png --mask m.png", "m.png: no such file"),
    Case("mask that marks nothing", "lonepair edit one.safetensors b.png --mask m.png", "marks no pixel", black_mask),
    Case("edit that changes nothing", "lonepair edit one.safetensors a.png --original a.png", "does not differ"),
    Case("edit of a clip", "lonepair edit one.safetensors clip.mp4 --original a.png", "clip.mp4: is a clip"),
    Case("negative dilation", "lonepair harmonize one.safetensors b.png --mask b.png --dilate -1", "--dilate is -1"),
    Case("palette of one color", "lonepair paint one.safetensors b.png --colors 1", "--colors is 1: choose 2 to 256"),
    Case("factor below one", "lonepair superresolve one.safetensors a.png --factor 0.5", "--factor is 0.5"),
    Case("factor too large", "lonepair superresolve one.safetensors a.png --factor 9999", "megapixels"),
    Case("alpha of zero", "lonepair animate one.safetensors --alpha 0", "--alpha is 0.0: choose a number between"),
    Case("animation without frames", "lonepair animate one.safetensors --frames 0", "--frames is 0"),
    Case("animation as a JPEG", "lonepair animate one.safetensors -o out.jpg", "use one of"),
    Case("animation at a rate of zero", "lonepair animate one.safetensors --rate 0", "--rate is 0"),
    Case("missing warm start", "lonepair train a.png --warm-start no.safetensors", "no.safetensors: no such"),
    Case("warm start of another method", "lonepair train a.png --warm-start one.safetensors", "start from a model of"),
    Case("composite without a warm start", "lonepair train a.png --task editing --composite b.png", "--warm-start"),
    Case(
        "composite of another aspect",
        "lonepair train a.png --task editing --composite b.png --warm-start other.safetensors",
        "the composite has 26x20 pixels, the image 20x24",
    ),
    Case(
        "composite for a generating task",
        "lonepair train a.png --composite a.png --warm-start other.safetensors",
        "a composite is for harmonization and editing",
    ),
    Case("unknown task", "lonepair train a.png --task cooking", "cooking"),
    Case("samples into a file", "lonepair sample one.safetensors -o a.png", "a.png"),
    Case("edit of a number", "one().edit(7, 'b.png')", "is not an image"),
    Case("samples from a start stage that the model lacks", "one().sample(1, start_stage=5)", "start_stage is 5"),
    Case("refining a small image", "one().refine(torch.zeros(3, 5, 40))", "both sides need at least"),
    # resuming
    Case("resume without a run", "lonepair train b.png a.png --resume", "no run to resume there"),
    Case("resume with other settings", "lonepair train a.png b.png --resume --steps 4", "steps was 3, is now 4"),
    Case("resume with another source", "lonepair train a.png b.png --resume", "input a has changed", other_source),
    Case(
        "resume without config.json",
        "lonepair train a.png b.png --resume",
        "no readable config.json",
        lambda: Path("runs/a-to-b/config.json").unlink(),
    ),
    Case(
        "state cut short",
        "lonepair train a.png b.png --resume",
        "cannot read the state",
        cut_copy(STATE, STATE, 0.7),
        may_change="runs/a-to-b",
    ),
    Case(
        "state with a flipped bit",
        "lonepair train a.png b.png --resume",
        "its checksum does not match",
        flipped_state,
        may_change="runs/a-to-b",
    ),
    Case(
        "state that is a malicious pickle",
        "lonepair train a.png b.png --resume",
        "holds more than numbers",
        pickled_state,
        may_change="runs/a-to-b",
    ),
    # training
    Case("training that diverges", f"{AB} --lambda-structure 1e9", "training diverged", may_change="runs/a-to-b-2"),
    # Python calls
    Case("NaN tensor", "lp.fit_pair(torch.full((3, 24, 20), nan), 'b.png', **tiny)", "not finite"),
    Case("NaN array", "lp.fit_pair(np.full((24, 20, 3), nan), 'b.png', **tiny)", "not finite"),
    Case("wrong number of channels", "lp.fit_pair(torch.zeros(2, 24, 20), 'b.png', **tiny)", "c = 1, 3 or 4"),
    Case("channels last", "lp.fit_pair(torch.zeros(24, 20, 3), 'b.png', **tiny)", "channels last"),
    Case("values 0 to 255", "lp.fit_pair(torch.full((3, 24, 20), 255.0), 'b.png', **tiny)", "give uint8 0..255"),
    Case("a dict in place of an image", "lp.fit_pair({}, 'b.png', **tiny)", "a dict is not an image"),
    Case("clip of no frames", "lp.fit_pair(torch.zeros(0, 3, 24, 20), 'b.png', **tiny)", "no frames"),
    Case("unknown setting", "lp.fit_pair('a.png', 'b.png', color=1, **tiny)", "no such setting"),
    Case("resume without a folder", "lp.fit_pair('a.png', 'b.png', resume=True, **tiny)", "give `out`"),
    Case(
        "unknown precision",
        "lp.load('model.safetensors', 'cpu', 'half')",
        "dtype is 'half': choose one of auto, float32, bfloat16",
    ),
    Case("start stage beyond the last", "model().translate('a.png', start_stage=2)", "the model has 2 stages"),
    Case("output of zero pixels", "model().translate('a.png', size=(0, 5))", "need at least 1 pixel"),
    Case("source smaller than trained", "model().translate(torch.zeros(3, 5, 5))", "needs 14"),
    Case("no samples", "model().sample(0)", "count is 0: choose 1 or more"),
    Case("negative seed of a translation", "model().translate('a.png', seed=-1)", "seed is -1"),
    Case("model saved under another suffix", "model().save('model.pt')", "use one of .safetensors"),
]
