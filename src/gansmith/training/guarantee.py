"""What a private training promises: (epsilon, delta), the noise that it takes, and the words for it; no torch here."""

import warnings

from gansmith.errors import UserError
from gansmith.recipe import Recipe, Value

CLIP = 1.0
ACCOUNTANT = "rdp"
DELTA = 1e-5


class Privacy(Value):
    """What a private training promises, and by what: (epsilon, delta) for the presence of any one training image."""

    epsilon: float
    delta: float
    noise: float
    """Standard deviation of the noise, in units of the clipping norm."""
    clip: float
    rate: float
    """With which probability an image is in a batch."""
    updates: int
    """Of the discriminator, at most: each charged once."""
    accountant: str
    """Name and version."""

    @property
    def words(self) -> str:
        """The guarantee in a sentence."""
        return (
            f"({self.epsilon:g}, {self.delta:g})-differential privacy for any one training image (add or remove), of "
            f"the generator's weights and whatever is made with them: DP-SGD, noise {self.noise:.3f} x clipping norm "
            f"{self.clip:g}, each image in a batch with probability {self.rate:.3g} (Poisson), {self.updates:,} "
            f"updates of the discriminator; accountant: {self.accountant}. The classes and the number of images are "
            "taken for public; choices that people made by looking at results are not counted, nor are a run's own "
            "files beside the generator; noise is of PyTorch's generator, which is not a cryptographic one"
        )


def plan(recipe: Recipe, images: int, epsilon: float, delta: float) -> Privacy:
    """How much noise a training needs. Raises UserError for a guarantee that cannot be given, or opacus missing."""
    if delta >= 1 / images:
        raise UserError(
            f"`delta` {delta:g}: of {images:,} images give less than {1 / images:.1g}, or one may leak whole"
        )
    try:
        import opacus
        from opacus.accountants.utils import get_noise_multiplier
    except ImportError:
        raise UserError("`private` needs opacus: pip install 'gansmith[private]'") from None
    rate = recipe.batch_size / images
    updates = recipe.steps * recipe.discriminator_updates
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on orders that are not the best ones: the bound holds all the same
            noise = get_noise_multiplier(
                target_epsilon=epsilon, target_delta=delta, sample_rate=rate, steps=updates, accountant=ACCOUNTANT
            )
    except ValueError:
        raise UserError(
            f"`epsilon` {epsilon:g}: no noise gives that over {updates:,} updates with `delta` {delta:g}; give a "
            "larger one, or train for fewer steps"
        ) from None
    return Privacy(
        epsilon=epsilon,
        delta=delta,
        noise=noise,
        clip=CLIP,
        rate=rate,
        updates=updates,
        accountant=f"{ACCOUNTANT.upper()} of opacus {opacus.__version__}",
    )
