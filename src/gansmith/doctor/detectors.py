"""Signs: for each failure, which looks show it; pure functions of a table of looks and what is known of the run.

Starting points are the literature's; where runs of the recipes taught otherwise, a comment says so.
"""

import math

import numpy as np

from gansmith.doctor.findings import Facts, Mask
from gansmith.doctor.table import Column, Looks


def trend(looks: Looks, name: str) -> Column:
    """A signal's mean over the last fifth of the steps so far, over that in their 0.4th to 0.7th part."""
    values = looks[name]
    known = np.isfinite(values)
    sums, counts = (np.concatenate([[0], np.cumsum(part)]) for part in (np.where(known, values, 0.0), known))

    def mean(start: Column, end: Column) -> Column:
        first, last = np.searchsorted(looks.steps, start), np.searchsorted(looks.steps, end, side="right")
        number: Column = (sums[last] - sums[first]) / np.maximum(counts[last] - counts[first], 1)
        return np.where(counts[last] > counts[first], number, np.nan)

    return mean(0.8 * looks.steps, looks.steps) / mean(0.4 * looks.steps, 0.7 * looks.steps)


def flat(looks: Looks) -> Mask:
    """Whether generated images no longer come nearer to real ones: by less than 15 % a :func:`trend`."""
    return trend(looks, "gap") >= 0.85


def comes(looks: Looks) -> Mask:
    """Whether they do. Untrained players show nearly every failure; what still heals is none."""
    return np.isfinite(looks["gap"]) & ~flat(looks)


def excess(looks: Looks, facts: Facts) -> Column:
    """The discriminator's loss per image over the least that its labels allow."""
    target = facts.recipe.real_label
    least = 0.0 if target == 1 else -(target * math.log(target) + (1 - target) * math.log(1 - target)) / 2
    return looks["discriminator_loss"] / (2 if facts.recipe.reduction == "sum" else 1) - least


