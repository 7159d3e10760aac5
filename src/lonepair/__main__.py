"""`python -m lonepair` is `lonepair`."""

import sys

from lonepair.cli import main

sys.exit(main())
