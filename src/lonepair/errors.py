"""The one error family that a user's input can raise.

Everything the user can mend (a file, a flag, a size) is a `UserError`: one line that names the thing, both values
and the remedy. The command line prints that line and exits with status 2. Our own broken invariants are `assert`s.
"""


class UserError(ValueError):
    """A mistake in what the user gave; `str(error)` is one line that says what it is and what to do."""
