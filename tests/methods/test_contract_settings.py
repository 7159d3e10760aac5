"""Contract of every method: settings, schedules and inputs."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools

import pytest
from method_jobs import every_method, method_at_stage, trained

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.errors import UserError
from tiny_settings import picture, tiny


@every_method
def test_parameter_counts_match_the_networks(name: str) -> None:
    method = trained(name).method
    built = sum(p.numel() for key, p in method.nets.named_parameters() if key.split(".")[0] in method.inference_nets)
    assert sum(method.parameter_counts().values()) == built


@every_method
def test_schedule_is_known_for_every_stage(name: str) -> None:
    method, _ = method_at_stage(name, 0)
    for stage in range(method.plan.stages):
        schedule = method.schedule(stage)
        assert schedule.steps >= 1 or not method.trains
        assert set(schedule.update_order) == set(method.players())


@every_method
def test_presets_are_valid_configs(name: str) -> None:
    config_class = methods.get_method(name).config_class
    assert {"draft", "standard", "full"} <= set(config_class.presets)
    for preset in config_class.presets:
        assert config_class.from_preset(preset).to_dict()


@every_method
def test_every_setting_has_a_docstring(name: str) -> None:
    config = methods.get_method(name).config_class()
    for part in (config, *config.groups().values()):
        tree = ast.parse(inspect.getsource(type(part)).strip()).body[0]
        assert isinstance(tree, ast.ClassDef)
        own = {field.name for field in dataclasses.fields(part)} - set(config.groups())
        for field, following in itertools.pairwise([*tree.body, ast.Pass()]):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.target.id in own:
                assert isinstance(following, ast.Expr), ast.unparse(field)
                assert isinstance(following.value, ast.Constant), ast.unparse(field)


@every_method
def test_wrong_number_of_inputs_names_suitable_methods(name: str) -> None:
    wrong = {"a": picture(20, 20)} if len(methods.get_method(name).domains) == 2 else None
    inputs = wrong or {"a": picture(20, 20), "b": picture(20, 20)}
    fitting = [n for n in methods.names() if len(methods.get_method(n).domains) == len(inputs)]
    with pytest.raises(UserError, match=", ".join(fitting)):
        Job.prepare(inputs, name, "standard", tiny(name))


@pytest.mark.parametrize("name", methods.names())
def test_image_below_the_coarsest_stage_is_refused(name: str) -> None:
    inputs = {domain: picture(10, 40) for domain in methods.get_method(name).domains}
    with pytest.raises(UserError, match="min_side"):
        Job.prepare(inputs, name, "standard", tiny(name))
