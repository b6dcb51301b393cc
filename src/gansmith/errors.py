"""What can go wrong, as types: what a user can mend, and what ends a training."""


class DivergenceError(ValueError):
    """Training produced a value that is not finite."""
