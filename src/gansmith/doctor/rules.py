"""The rules: each failure's meaning, evidence, likely cause and remedy, in the order of cause before consequence."""

import math
from collections.abc import Callable

import numpy as np

from gansmith.doctor import detectors, remedies
from gansmith.doctor.findings import Facts, Finding, Rule, diagnose
from gansmith.doctor.table import Looks

__all__ = ["RULES", "findings"]


def findings(looks: Looks, facts: Facts) -> list[Finding]:
    """All that is wrong, or was, with a run: what makes it ill first."""
    found = diagnose(looks, facts, RULES)
    return [_not_finite(looks, facts), *found] if facts.diverged else found


def _not_finite(looks: Looks, facts: Facts) -> Finding:
    last = f"; before that the losses were D {looks['discriminator_loss'][-1]:.3g} and G " if len(looks) else ""
    return Finding(
        name="not finite",
        severity="ill",
        what="A loss or a weight became infinite or not a number; training could not go on.",
        evidence=f"training diverged after step {facts.last_step:,}"
        + (f"{last}{looks['generator_loss'][-1]:.3g}" if last else ""),
        cause="steps too large for the loss's slope, or arithmetic too coarse",
        remedy=remedies.halve_rates(facts, looks, 0),
        step=facts.last_step,
        watched={"generator_loss": None, "discriminator_loss": None},
    )


def _dead_evidence(looks: Looks, at: int) -> str:
    told = (
        f"accuracy {looks['discriminator_accuracy'][at]:.2f}, D loss {looks['discriminator_loss'][at]:.3g}, "
        f"G loss {looks['generator_loss'][at]:.3g}, G accuracy {looks['generator_accuracy'][at]:.2f}"
    )
    if math.isfinite(looks["logit_spread"][at]):
        told += f"; its answers to real and generated images differ by {looks['logit_spread'][at]:.1g}"
    if math.isfinite(looks["generator_gradient"][at]):
        told += f", the generator's gradient is {looks['generator_gradient'][at]:.1g}"
    if looks["generator_loss"][at] > 15.5:
        told += " (a cross-entropy at its clip)"
    return told


def _blank_evidence(looks: Looks, at: int) -> str:
    spread = looks["contrast"][at] if looks.has("contrast") else math.nan
    parts = {"contrast": f"pixels vary {spread:.2g} x as much as real ones"}
    for name in ("white", "black"):
        parts[name] = f"{looks[name][at]:+.0%} {name} pixels against real images"
    shown = [text for name, text in parts.items() if looks.has(name)]
    return ", ".join(shown) or f"pixels' standard deviation {looks['spread_of_pixels'][at]:.3g}"


def _partial_evidence(looks: Looks, at: int) -> str:
    recent = looks["top_class"][max(0, at - 9) : at + 1]
    hops = int((np.diff(recent) != 0).sum())
    told = (
        f"entropy of the classes {looks['entropy'][at]:.2f} of the real one, the rarest class at "
        f"{looks['least_share'][at]:.0%} of its share, class {looks['top_class'][at]:.0f} makes up "
        f"{looks['top_share'][at]:.0%}"
    )
    return told + (f"; the commonest class changed {hops} times in {len(recent)} looks: it hops" if hops > 3 else "")


def _late_evidence(looks: Looks, at: int) -> str:
    name = "gap" if looks.has("gap") else "fd"
    best = int(np.nanargmin(looks[name][: at + 1]))
    was = f"at its best, at step {looks.steps[best]:,.0f}, it was {looks[name][best]:.2g}"
    return f"{_words(name)(looks, at)}; {was}"


