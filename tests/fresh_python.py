"""Code that runs in a new Python, which has loaded nothing and checks no types."""

from __future__ import annotations

import subprocess
import sys


def output_of(code: str) -> str:
    """What `code` prints in a new Python. An error there is one here, with its text."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout
