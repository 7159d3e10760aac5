"""Steps: players that are updated in parallel."""

from __future__ import annotations

import torch

from tiny_runs import new_job


def test_players_in_parallel_are_bitwise_equal_to_players_in_turn() -> None:
    weights = []
    try:
        for threads in (1, 2):
            weights.append(new_job(threads=threads).run().method.nets.state_dict())
    finally:
        torch.set_num_threads(1)
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name
