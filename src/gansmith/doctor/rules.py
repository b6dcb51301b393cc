"""The rules: every failure that the doctor knows, one block each, causes before their consequences.

Thresholds start from the literature; where runs of the recipes taught otherwise, a comment says so. The file is long so
that a failure is read in one place and compared with its neighbours.
"""
# ruff: noqa: RUF012 (the class attributes are constants)

import math

import numpy as np

from gansmith import recipes
from gansmith.doctor.detectors import improving, mostly, running_median, stagnant, trend, wave
from gansmith.doctor.findings import Facts, Finding, Mask, Rule, diagnose, measured
from gansmith.doctor.remedies import another_recipe, diversify, divide_rates, weaken_discriminator
from gansmith.doctor.table import Column, SignalTable

__all__ = ["RULES", "findings"]

# What may follow from a failure, from the last consequence up.
DETAIL = ("noise-like images", "partial collapse")
ALIKE = ("total collapse", *DETAIL)
IMAGES = ("blank or saturated", "noise ignored", *ALIKE)
BALANCE = ("vanishing gradient", "discriminator overpowers", "discriminator too weak")


def findings(table: SignalTable, facts: Facts) -> list[Finding]:
    """All that is wrong with a run, or was: problems first."""
    found = diagnose(table, facts, RULES)
    return [not_finite(table, facts), *found] if facts.diverged else found


def not_finite(table: SignalTable, facts: Facts) -> Finding:
    """Training stopped because a loss or weight was infinite or undefined: the one failure no table is needed for."""
    evidence = f"training diverged after step {facts.last_step:,}"
    if len(table):
        losses = (table[f"{player}_loss"][-1] for player in ("discriminator", "generator"))
        evidence += "; before that the losses were D {:.3g} and G {:.3g}".format(*losses)
    return Finding(
        name="not finite",
        severity="problem",
        what="A loss or a weight became infinite or not a number; training could not go on.",
        evidence=evidence,
        cause="steps too large for the loss's slope, or arithmetic too coarse",
        remedy=divide_rates(facts.recipe, 2),
        step=facts.last_step,
        watched={"generator_loss": None, "discriminator_loss": None},
    )


class PenaltyTooStrong(Rule):
    """With a penalty: right in under 0.6 while the gap is over 0.1 and flat, or 0.9 pass, or all answers are alike."""

    name = "penalty too strong"
    what = "The discriminator is held so flat that it says nearly the same of every image; nobody learns from it."
    cause = "the penalty on its slope outweighs the game"
    watched = {"discriminator_accuracy": 0.6, "logit_spread": None, "gap": 0.1}
    evidence_from = ("discriminator_accuracy", "discriminator_loss", "gap")
    explains = ("dead discriminator", "late collapse", *IMAGES, *BALANCE)

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        flat = (table["gap"] > 0.1) & stagnant(table) | (table["gap"] > 0.3) & (table["generator_accuracy"] > 0.9)
        silent = table["logit_spread"] < 1e-3 * (1 + np.abs(table["logit_fake"]))
        told = facts.recipe.penalty.kind != "none" and facts.recipe.penalty.gamma > 0
        return (table["discriminator_accuracy"] < 0.6) & (flat | silent) & told

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        penalty = facts.recipe.penalty
        end = "" if penalty.gamma_end is None else f" --penalty.gamma-end {penalty.gamma_end / 10:.2g}"
        return f"--penalty.gamma {penalty.gamma / 10:.2g}{end}"


class DeadDiscriminator(Rule):
    """The discriminator gives all images the same logit; without signals: accuracy 0.5 and a loss that never move."""

    name = "dead discriminator"
    what = "The discriminator says the same of every image, so nobody learns anything any more."
    cause = "its units or its sigmoid were driven to where they have no slope"
    watched = {"logit_spread": None, "discriminator_loss": None, "generator_loss": None, "discriminator_accuracy": 0.5}
    explains = ("late collapse", *IMAGES, *BALANCE)

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        constant = table["logit_spread"] < 1e-3 * (1 + np.abs(table["logit_fake"]))
        unmoved = (table["restless"] < 0.005) & (table["swing"] < 1e-3 * table["discriminator_loss"])
        return constant | (unmoved & ~np.isfinite(table["logit_spread"]))

    def evidence(self, table: SignalTable, row: int) -> str:
        parts = (
            f"accuracy {table['discriminator_accuracy'][row]:.2f}, D loss {table['discriminator_loss'][row]:.3g}, "
            f"G loss {table['generator_loss'][row]:.3g}, G accuracy {table['generator_accuracy'][row]:.2f}"
        )
        if math.isfinite(table["logit_spread"][row]):
            parts += f"; its answers to real and generated images differ by {table['logit_spread'][row]:.1g}"
        if math.isfinite(table["generator_gradient"][row]):
            parts += f", the generator's gradient is {table['generator_gradient'][row]:.1g}"
        return parts + (" (a cross-entropy at its clip)" if table["generator_loss"][row] > 15.5 else "")

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        if facts.recipe.discriminator.slope == 0:
            return "--discriminator.slope 0.2"
        return (
            f"--discriminator-optimizer.lr {facts.recipe.discriminator_optimizer.lr / 10:.2g} --seed {facts.seed + 1}"
        )