def running_median(values: Column) -> Column:
    """The median of up to 30 values before each, where there are five; NaN elsewhere."""
    if not len(values):
        return values
    before = np.concatenate([np.full(30, np.nan), values[:-1]])
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(before, 30), axis=1)  # NaN comes last
    known = np.isfinite(ordered).sum(axis=1)
    middle = ordered[np.arange(len(ordered)), np.maximum(known - 1, 0) // 2]
    return np.where(known >= 5, middle, np.nan)


def mostly(hits: Mask, steps: Column, span: int) -> Mask:
    """Whether nine in ten looks of the last ``span`` steps, with a look as long ago as that, are hits."""
    sums = np.concatenate([[0], np.cumsum(hits)])
    first = np.searchsorted(steps, steps - span, side="right")
    share = (sums[1:] - sums[first]) / np.maximum(np.arange(1, len(steps) + 1) - first, 1)
    long: Mask = (share >= 0.9) & (first > 0)
    return long


def peak(values: Column) -> Column:
    """The largest value so far."""
    return np.maximum.accumulate(np.nan_to_num(values, nan=0.0))


def contrast(looks: Looks, facts: Facts) -> Column:
    """Standard deviation of generated pixels over the data's, from signals or from metrics."""
    if looks.has("contrast") or not facts.pixel_std:
        return looks["contrast"]
    return looks["spread_of_pixels"] / facts.pixel_std


def dead(looks: Looks, facts: Facts) -> Mask:
    """Equal answers to all images; from metrics alone, an accuracy of 0.5 and a loss that do not move."""
    constant = looks["logit_spread"] < 1e-3 * (1 + np.abs(looks["logit_fake"]))
    unmoved = (looks["restless"] < 0.005) & (looks["swing"] < 1e-3 * looks["discriminator_loss"])
    return constant | (unmoved & ~np.isfinite(looks["logit_spread"]))


def exploding(looks: Looks, facts: Facts) -> Mask:
    """Gradients over ten times their running median, or losses over 100."""
    gradients = [looks[f"{player}_gradient"] for player in ("generator", "discriminator")]
    jumps = [gradient > 10 * running_median(gradient) for gradient in gradients]
    losses = [looks[f"{player}_loss"] > 100 for player in ("generator", "discriminator")]
    return jumps[0] & (gradients[0] > 1) | jumps[1] & (gradients[1] > 1) | losses[0] | losses[1]


def exploded(looks: Looks, facts: Facts) -> Mask:
    """So that nothing comes of it."""
    # Gradients alone also jump where they were next to nothing at first: in `deconv`, which collapses.
    losses = np.fmax(looks["generator_loss"], looks["discriminator_loss"])
    return (losses > 100) | (flat(looks) & (losses > 20))


def blank(looks: Looks, facts: Facts) -> Mask:
    """Hardly any contrast, or far more pixels at the ends of the range than real images have."""
    saturated = (looks["white"] > 0.3) | (looks["black"] > 0.3) | (looks["greys"] < 0.05)
    faint = (contrast(looks, facts) < 0.2) & ~(looks["sensitivity"] < 0.005)  # else no noise explains it
    return (faint | saturated) & ~comes(looks)


def no_noise(looks: Looks, facts: Facts) -> Mask:
    """Images that do not change with their noise, or hardly any more."""
    # Far below the 5 % of its peak that is the usual alarm, which healthy runs pass on their way: `mlp` at step 400.
    sensitivity = looks["sensitivity"]
    return (sensitivity < 0.005) | ((sensitivity < 0.05 * peak(sensitivity)) & ~comes(looks))


def collapse(looks: Looks, facts: Facts) -> Mask:
    """Images closer to each other than half of what real ones are, and not getting better."""
    return (looks["distance"] < 0.02) | ((looks["distance"] < 0.5) & ~comes(looks))


def collapsed(looks: Looks, facts: Facts) -> Mask:
    """A fifth of it."""
    return looks["distance"] < 0.2


def vanishing(looks: Looks, facts: Facts) -> Mask:
    """No gradient for the generator, from a discriminator that is right."""
    gradient = looks["generator_gradient"]
    return (gradient <= np.maximum(1e-3 * running_median(gradient), 1e-7)) & (looks["discriminator_accuracy"] > 0.95)


def partial(looks: Looks, facts: Facts) -> Mask:
    """Classes missing, or their entropy below 0.85 of the real one, and not getting better."""
    missing = (looks["entropy"] < 0.85) | (looks["least_share"] < 0.2)
    return missing & ~comes(looks) & ~(trend(looks, "entropy") > 1.15)


def few_classes(looks: Looks, facts: Facts) -> Mask:
    """Entropy below 0.7."""
    return looks["entropy"] < 0.7


def overpowers(looks: Looks, facts: Facts) -> Mask:
    """A discriminator right about all, with hardly any loss."""
    return (looks["discriminator_accuracy"] > 0.98) & (excess(looks, facts) < 0.05)


def overpowered(looks: Looks, facts: Facts) -> Mask:
    """With no end of it in sight."""
    # `mlp` looks so from step 300 to 1,300, and gets over it.
    return ~comes(looks) | mostly(overpowers(looks, facts), looks.steps, 1200)


def weak(looks: Looks, facts: Facts) -> Mask:
    """A discriminator that guesses although images are far from real ones, or takes them all for real."""
    guesses = (looks["discriminator_accuracy"] < 0.6) & (looks["gap"] > 0.3) & flat(looks)
    fooled = (looks["discriminator_accuracy"] < 0.6) & (looks["generator_accuracy"] > 0.9)
    return guesses | fooled


def noisy(looks: Looks, facts: Facts) -> Mask:
    """Neighbouring pixels that differ three times as much as real ones, or six times the fine detail."""
    rough = (looks["total_variation"] > 3) | (looks["high_frequency"] > 6)
    return rough & ~comes(looks) & ~(trend(looks, "total_variation") < 0.85)


def noise(looks: Looks, facts: Facts) -> Mask:
    """By neighbours alone."""
    return looks["total_variation"] > 3


def late(looks: Looks, facts: Facts) -> Mask:
    """A gap, or Frechet distance, half as large again as at its best, which was good, and beyond what trembles."""
    gap = looks["gap"] if looks.has("gap") else looks["fd"]
    known = np.where(np.isfinite(gap), gap, np.inf)
    best = np.minimum.accumulate(known)
    floor, good = (0.1, 0.3) if looks.has("gap") else (0.0, math.inf)  # else it is another failure, from the start
    hits: Mask = (gap > 1.5 * best + floor) & (looks.steps > 2 * looks.steps[np.isfinite(gap).argmax()]) & (best < good)
    return hits


def oscillates(looks: Looks, facts: Facts) -> Mask:
    """A wave in the discriminator's loss, its height over 15 % of the loss, while images do not get better."""
    return _waves(looks, 0.15)


def swings(looks: Looks, facts: Facts) -> Mask:
    """One of over half of the loss: runs that settle stay under 20 %."""
    return _waves(looks, 0.5)


def _waves(looks: Looks, height: float) -> Mask:
    """Which of the last 120 looks show a wave of that height over the mean loss, with an echo over 0.4."""
    loss = looks["discriminator_loss"]
    hits = np.zeros(len(loss), dtype=bool)
    if len(loss) < 30 or not np.isfinite(loss).all():
        return hits
    recent = loss[-min(len(loss), 120) :]
    wave = recent - np.convolve(np.pad(recent, 10, "edge"), np.ones(21) / 21, "valid")
    power = float((wave * wave).sum())
    if power <= 0 or wave.std() < height * recent.mean():
        return hits
    echo = np.array([float((wave[lag:] * wave[:-lag]).sum()) / power for lag in range(1, len(wave) // 3)])
    below = np.flatnonzero(echo < 0)
    if len(below) and echo[below[0] :].max(initial=0) > 0.4:
        hits[-len(recent) :] = ~comes(looks)[-len(recent) :]
    return hits


def deaf(looks: Looks, facts: Facts) -> Mask:
    """Images of the class asked for in less than 80 % of what real ones look, and not getting better."""
    return (looks["label_accuracy"] < 0.8) & ~(trend(looks, "label_accuracy") > 1.15)


def pattern(looks: Looks, facts: Facts) -> Mask:
    """The finest pattern twice as strong as in real images, and not fading; other things may get better meanwhile."""
    return (looks["checkerboard"] > 2) & ~(trend(looks, "checkerboard") < 0.85)


def memorises(looks: Looks, facts: Facts) -> Mask:
    """Test images on the generated side of the middle between training and generated ones."""
    train, fake = looks["logit_train"], looks["logit_fake"]
    return (train - looks["logit_holdout"] > 0.5 * (train - fake)) & (train - fake > 0.5)


def copies(looks: Looks, facts: Facts) -> Mask:
    """More images nearer to training than to test images than chance explains (95 %, and a margin)."""
    share = looks["closer_to_train"]
    hits: Mask = share - 1.96 * np.sqrt(share * (1 - share) / 256) > 0.55
    return hits