WORDS = {
    "sensitivity": "for a change of noise images change by {:.2g} of the distance of real ones",
    "distance": "generated images lie {:.2g} x as far apart as real ones",
    "gap": "their gap to real images is {:.2g}",
    "fd": "Frechet distance {:.3g}",
    "generator_gradient": "the generator's gradient is {:.2g}",
    "discriminator_gradient": "the discriminator's gradient is {:.2g}",
    "discriminator_accuracy": "the discriminator is right in {:.0%}",
    "generator_accuracy": "{:.0%} of generated images pass for real",
    "discriminator_loss": "D loss {:.3g}",
    "generator_loss": "G loss {:.3g}",
    "total_variation": "neighbouring pixels differ {:.2g} x as much as in real images",
    "high_frequency": "fine detail has {:.2g} x its share of the power",
    "checkerboard": "a pattern of every second pixel is {:.2g} x as strong as in real images",
    "closer_to_train": "{:.0%} of generated images lie nearer to a training image than to any test image",
    "logit_train": "its answer is {:.2g} to training images",
    "logit_holdout": "{:.2g} to test images",
    "logit_fake": "{:.2g} to generated ones",
    "label_accuracy": "generated images are of the class asked for {:.0%} as often as real ones look it",
}


def _words(*names: str) -> Callable[[Looks, int], str]:
    """Evidence that says what signals measured, one after another."""

    def say(looks: Looks, at: int) -> str:
        return ", ".join(WORDS[name].format(looks[name][at]) for name in names if np.isfinite(looks[name][at]))

    return say


PICTURES = ("noise-like images", "partial collapse")
ONE_IMAGE = ("total collapse", *PICTURES)
IMAGES = ("blank or saturated", "noise ignored", *ONE_IMAGE)
STUCK = ("vanishing gradient", "discriminator overpowers", "discriminator too weak")

