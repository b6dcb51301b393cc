"""What changes over a run: rates, beta2 and gamma as functions of the share of the run that is over."""

import math

from gansmith.recipe import Optimizer, Penalty


def rate(numbers: Optimizer, *, updates: int, share: float) -> float:
    """The learning rate after so many updates, when this share of the run, in [0, 1], is over.

    lr / (1 + decay * updates), rising evenly during ``warm_up`` and falling as half a cosine from ``cool_from`` on to
    ``cool_to`` times as much.
    """
    value = numbers.lr / (1 + numbers.decay * updates)
    if share < numbers.warm_up:
        value *= (share + 1e-3) / (numbers.warm_up + 1e-3)  # the very first step learns something too
    if share > numbers.cool_from:
        over = (share - numbers.cool_from) / (1 - numbers.cool_from)
        value *= numbers.cool_to + (1 - numbers.cool_to) * (1 + math.cos(math.pi * min(over, 1.0))) / 2
    return value


def beta2(numbers: Optimizer, *, share: float) -> float:
    """Adam's beta2 when this share of the run is over."""
    return _between(numbers.beta2, numbers.beta2_end, share)


def gamma(numbers: Penalty, *, share: float) -> float:
    """The penalty's weight at a step that has one when this share of the run is over: more where few have one."""
    return numbers.every * _between(numbers.gamma, numbers.gamma_end, share)


def _between(start: float, end: float | None, share: float) -> float:
    return start if end is None else start + (end - start) * min(share, 1.0)
