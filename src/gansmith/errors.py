"""What can go wrong, as types: what whoever called can mend, and training that diverged; all else is a bug."""


class UserError(ValueError):
    """Something that whoever called can mend: one line that says what, where, and what to do.

    The line names a parameter in backticks, as in "`steps` 0: give 1 or more"; the command line, which catches this and
    no other ValueError, writes the flag in its place: "--steps 0: give 1 or more".
    """


class DivergenceError(UserError):
    """Training produced a value that is not finite."""
