# %% [markdown]
# # Your own recipe
#
# Two networks of your own, any modules of the stated shapes, under a name. Everything else stays as it is.

# %%
from torch import nn

import gansmith as gs
from gansmith import own


@own.recipe("mine", base="house")
def mine(recipe):
    """two small dense networks"""
    pixels = recipe.channels * recipe.size**2
    generator = nn.Sequential(
        nn.Linear(recipe.noise.size, 128),
        nn.LeakyReLU(0.2),
        nn.Linear(128, pixels),
        nn.Sigmoid() if recipe.pixels[0] == 0 else nn.Tanh(),
        nn.Unflatten(1, (recipe.channels, recipe.size, recipe.size)),
    )
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1))
    return generator, discriminator


gs.recipes.get("mine")

# %% [markdown]
# A loss, a penalty and an augmentation are functions registered the same way. Now train it, and change one value at a time:

# %%
run = gs.train("mnist", recipe="mine", steps=1000)
run.sample(16)
