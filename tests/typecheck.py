"""What checks types and shapes during the tests (named in pyproject.toml): an int passes for a float, as everywhere.

jaxtyping's import hook decorates every function of the package with `jaxtyping.jaxtyped`, which binds the arguments of
each call and checks them twice: that was a third of the time of all tests. When the hook imports this module, `checked`
takes its place. It makes the same checks once.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, TypeCheckError, jaxtyped

ALL_CHECKED, ONE_CHECKED_IN = 50, 50
"""Number of first calls of a function in a test process that are all checked, and the share of later ones. A few
functions of the training loop are called a hundred thousand times: to check all of them was a fifth of the time."""

checker = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=TypeCheckError))


def checked(function: Any = None, *, typechecker: Callable[..., Any] = checker) -> Any:
    """`function`, or a dataclass, with a check of its arguments and its result at each call."""
    if function is None:
        return functools.partial(checked, typechecker=typechecker)
    if inspect.isclass(function):
        own = vars(function).get("__init__")
        if dataclasses.is_dataclass(function) and isinstance(own, FunctionType) and not hasattr(own, "__wrapped__"):
            function.__init__ = checked(own, typechecker=typechecker)
        return function
    if not isinstance(function, FunctionType) or inspect.isgeneratorfunction(function):
        return jaxtyped(function, typechecker=typechecker)

    # Most functions are never called in a test process, and to make a check takes longer than to define the function.
    check: Callable[..., Any] | None = None
    calls = 0

    @functools.wraps(function)
    def checked_at_call(*args: Any, **kwargs: Any) -> Any:
        nonlocal check, calls
        calls += 1
        if calls > ALL_CHECKED and calls % ONE_CHECKED_IN:
            return function(*args, **kwargs)
        if check is None:
            check = _check_of(function, typechecker)
        return check(*args, **kwargs)

    return checked_at_call


def _check_of(function: FunctionType, typechecker: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with a check of its arguments and its result."""
    # Names that do not exist yet, or for mypy only, are not checked.
    hints = {name: _resolved(hint, function.__globals__) for name, hint in function.__annotations__.items()}
    arrays = [array for hint in hints.values() for array in _arrays(hint)]
    # Sizes that are computed from arguments, like "{count}", are jaxtyping's.
    if any("{" in array.dim_str for array in arrays):
        return jaxtyped(function, typechecker=typechecker)  # type: ignore[no-any-return]

    # beartype reads the annotations of the function that it calls; other readers keep those of the source.
    inner = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    functools.update_wrapper(inner, function)
    inner.__kwdefaults__, inner.__annotations__ = function.__kwdefaults__, hints
    check = typechecker(inner)

    @functools.wraps(function)
    def in_context(*args: Any, **kwargs: Any) -> Any:
        with jaxtyped("context"):  # axes of one name have one size within a call
            return check(*args, **kwargs)

    return in_context if arrays else check  # type: ignore[no-any-return]


def _resolved(hint: Any, names: dict[str, Any]) -> Any:
    """The type that `hint`, a string in most cases, stands for among `names`; `Any` where it has none."""
    try:
        return get_type_hints(SimpleNamespace(__annotations__={"hint": hint}), names, include_extras=True)["hint"]
    except Exception:
        return Any


def _arrays(hint: Any) -> list[Any]:
    """All types of arrays with shapes within `hint`."""
    if inspect.isclass(hint) and issubclass(hint, AbstractArray):
        return [hint]
    return [array for part in get_args(hint) for array in _arrays(part)]


jaxtyping.jaxtyped = checked  # type: ignore[assignment]
