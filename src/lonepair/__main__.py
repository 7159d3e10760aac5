"""`python -m lonepair` is `lonepair`."""

import sys

from lonepair.commands.main import main

sys.exit(main())