RULES: tuple[Rule, ...] = (
    Rule(
        "dead discriminator",
        "The discriminator says the same of every image, so nobody learns anything any more.",
        "its units or its sigmoid were driven to where they have no slope",
        detectors.dead,
        _dead_evidence,
        remedies.revive_discriminator,
        {"logit_spread": None, "discriminator_loss": None, "generator_loss": None, "discriminator_accuracy": 0.5},
        explains=("late collapse", *IMAGES, *STUCK),
    ),
    Rule(
        "exploding",
        "Gradients or losses grow without bound.",
        "a learning rate that is too high",
        detectors.exploding,
        _words("generator_gradient", "discriminator_gradient", "generator_loss", "discriminator_loss"),
        remedies.tame_rates,
        {"generator_gradient": None, "discriminator_gradient": None, "generator_loss": 100, "discriminator_loss": 100},
        ill=detectors.exploded,
        explains=("late collapse", *IMAGES, *STUCK),
    ),
    Rule(
        "late collapse",
        "Images were better before.",
        "the players lost their balance: a rate that is too high by now, or a setting that changed on the way",
        detectors.late,
        _late_evidence,
        remedies.stop_at_best,
        {"gap": None, "fd": None},
        explains=(*IMAGES, *STUCK, "checkerboard", "labels ignored"),
    ),
    Rule(
        "blank or saturated",
        "Images are one tone, or at the ends of the range.",
        "the generator's last layer is saturated, or its range is not that of the real pixels",
        detectors.blank,
        _blank_evidence,
        remedies.right_range,
        {"contrast": 0.2, "white": 0.3, "black": 0.3},
        explains=("noise ignored", *ONE_IMAGE, *STUCK),
    ),
    Rule(
        "noise ignored",
        "The generator makes the same image whatever its noise.",
        "noise does not get through: a broken path, batch norm over equal inputs, dropout that drowns it, or collapse",
        detectors.no_noise,
        _words("sensitivity", "distance"),
        remedies.let_noise_through,
        {"sensitivity": 0.005, "distance": 0.1},
        explains=ONE_IMAGE,
    ),
    Rule(
        "oscillation",
        "The players chase each other round: losses swing, and images do not settle.",
        "players that learn by turns, momentum, or rates that do not fall",
        detectors.oscillates,
        _words("discriminator_loss", "generator_loss", "gap"),
        remedies.calm_down,
        {"discriminator_loss": None, "generator_loss": None},
        ill=detectors.swings,
        explains=(*ONE_IMAGE, *STUCK),
    ),
    Rule(
        "total collapse",
        "Images are nearly all alike.",
        "the generator found what fools the discriminator and makes only that",
        detectors.collapse,
        _words("distance", "sensitivity", "gap"),
        remedies.spread_out,
        {"distance": 0.2, "sensitivity": None, "gap": None},
        ill=detectors.collapsed,
        explains=PICTURES,
    ),
    Rule(
        "vanishing gradient",
        "The discriminator no longer tells the generator which way is better.",
        "its answers are saturated",
        detectors.vanishing,
        _words("generator_gradient", "discriminator_accuracy", "generator_loss"),
        remedies.weaken_discriminator,
        {"generator_gradient": 1e-7, "discriminator_accuracy": 0.95},
        explains=("discriminator overpowers", *PICTURES),
    ),
    Rule(
        "discriminator overpowers",
        "The discriminator tells all images apart and learns no more; the generator cannot follow.",
        "it learns faster than the generator, or sees something the generator cannot change",
        detectors.overpowers,
        _words("discriminator_accuracy", "discriminator_loss", "generator_loss", "gap"),
        remedies.weaken_discriminator,
        {"discriminator_accuracy": 0.98, "discriminator_loss": None, "generator_loss": None},
        ill=detectors.overpowered,
        patience=500,
        explains=PICTURES,
    ),
    Rule(
        "discriminator too weak",
        "The discriminator guesses, while images are far from real ones.",
        "it learns too slowly or is too small to see the difference",
        detectors.weak,
        _words("discriminator_accuracy", "generator_accuracy", "gap"),
        remedies.strengthen_discriminator,
        {"discriminator_accuracy": 0.6, "generator_accuracy": 0.9, "gap": 0.3},
        explains=PICTURES,
    ),
    Rule(
        "generator copies",
        "Images are nearer to training images than they would be by chance: some may be copies.",
        "few training images, seen very often",
        detectors.copies,
        _words("closer_to_train"),
        remedies.stop_before,
        {"closer_to_train": 0.55},
        explains=("discriminator overpowers",),
    ),
    Rule(
        "discriminator memorises",
        "The discriminator knows the training images by heart: it takes unseen real ones for half generated.",
        "few training images, or a discriminator too large for them",
        detectors.memorises,
        _words("logit_train", "logit_holdout", "logit_fake"),
        remedies.forget,
        {"logit_train": None, "logit_holdout": None, "logit_fake": None},
        ill=lambda looks, facts: np.zeros(len(looks), dtype=bool),  # the best published GANs show it too
    ),
    Rule(
        "partial collapse",
        "Some classes are hardly made, or one takes most of the images.",
        "the generator settled on what is easiest to pass off",
        detectors.partial,
        _partial_evidence,
        remedies.spread_out,
        {"entropy": 0.85, "least_share": 0.2, "top_share": None},
        ill=detectors.few_classes,
    ),
    Rule(
        "noise-like images",
        "Images are rough as noise, far more than real ones.",
        "the discriminator does not see fine detail, or the pixel range or order of layers is wrong",
        detectors.noisy,
        _words("total_variation", "high_frequency", "gap"),
        remedies.blur_less,
        {"total_variation": 3, "high_frequency": 6},
        ill=detectors.noise,
    ),
    Rule(
        "checkerboard",
        "Images carry a pattern of every second pixel.",
        "transposed convolutions whose kernel their stride does not divide",
        detectors.pattern,
        _words("checkerboard"),
        remedies.upsample,
        {"checkerboard": 2},
        ill=lambda looks, facts: looks["checkerboard"] > 2.5,
    ),
    Rule(
        "labels ignored",
        "Images are often not of the class that was asked for.",
        "the labels do not reach one of the players",
        detectors.deaf,
        _words("label_accuracy"),
        remedies.ask_louder,
        {"label_accuracy": 0.8},
        ill=lambda looks, facts: looks["label_accuracy"] < 0.5,
    ),
)
