"""The game by hand: a few steps of both players, or of one alone, and what the discriminator makes of every image.

It trains copies in memory and writes nothing. `open_game` begins with untrained networks or with a run's newest
checkpoint; `advance` makes steps; each returns a frame, plain values that a page draws.
"""

import math
from base64 import b64encode
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gansmith import data, recipes, render
from gansmith.data import Batches, kinds
from gansmith.doctor import signals
from gansmith.doctor.signals import Bank
from gansmith.errors import UserError
from gansmith.experiment.prepare import prepare
from gansmith.generator import generate, to_uint8
from gansmith.recipe import Recipe
from gansmith.runs import Run, checkpoint
from gansmith.training import loop, losses
from gansmith.training.step import (
    StepOutput,
    TrainState,
    discriminate,
    discriminator_gradients,
    end_step,
    generator_gradients,
    gradients_of_both,
    step,
    update_discriminator,
    update_generator,
)

Players = Literal["both", "discriminator", "generator"]
MOST = 12
"""Games at once; the one that was left alone longest gives way."""
FORGED, REAL = 24, 8
"""Images that a frame shows."""
BINS = 41
REACH = 8.0
"""Histograms are of the log-odds that an image is real, from -REACH to REACH, where probabilities are 0.03 % and
99.97 %; what lies beyond is in the outermost bins."""
LARGEST = 64
"""Height and width of an image in a frame."""
MOST_STEPS = 200
"""Of one call, so that nobody waits long for theirs."""
CPU = torch.device("cpu")
_games: OrderedDict[str, "Game"] = OrderedDict()


class OverError(UserError):
    """The game is no longer there."""


@dataclass
class Game:
    """Two players with their data, and how often each has learned."""

    recipe: Recipe
    state: TrainState
    batches: Batches
    bank: Bank
    seed: int
    about: dict[str, Any]
    turns: int = 0
    """Batches that were drawn; steps of one player alone count too."""
    learned: dict[str, int] = field(default_factory=lambda: {"discriminator": 0, "generator": 0})
    last: StepOutput | None = None

    @property
    def shrink(self) -> int:
        """How many times smaller than they are images are shown, so that a frame stays small."""
        return max(1, self.recipe.size // LARGEST)

    def advance(self, players: Players, steps: int) -> None:
        """Steps of both players, or of one alone, each on a batch of its own. Raises DivergenceError as training."""
        if players != "both" and recipes.entry(self.recipe.name).step is not None:
            raise UserError(f"recipe {self.recipe.name} has a step of its own, in which no player can be left out")
        for _ in range(steps):
            loop.seed_all(loop.stream(self.seed, self.turns), CPU)
            real, labels = loop.batch_at(self.batches, self.turns, self.recipe, CPU)
            self.last = self._turn(players, real, labels)
            loop.check_finite(self.last, self.state.step)
            self.turns += 1
            for player in self.learned:
                self.learned[player] += players in ("both", player)

    def _turn(self, players: Players, real: Tensor, labels: Tensor | None) -> StepOutput:
        state, recipe = self.state, self.recipe
        if players == "both":
            own = recipes.entry(recipe.name).step
            return step(state, recipe, real, labels) if own is None else own(state, recipe, real, labels)
        if recipe.one_pass:
            output = gradients_of_both(state, recipe, real, labels)
        else:
            real = real[: recipe.batch_size]
            labels = None if labels is None else labels[: recipe.batch_size]
            first = discriminator_gradients(state, recipe, real, labels)
            output = generator_gradients(state, recipe, first, labels, real=real)
        if players == "discriminator":
            update_discriminator(state, recipe)
        else:
            update_generator(state, recipe)
        end_step(state, recipe)
        return output

    def frame(self) -> dict[str, Any]:
        """What can be seen now: images with their scores, histograms of all scores, and where D would have changes."""
        bank, recipe = self.bank, self.recipe
        black, white = recipe.pixels
        with torch.no_grad(), signals.inference(self.state.generator, recipe):
            forged = generate(self.state.generator, bank.noise, bank.told).float()
        real = [bank.train] if bank.holdout is None else [bank.train, bank.holdout]
        shown = torch.cat([*((images * (white - black) + black) for images in real), forged])
        shown = shown.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), signals.inference(self.state.discriminator, None):
            logits = discriminate(self.state.discriminator, shown, bank.shown)[0].float().flatten()
        count = len(bank.train)
        odds = log_odds(logits, count * len(real), recipe.loss)
        groups = {"real": odds[:count], "forged": odds[count * len(real) :]}
        if bank.holdout is not None:
            groups["held"] = odds[count : 2 * count]
        pixels = to_uint8(F.avg_pool2d(torch.cat([forged[:FORGED], shown[:REAL]]), self.shrink), recipe.pixels)
        return {
            "step": self.state.step,
            "learned": dict(self.learned),
            "paired": losses.is_paired(recipe.loss),
            "histograms": {name: histogram(values) for name, values in groups.items()},
            "right": {name: share(values, name != "forged") for name, values in groups.items()},
            "size": [pixels.shape[-1], recipe.channels],
            "images": b64encode(render.png(render.sheet(pixels, columns=8, scale=1, gap=0))).decode(),
            "forged": probabilities(groups["forged"][:FORGED]),
            "real": probabilities(groups["real"][:REAL]),
            "changes": self._changes(forged[:FORGED], shown[:REAL], logits[:count]),
            "losses": None
            if self.last is None
            else [round(float(self.last.discriminator_loss), 4), round(float(self.last.generator_loss), 4)],
        }

    def _changes(self, forged: Tensor, real: Tensor, on_real: Tensor) -> dict[str, Any]:
        """Where each forged image would be made brighter or darker to pass: minus the gradient of G's loss by it.

        Signed bytes for each image and pixel, of the largest of all, averaged over colours.
        """
        images = forged.detach().clone().contiguous(memory_format=torch.channels_last).requires_grad_()
        conditions = None if self.bank.shown is None or self.bank.told is None else self.bank.told[: len(images)]
        weights = list(self.state.discriminator.parameters())
        for weight in weights:
            weight.requires_grad_(False)
        try:
            with torch.enable_grad(), signals.inference(self.state.discriminator, None):
                on_fake = discriminate(self.state.discriminator, images, conditions)[0]
                partners = on_real[torch.arange(len(images)) % len(on_real)][:, None]
                paired = partners if losses.needs_real(self.recipe.loss) else None
                loss = losses.generator_loss(on_fake, kind=self.recipe.loss, real=paired)
                (slope,) = torch.autograd.grad(loss, [images])
        finally:
            for weight in weights:
                weight.requires_grad_(True)
        wish = F.avg_pool2d(-slope.mean(dim=1), self.shrink)
        most = float(wish.abs().flatten(1).amax(dim=1).quantile(0.9))
        scaled = (wish / max(most, 1e-30) * 127).clamp(-127, 127).to(torch.int8)
        return {"most": most, "values": b64encode(scaled.numpy().tobytes()).decode()}


