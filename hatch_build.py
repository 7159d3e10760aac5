"""Metadata of the package that depends on its public address: the project's URLs, and absolute links in its README.

A package index shows the README alone, so a relative link leads nowhere there. The address is `url` in the table
`[tool.hatch.metadata.hooks.custom]` of pyproject.toml, or the environment variable LONEPAIR_URL. Without an address the
package has no URLs and its README keeps its relative links.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"""(\]\(|\b(?:src|href)=["'])(?![a-z][a-z0-9+.-]*:|//)([^)\s"']+)""")
"""What stands before a relative link of Markdown or HTML, and the link."""
PICTURES = {".gif", ".jpg", ".jpeg", ".png", ".svg", ".webp"}


def checked_address(url: str) -> str:
    """`url` without spaces around it and without a slash at its end; empty where it is.

    Raises:
        ValueError: `url` is not the https address of a repository.
    """
    url = url.strip().rstrip("/")
    if url and not re.fullmatch(r"https://[^\s/]+(/[^\s/?#]+)+", url):
        raise ValueError(f"the public address is {url!r}: give the repository's, like https://host/owner/lonepair")
    return url


def absolute_links(text: str, url: str) -> str:
    """Replace the relative links of `text` by absolute ones.

    Args:
        text: Markdown of a page in the repository's root.
        url: Address of the repository. Code hosts show a file at `url`/blob/HEAD/ and serve its bytes at
            `url`/raw/HEAD/; HEAD is the default branch.
    """

    def absolute(match: re.Match[str]) -> str:
        before, link = match.groups()
        if link.startswith("#"):
            return f"{before}{url}{link}"
        form = "raw" if Path(link.partition("#")[0]).suffix.lower() in PICTURES else "blob"
        return f"{before}{url}/{form}/HEAD/{link.removeprefix('./')}"

    return LINK.sub(absolute, text)


def project_urls(url: str) -> dict[str, str]:
    """The named links that a package index shows beside the README, for a repository at `url`."""
    return {
        "Homepage": url,
        "Documentation": f"{url}/tree/HEAD/docs",
        "Issues": f"{url}/issues",
        "Changelog": f"{url}/releases",
    }


class MetadataHook(MetadataHookInterface):
    """Sets `readme` and `urls` when the package is built."""

    def update(self, metadata: dict[str, Any]) -> None:
        url = checked_address(os.environ.get("LONEPAIR_URL") or self.config.get("url", ""))
        # A wheel that is built from a source distribution starts from that one's metadata.
        text = metadata.get("readme", {}).get("text") or (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute_links(text, url) if url else text}
        if url:
            metadata["urls"] = project_urls(url)
