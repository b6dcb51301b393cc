# %% [markdown]
# # Quickstart
#
# Train a generator on MNIST for two minutes, look at what it makes, and measure it.

# %%
import gansmith as gs

run = gs.train("mnist", minutes=2)
run

# %% [markdown]
# `run` is a folder, and knows its generator. Sample 7 of seed 0 is the same image on every machine.

# %%
run.sample(32, seed=0)

# %%
generator = gs.load(run)
z = generator.latents(2, seed=0)
generator((z[0] + z[1]) / 2)  # what lies half way between samples 0 and 1

# %% [markdown]
# From one sample to another and on, paced so that the image changes evenly:

# %%
gs.latent.morph(generator, [3, 14, 15], frames=24)
