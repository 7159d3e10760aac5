"""A pool without processes, for tests of renders in parts: a process takes two seconds to start."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lonepair.render.workers import set_up_worker


class InThisProcess(ThreadPoolExecutor):
    """Stands for a pool of processes, without any."""

    def __init__(self, count: int, context: object, start: object, arguments: tuple[Any, ...]) -> None:
        super().__init__(1)
        set_up_worker(*arguments)