class Exploding(Rule):
    """A gradient over ten times its running median, or a loss over 100; a problem where losses are high."""

    name = "exploding"
    what = "Gradients or losses grow without bound."
    cause = "a learning rate that is too high"
    watched = {
        "generator_gradient": None,
        "discriminator_gradient": None,
        "generator_loss": 100,
        "discriminator_loss": 100,
    }
    evidence_from = ("generator_gradient", "discriminator_gradient", "generator_loss", "discriminator_loss")
    explains = ("late collapse", *IMAGES, *BALANCE)

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        hits = np.zeros(len(table), dtype=bool)
        for player in ("generator", "discriminator"):
            gradient = table[f"{player}_gradient"]
            hits |= (gradient > 10 * running_median(gradient)) & (gradient > 1) | (table[f"{player}_loss"] > 100)
        return hits

    def severe(self, table: SignalTable, facts: Facts) -> Mask:
        # Gradients alone also jump where they were next to nothing at first: in `deconv`, which collapses.
        losses = np.fmax(table["generator_loss"], table["discriminator_loss"])
        return (losses > 100) | (stagnant(table) & (losses > 20))

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        return divide_rates(facts.recipe, 10, most=1e-3)


class LateCollapse(Rule):
    """The gap (or Frechet distance) is 1.5 x its best, and 0.1 more, and was good: under 0.3."""

    name = "late collapse"
    what = "Images were better before."
    cause = "the players lost their balance: a rate that is too high by now, or a setting that changed on the way"
    watched = {"gap": None, "fd": None}
    explains = ("late decline", *IMAGES, *BALANCE, "checkerboard", "labels ignored")

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        distance = table[self._signal(table)]
        known = np.isfinite(distance)
        best = np.minimum.accumulate(np.where(known, distance, np.inf))
        # The margin is what a gap trembles by. Where the gap never was good, it is another failure, from the start.
        margin, good = (0.1, 0.3) if table.has("gap") else (0.0, math.inf)
        worse = known & (distance > 1.5 * best + margin)
        hits: Mask = worse & (table.steps > 2 * table.steps[known.argmax()]) & (best < good)
        return hits

    def evidence(self, table: SignalTable, row: int) -> str:
        name = self._signal(table)
        best = int(np.nanargmin(table[name][: row + 1]))
        was = f"at its best, at step {table.steps[best]:,.0f}, it was {table[name][best]:.2g}"
        return f"{measured(table, row, name)}; {was}"

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        return f"--steps {int(table.steps[np.nanargmin(table[self._signal(table)][: row + 1])])}"

    def _signal(self, table: SignalTable) -> str:
        return "gap" if table.has("gap") else "fd"


class LateDecline(Rule):
    """The last two measured distances are both over 1.1 x the best one before; a warning, for the best is kept."""

    name = "late decline"
    what = "Images are a little worse than they were: the end is not the best."
    cause = "the players go round each other where a smaller step, or an average of the generator, would settle"
    watched = {"fd": None}

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        fd, before = table["fd"], table["fd_before"]
        return np.minimum(fd, before) > 1.1 * self._best(table)

    def severe(self, table: SignalTable, facts: Facts) -> Mask:
        return np.zeros(len(table), dtype=bool)

    def evidence(self, table: SignalTable, row: int) -> str:
        was = f"at its best, by step {self._best_step(table, row):,}, it was {self._best(table)[row]:.3g}"
        return f"{measured(table, row, 'fd')}; {was}"

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        if not facts.recipe.average.on:
            return "--average.span 0.1"
        return f"--steps {self._best_step(table, row)}"

    def _best_step(self, table: SignalTable, row: int) -> int:
        return int(table.steps[np.nan_to_num(table["fd"][: row + 1], nan=np.inf).argmin()])

    def _best(self, table: SignalTable) -> Column:
        best: Column = np.fmin.accumulate(table["fd"])
        return best


