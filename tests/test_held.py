"""What a recorded graph reads stays where it is, however many other tensors are cached since."""

import gc
import weakref

import torch
from torch import Tensor

from lonepair.held import cached, holding


@cached(2)
def ones(count: int) -> Tensor:
    return torch.ones(count)


def test_what_is_asked_for_while_holding_outlives_the_cache() -> None:
    first, again = ones(1), ones(1)
    assert first is again
    with holding() as held:
        second = ones(2)
    gone, kept = weakref.ref(first), weakref.ref(second)
    del first, again, second
    for count in range(3, 9):
        ones(count)
    gc.collect()
    assert gone() is None
    assert kept() is held[0]
    assert len(held) == 1