def log_odds(logits: Tensor, count: int, game: str) -> Tensor:
    """Log-odds that each image is real, where the first ``count`` logits are of real ones.

    The logits themselves in the first game of all; in others, whose answers are no probabilities, their distance from
    the middle of real and generated ones (or from 0.5 for "least-squares"), in the same scale.
    """
    if losses.is_paired(game):
        return logits - (logits[:count].mean() + logits[count:].mean()) / 2
    return (logits - 0.5) * 2 * math.log(9) if game == "least-squares" else logits


def histogram(odds: Tensor) -> list[float]:
    """Shares of images in BINS bins of the same width."""
    counts = np.histogram(odds.clamp(-REACH, REACH).numpy(), BINS, (-REACH, REACH))[0]
    return [round(float(each), 4) for each in counts / max(1, len(odds))]


def share(odds: Tensor, real: bool) -> float:
    """The share of images that the discriminator takes for what they are."""
    return round(float(((odds > 0) == real).float().mean()), 4)


def probabilities(odds: Tensor) -> list[float]:
    """The probabilities that images are real."""
    return [round(float(each), 4) for each in torch.sigmoid(odds)]


def of_run(path: Path) -> Game:
    """A game that begins where a run's newest checkpoint is. Raises UserError where there is none, or data changed."""
    run = Run(path)
    recipe, about = run.recipe, run.data
    newest = checkpoint.newest(run.checkpoints, [])
    if newest is None:
        raise UserError(f"{run.name} has no checkpoint yet; wait for its first")
    checkpoint.check_run(newest, run.identity)
    dataset = data.load(about.source, size=recipe.size, fit=about.fit)
    if dataset.fingerprint != about.fingerprint:
        raise UserError(f"the data of {run.name} changed since it was trained")
    found = kinds.load(run.path / "kinds.npz", len(dataset)) if recipe.kinds and recipe.labelled else None
    game = _game(recipe, dataset, found, about.fit, run.settings.seed, {"run": run.name, "data": about.name})
    checkpoint.restore(newest, game.state)
    game.turns = game.state.step
    return game


def fresh(source: str, recipe: str, seed: int) -> Game:
    """A game between untrained networks. Raises UserError for data or a recipe that cannot be trained."""
    experiment = prepare(
        source, recipe=recipe, steps=20_000, seed=seed, device="cpu", evaluate_every=0, signals_every=0, threads=1
    )
    about = {"run": None, "data": experiment.dataset.name}
    return _game(experiment.recipe, experiment.dataset, experiment.kinds, experiment.fit, seed, about)


def _game(
    recipe: Recipe, dataset: data.Dataset, found: kinds.Kinds | None, fit: data.Fit, seed: int, about: dict[str, Any]
) -> Game:
    told = dataset if found is None else found.told(dataset)
    held = signals.holdout(dataset, fit)
    return Game(
        recipe,
        loop.new_state(recipe, seed=seed, device=CPU, places=None if found is None else found.places),
        Batches(told, recipe.batch_images, seed, pack=recipe.pack, alike=recipe.labelled),
        signals.bank(recipe, dataset, held, seed=seed, device=CPU, kinds=found),
        seed,
        {**about, "recipe": recipe.name, "loss": recipe.loss, "batch_size": recipe.batch_size, "seed": seed},
    )


def open_game(game_id: str, *, run: Path | None, source: str, recipe: str, seed: int) -> dict[str, Any]:
    """Begins a game, and returns what it is about and its first frame."""
    torch.set_num_threads(1)
    game = of_run(run) if run is not None else fresh(source, recipe, seed)
    _games[game_id] = game
    while len(_games) > MOST:
        _games.popitem(last=False)
    return {"about": game.about, "frame": game.frame()}


def play(game_id: str, players: Players, steps: int) -> dict[str, Any]:
    """Makes steps, and returns the frame after them. Raises OverError where the game is no longer there."""
    game = _games.get(game_id)
    if game is None:
        raise OverError("this game is over: the studio keeps the last few alone; begin again")
    _games.move_to_end(game_id)
    torch.set_num_threads(1)
    game.advance(players, min(steps, MOST_STEPS))
    return game.frame()


def close(game_id: str) -> None:
    """Ends a game."""
    _games.pop(game_id, None)