class BlankOrSaturated(Rule):
    """Under 0.2 of the real contrast, or 30 % more black or white pixels than real images, and not improving."""

    name = "blank or saturated"
    what = "Images are one tone, or at the ends of the range."
    cause = "the generator's last layer is saturated, or its range is not that of the real pixels"
    watched = {"contrast": 0.2, "white": 0.3, "black": 0.3}
    explains = ("noise ignored", *ALIKE, *BALANCE)

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        saturated = (table["white"] > 0.3) | (table["black"] > 0.3) | (table["greys"] < 0.05)
        faint = (self._contrast(table, facts) < 0.2) & ~(table["sensitivity"] < 0.005)  # else the noise explains it
        return (faint | saturated) & ~improving(table)

    def evidence(self, table: SignalTable, row: int) -> str:
        sentences = {
            "contrast": f"pixels vary {table['contrast'][row]:.2g} x as much as real ones",
            "white": f"{table['white'][row]:+.0%} white pixels against real images",
            "black": f"{table['black'][row]:+.0%} black pixels against real images",
        }
        shown = [sentence for name, sentence in sentences.items() if table.has(name)]
        return ", ".join(shown) or f"pixels' standard deviation {table['pixel_std'][row]:.3g}"

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        published = recipes.get(facts.recipe.name).pixels
        if facts.recipe.pixels != published:
            return f"--pixels {published[0]:g} {published[1]:g}"
        return f"--generator-optimizer.lr {facts.recipe.generator_optimizer.lr / 5:.2g} --seed {facts.seed + 1}"

    def _contrast(self, table: SignalTable, facts: Facts) -> Column:
        """Standard deviation of generated pixels over the data's, from signals or from metrics."""
        if table.has("contrast") or not facts.pixel_std:
            return table["contrast"]
        return table["pixel_std"] / facts.pixel_std


class NoiseIgnored(Rule):
    """For other noise images change by under 0.005 of real distances, or by 5 % of their peak and do not improve."""

    name = "noise ignored"
    what = "The generator makes the same image whatever its noise."
    cause = (
        "noise does not get through: a broken path, batch norm over equal inputs, dropout that drowns it, or collapse"
    )
    watched = {"sensitivity": 0.005, "distance": 0.1}
    evidence_from = ("sensitivity", "distance")
    explains = ALIKE

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        # Healthy runs pass under 5 % of their peak on their way: `mlp` at step 400.
        sensitivity = table["sensitivity"]
        peak = np.maximum.accumulate(np.nan_to_num(sensitivity, nan=0.0))
        return (sensitivity < 0.005) | ((sensitivity < 0.05 * peak) & ~improving(table))

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        if facts.recipe.noise.scale < 0.5:
            return "--noise.scale 1"
        return "--generator.dropout 0" if facts.recipe.generator.dropout > 0 else another_recipe(facts.recipe)


class Oscillation(Rule):
    """A wave in the discriminator's loss, over 15 % of it, while images do not improve; a problem from 50 %."""

    name = "oscillation"
    what = "The players chase each other round: losses swing, and images do not settle."
    cause = "players that learn by turns, momentum, or rates that do not fall"
    watched = {"discriminator_loss": None, "generator_loss": None}
    evidence_from = ("discriminator_loss", "generator_loss", "gap")
    explains = (*ALIKE, *BALANCE)

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        return wave(table["discriminator_loss"], 0.15) & ~improving(table)

    def severe(self, table: SignalTable, facts: Facts) -> Mask:
        return wave(table["discriminator_loss"], 0.5)  # runs that settle stay under 0.2

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        optimizers = {
            "generator": facts.recipe.generator_optimizer,
            "discriminator": facts.recipe.discriminator_optimizer,
        }
        high = [player for player, each in optimizers.items() if each.kind == "adam" and each.beta1 > 0.5]
        if high:
            return " ".join(f"--{player}-optimizer.beta1 0.5" for player in high)
        return " ".join(f"--{player}-optimizer.decay 1e-3" for player in optimizers)


class TotalCollapse(Rule):
    """Images lie under half as far apart as real ones and do not improve, or under 0.02; a problem under 0.2."""

    name = "total collapse"
    what = "Images are nearly all alike."
    cause = "the generator found what fools the discriminator and makes only that"
    watched = {"distance": 0.2, "sensitivity": None, "gap": None}
    evidence_from = ("distance", "sensitivity", "gap")
    explains = DETAIL

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        return (table["distance"] < 0.02) | ((table["distance"] < 0.5) & ~improving(table))

    def severe(self, table: SignalTable, facts: Facts) -> Mask:
        return table["distance"] < 0.2

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        return diversify(facts)


