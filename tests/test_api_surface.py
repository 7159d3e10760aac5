"""The public names of `lonepair` are those of api_surface.txt: a name is added or taken away knowingly."""

import difflib
from pathlib import Path

import lonepair

LIST = Path(__file__).with_name("api_surface.txt")


def test_public_names_are_the_listed_ones() -> None:
    listed, public = LIST.read_text(encoding="utf-8").split(), sorted(lonepair.__all__)
    diff = "\n".join(difflib.unified_diff(listed, public, LIST.name, "lonepair.__all__", lineterm=""))
    assert not diff, f"change {LIST.name} too if this is meant:\n{diff}"


def test_every_public_name_is_there() -> None:
    missing = [name for name in lonepair.__all__ if not hasattr(lonepair, name)]
    assert not missing, f"in lonepair.__all__, but not in lonepair: {', '.join(missing)}"


def test_no_module_takes_a_public_names_place() -> None:
    """Importing lonepair.NAME, which any function may do, sets the package's NAME to the module."""
    folder = Path(lonepair.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert not modules & set(lonepair.__all__)


def test_dir_lists_every_public_name() -> None:
    assert set(lonepair.__all__) <= set(dir(lonepair))
