# %% [markdown]
# # Five lessons in one
#
# Five tutorials, trained as their authors describe them, and what each teaches. A few steps are enough to see where each begins; the
# [lessons](../lessons/mlp.md) tell of the whole way.

# %%
import gansmith as gs

lessons = {
    "mlp": "dense layers alone: the game in its simplest form",
    "mlp-bn": "batch normalisation, for Fashion-MNIST",
    "deconv": "transposed convolutions, and where their checkerboard comes from",
    "dcgan-transpose": "the DCGAN's generator",
    "dcgan-upsample": "upsampling, then convolutions",
}
gs.recipes.get("mlp")

# %% [markdown]
# Layers, one recipe against another:

# %%
for name in lessons:
    generator, discriminator = gs.recipes.parameters(gs.recipes.get(name))
    print(f"{name:16} {generator:>10,} + {discriminator:>10,} parameters: {lessons[name]}")

# %% [markdown]
# Train one, and have it examined. What the doctor finds has evidence, a cause, and something to try.

# %%
run = gs.train("mnist", recipe="mlp", steps=2000)
gs.examine(run)