class VanishingGradient(Rule):
    """The generator's gradient is under 1e-3 of its running median while the discriminator is right in 0.95."""

    name = "vanishing gradient"
    what = "The discriminator no longer tells the generator which way is better."
    cause = "its answers are saturated"
    watched = {"generator_gradient": 1e-7, "discriminator_accuracy": 0.95}
    evidence_from = ("generator_gradient", "discriminator_accuracy", "generator_loss")
    explains = ("discriminator overpowers", *DETAIL)

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        gradient = table["generator_gradient"]
        none = gradient <= np.maximum(1e-3 * running_median(gradient), 1e-7)
        return none & (table["discriminator_accuracy"] > 0.95)

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        return weaken_discriminator(facts.recipe)


class DiscriminatorOverpowers(Rule):
    """Right in 0.98 with hardly any loss; a problem when images do not improve, or after 1,200 steps of it."""

    name = "discriminator overpowers"
    what = "The discriminator tells all images apart and learns no more; the generator cannot follow."
    cause = "it learns faster than the generator, or sees something the generator cannot change"
    watched = {"discriminator_accuracy": 0.98, "discriminator_loss": None, "generator_loss": None}
    evidence_from = ("discriminator_accuracy", "discriminator_loss", "generator_loss", "gap")
    explains = DETAIL
    patience = 500

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        target = facts.recipe.real_label  # smoothed labels leave the loss more than 0 at best
        least = 0.0 if target == 1 else -(target * math.log(target) + (1 - target) * math.log(1 - target)) / 2
        loss = table["discriminator_loss"] / (2 if facts.recipe.reduction == "sum" else 1)
        return (table["discriminator_accuracy"] > 0.98) & (loss - least < 0.05)

    def severe(self, table: SignalTable, facts: Facts) -> Mask:
        # `mlp` shows it from step 300 to 1,300, and gets over it.
        return ~improving(table) | mostly(self.shows(table, facts), table.steps, 1200)

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        return weaken_discriminator(facts.recipe)


class DiscriminatorTooWeak(Rule):
    """Right in under 0.6 while the gap stays over 0.3, or while 0.9 of generated images pass for real."""

    name = "discriminator too weak"
    what = "The discriminator guesses, while images are far from real ones."
    cause = "it learns too slowly or is too small to see the difference"
    watched = {"discriminator_accuracy": 0.6, "generator_accuracy": 0.9, "gap": 0.3}
    evidence_from = ("discriminator_accuracy", "generator_accuracy", "gap")
    explains = DETAIL

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        far = (table["gap"] > 0.3) & stagnant(table)
        return (table["discriminator_accuracy"] < 0.6) & (far | (table["generator_accuracy"] > 0.9))

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        own, other = facts.recipe.discriminator_optimizer.lr, facts.recipe.generator_optimizer.lr
        if own < other:
            return f"--discriminator-optimizer.lr {other:.2g}"
        return f"--discriminator.width {min(16.0, 2 * facts.recipe.discriminator.width):g}"


class GeneratorCopies(Rule):
    """More images nearer to training than to test images than chance explains (95 %, and a margin of 0.05)."""

    name = "generator copies"
    what = "Images are nearer to training images than they would be by chance: some may be copies."
    cause = "few training images, seen very often"
    watched = {"closer_to_train": 0.55}
    evidence_from = ("closer_to_train",)
    explains = ("discriminator overpowers",)

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        share = table["closer_to_train"]
        hits: Mask = share - 1.96 * np.sqrt(share * (1 - share) / 256) > 0.55
        return hits

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        return f"--steps {max(1, int(table.steps[row]) // 2)}"


class DiscriminatorMemorises(Rule):
    """Test images fall on the generated side of the middle between training and generated ones; a warning only."""

    name = "discriminator memorises"
    what = "The discriminator knows the training images by heart: it takes unseen real ones for half generated."
    cause = "few training images, or a discriminator too large for them"
    watched = {"logit_train": None, "logit_holdout": None, "logit_fake": None}
    evidence_from = ("logit_train", "logit_holdout", "logit_fake")

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        train, fake = table["logit_train"], table["logit_fake"]
        return (train - table["logit_holdout"] > 0.5 * (train - fake)) & (train - fake > 0.5)

    def severe(self, table: SignalTable, facts: Facts) -> Mask:
        return np.zeros(len(table), dtype=bool)  # the best published GANs show it too

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        if facts.recipe.discriminator.dropout < 0.4:
            return "--discriminator.dropout 0.4"
        return f"--discriminator.width {facts.recipe.discriminator.width / 2:g}"


