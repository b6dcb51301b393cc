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
# Train each as its article says, for so few steps that all five take some minutes on two cores: where each begins, and how much it learns
# in them. The sheets show the same noise of each.

# %%
quick = ("mlp", "mlp-bn", "deconv")
slow = ("dcgan-transpose", "dcgan-upsample")
begun = {name: gs.train("mnist", recipe=name, steps=150) for name in quick}
begun |= {name: gs.train("mnist", recipe=name, steps=20) for name in slow}

# %%
begun["mlp-bn"].sample(32)

# %%
begun["deconv"].sample(32)

# %%
begun["dcgan-upsample"].sample(32)

# %% [markdown]
# Then one of them longer, and have it examined. What the doctor finds has evidence, a cause, and something to try.

# %%
run = gs.train("mnist", recipe="mlp", steps=2000)
gs.examine(run)
