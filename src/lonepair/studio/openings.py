"""Pages that are being opened: what a user does before a page is ready waits until it is.

A browser learns its secret from the answer to the first event of its first page. A file that is dropped before comes
without the secret; the page itself is known by Gradio's number of it together with the cookie of the browser.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

WAIT_SECONDS = 10.0
"""Longest time for which an event waits until its page is ready."""
MAX_PAGES = 10_000
"""Number of pages that are remembered."""

PageKey = tuple[str, str]
"""Number of a page that Gradio gives it, and the cookie of its browser."""


@dataclass
class _Opening:
    token: str = ""
    is_ready: threading.Event = field(default_factory=threading.Event)


class Openings:
    """The pages of one server, each with the secret of its browser."""

    def __init__(self) -> None:
        self._openings: OrderedDict[PageKey, _Opening] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def opening(self, page: PageKey, token: str) -> Iterator[None]:
        """Context in which a page is made ready: its other events wait for the end of the context.

        Args:
            page: The page.
            token: Secret of its browser.
        """
        opening = self._opening(page)
        opening.token = token
        try:
            yield
        finally:
            opening.is_ready.set()

    def token(self, page: PageKey, token: str) -> str:
        """The secret of a page's browser, once the page is ready.

        Args:
            page: The page.
            token: The secret that the event has; empty where the browser has none yet.

        Returns:
            The secret; empty where the page was not made ready within `WAIT_SECONDS`.
        """
        with self._lock:
            is_known = page in self._openings
        # A page that was opened before the server's last start has a secret, and is not waited for.
        if token and not is_known:
            return token
        opening = self._opening(page)
        opening.is_ready.wait(WAIT_SECONDS)
        return token or opening.token

    def _opening(self, page: PageKey) -> _Opening:
        with self._lock:
            opening = self._openings.setdefault(page, _Opening())
            self._openings.move_to_end(page)
            while len(self._openings) > MAX_PAGES:
                self._openings.popitem(last=False)
        return opening