class PartialCollapse(Rule):
    """Entropy of the classes under 0.85 of the real one, or a class under 0.2 of its share; a problem under 0.7."""

    name = "partial collapse"
    what = "Some classes are hardly made, or one takes most of the images."
    cause = "the generator settled on what is easiest to pass off"
    watched = {"entropy": 0.85, "least_share": 0.2, "top_share": None}

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        missing = (table["entropy"] < 0.85) | (table["least_share"] < 0.2)
        return missing & ~improving(table) & ~(trend(table, "entropy") > 1.15)

    def severe(self, table: SignalTable, facts: Facts) -> Mask:
        return table["entropy"] < 0.7

    def evidence(self, table: SignalTable, row: int) -> str:
        recent = table["top_class"][max(0, row - 9) : row + 1]
        changes = int((np.diff(recent) != 0).sum())
        shares = (
            f"entropy of the classes {table['entropy'][row]:.2f} of the real one, the rarest class at "
            f"{table['least_share'][row]:.0%} of its share, class {table['top_class'][row]:.0f} makes up "
            f"{table['top_share'][row]:.0%}"
        )
        hops = f"; the commonest class changed {changes} times in {len(recent)} rows: it hops"
        return shares + (hops if changes > 3 else "")

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        return diversify(facts)


class NoiseLikeImages(Rule):
    """Neighbouring pixels differ 3 x as much as real ones (a problem), or 6 x the fine detail, and do not improve."""

    name = "noise-like images"
    what = "Images are rough as noise, far more than real ones."
    cause = "the discriminator does not see fine detail, or the pixel range or order of layers is wrong"
    watched = {"total_variation": 3, "high_frequency": 6}
    evidence_from = ("total_variation", "high_frequency", "gap")

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        rough = (table["total_variation"] > 3) | (table["high_frequency"] > 6)
        return rough & ~improving(table) & ~(trend(table, "total_variation") < 0.85)

    def severe(self, table: SignalTable, facts: Facts) -> Mask:
        return table["total_variation"] > 3

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        if facts.recipe.discriminator.dropout < 0.3:
            return "--discriminator.dropout 0.4"
        return another_recipe(facts.recipe)


class Checkerboard(Rule):
    """The finest pattern is twice as strong as in real images and does not fade; a problem from 2.5 x."""

    name = "checkerboard"
    what = "Images carry a pattern of every second pixel."
    cause = "transposed convolutions whose kernel their stride does not divide"
    watched = {"checkerboard": 2}
    evidence_from = ("checkerboard",)

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        return (table["checkerboard"] > 2) & ~(trend(table, "checkerboard") < 0.85)  # whatever else improves

    def severe(self, table: SignalTable, facts: Facts) -> Mask:
        return table["checkerboard"] > 2.5

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        return "--recipe dcgan-upsample"  # upsample, then convolve (Odena et al. 2016)


class KindsImpure(Rule):
    """Under 0.6 of the training images are of the commonest class of their kind; a warning."""

    name = "kinds impure"
    what = "The kinds that both players are told mix several classes: they say little about an image."
    cause = "too few kinds, or classes that do not differ in their pixels"
    watched = {"kind_purity": 0.6}
    evidence_from = ("kind_purity",)

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        return table["kind_purity"] < 0.6

    def severe(self, table: SignalTable, facts: Facts) -> Mask:
        return np.zeros(len(table), dtype=bool)

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        return "--conditional"  # the purity is known where the data have labels


class LabelsIgnored(Rule):
    """Under 0.8 of the images are of the class requested, and not getting more; a problem under 0.5."""

    name = "labels ignored"
    what = "Images are often not of the class that was requested."
    cause = "the labels do not reach one of the players"
    watched = {"label_accuracy": 0.8}
    evidence_from = ("label_accuracy",)

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        return (table["label_accuracy"] < 0.8) & ~(trend(table, "label_accuracy") > 1.15)

    def severe(self, table: SignalTable, facts: Facts) -> Mask:
        return table["label_accuracy"] < 0.5

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        return f"--conditional {'auxiliary' if facts.recipe.conditional == 'projection' else 'projection'}"


RULES: tuple[Rule, ...] = (
    PenaltyTooStrong(),
    DeadDiscriminator(),
    Exploding(),
    LateCollapse(),
    LateDecline(),
    BlankOrSaturated(),
    NoiseIgnored(),
    Oscillation(),
    TotalCollapse(),
    VanishingGradient(),
    DiscriminatorOverpowers(),
    DiscriminatorTooWeak(),
    GeneratorCopies(),
    DiscriminatorMemorises(),
    PartialCollapse(),
    NoiseLikeImages(),
    Checkerboard(),
    KindsImpure(),
    LabelsIgnored(),
)
"""In the order of cause before consequence."""
