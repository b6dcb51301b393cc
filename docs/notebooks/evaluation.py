# %% [markdown]
# # Reading an evaluation
#
# A figure alone says little: each stands beside its floor, what as many real images score in the place of generated ones.

# %%
import gansmith as gs

report = gs.evaluate("mnist", samples=10_000)  # the generator of MNIST that comes with gansmith
report

# %% [markdown]
# - **Frechet distance** (FD): lower is better; "close to real" is said by the distance and its noise, not by taste.
# - **Precision** falls when images look wrong, **recall** when kinds of images are missing. One is easily bought with the other.
# - **Recognised**: what a second classifier is sure of. **Closer to train than to test**: a sign of copying where it exceeds its floor.
#
# A difference counts only where it exceeds twice the noise:

# %%
gs.compare([gs.evaluate("mnist", samples=10_000, seed=seed) for seed in (0, 100)])

# %% [markdown]
# Truncation trades variety for quality, and figures alone would praise it:

# %%
generator = gs.load("mnist")
gs.latent.truncate(generator, range(12), psis=(0.3, 0.7, 1.0))
