"""What a new Python has loaded after an import or a help page: no heavy module, so that both are fast."""

from __future__ import annotations

import pytest

from fresh_python import output_of

STEPS = {
    "importing lonepair": "import lonepair; dir(lonepair)",
    "listing uses": "from lonepair.apply.base import uses; assert 'translate' in uses()",
    "importing the settings of patch synthesis": "import lonepair.patches.config",
    "every help page": (
        "from lonepair.commands.main import main\n"
        "from lonepair.commands import COMMANDS\n"
        "for words in (['--help'], *([name, '--help'] for name in COMMANDS)): assert main(words) == 0"
    ),
    "importing the command of previews": "import lonepair.commands.preview",
    "importing the report of doctor": "import lonepair.commands.doctor",
}
HEAVY = {"torch", "numpy", "PIL", "av", "ray", "fsspec", "gradio", "fastapi"}


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """Step -> heavy modules that are loaded after it and all steps before it."""
    prints = f"\nprint('loaded', *({HEAVY} & set(sys.modules)))\n"
    lines = output_of("import sys\n" + "".join(code + prints for code in STEPS.values())).splitlines()
    names = [set(line.split()[1:]) for line in lines if line.startswith("loaded")]
    return dict(zip(STEPS, names, strict=True))


@pytest.mark.parametrize("step", STEPS)
def test_no_heavy_module_is_loaded_by(step: str, loaded: dict[str, set[str]]) -> None:
    assert loaded[step] == set()
