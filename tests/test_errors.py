"""Messages that name settings for Python and flags for the command line."""

from lonepair.errors import name_flags


def test_settings_in_backticks_become_flags() -> None:
    assert name_flags("leave out `resume`", {}) == "leave out --resume"
    assert name_flags("give `warm_start`", {}) == "give --warm-start"
    assert name_flags("choose another place as `out`", {"out": "--run"}) == "choose another place as --run"
    assert name_flags("run `pip install x`", {}) == "run `pip install x`"
