"""The commands: what each takes, and what it does. Their heavy imports wait until they run."""

from lonepair.commands import about, evaluate, train, use
from lonepair.commands.forms import Command as Command
from lonepair.commands.forms import with_method

COMMANDS = {
    "translate": Command(
        "train on a source and a target, then redraw the source", train.translate_arguments, train.run_translate
    ),
    "generate": Command(
        "train on one image, then draw others like it",
        with_method(train.Generate, train.for_samples),
        train.run_generate,
    ),
    "train": Command("train only, and keep the model", with_method(train.Train, train.by_inputs), train.run_train),
    "sample": Command("random images from a model", lambda _: use.Sample, use.run_sample),
    "retarget": Command("the learnt image at another size", lambda _: use.Retarget, use.run_retarget),
    "animate": Command("the learnt image in motion", lambda _: use.Animate, use.run_animate),
    "edit": Command("make an edit seamless", lambda _: use.Edit, use.run_edit),
    "harmonize": Command("blend in a pasted object", lambda _: use.Harmonize, use.run_edit),
    "paint": Command("a painting becomes an image", lambda _: use.Paint, use.run_paint),
    "superres": Command("enlarge with learnt detail", lambda _: use.Superres, use.run_superres),
    "refine": Command("draw an image's fine texture anew", lambda _: use.Refine, use.run_refine),
    "eval": Command("what runs are worth, in numbers and pictures", lambda _: evaluate.Eval, evaluate.run_eval),
    "info": Command("what a model holds; parameter counts", lambda _: about.Info, about.run_info),
    "methods": Command("list the methods", lambda _: about.Methods, about.run_methods),
    "doctor": Command("versions, devices, codecs, memory, what fits", lambda _: about.Doctor, about.run_doctor),
    "demo": Command("the main job on pictures that come along", lambda _: about.Demo, about.run_demo),
}
