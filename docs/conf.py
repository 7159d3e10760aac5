"""Settings of the documentation site: `make docs` builds it into docs/_build.

Nothing here names a server: every script, style and picture of the site lies within it.
"""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "src")]

project = "lonepair"
author = "The lonepair founders"
release = version = version_of("lonepair")

extensions = ["myst_parser", "lonepair_reference"]
exclude_patterns = ["_build", "_ext"]
source_suffix = {".md": "markdown"}

# Links to headings of other pages work as they do on a code host.
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]

html_theme = "furo"
html_title = "lonepair"
html_static_path = ["_static"]
html_css_files = ["lonepair.css"]
html_show_sourcelink = False
html_copy_source = False
