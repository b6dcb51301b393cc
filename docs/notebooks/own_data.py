# %% [markdown]
# # Your own data
#
# A folder of pictures, a zip, an `.npz`, arrays: whatever holds images. It is decoded once, and looked at before anything is trained.

# %%
import numpy as np

import gansmith as gs

digits = gs.data.load("mnist")
images, labels = digits.take(np.arange(512)), digits.labels[:512]  # in the place of your own
mine = gs.data.load((images, labels))
mine

# %% [markdown]
# Few images are learned by heart if nothing is done about it; `augment` shows the discriminator moved copies.

# %%
run = gs.train(mine, steps=1000, evaluate_every=0, **{"augment": {"share": 0.5, "shift": 0.1}})
run.sample(16)

# %% [markdown]
# What lies nearest among the training images? Copies would be obvious here.

# %%
near = gs.latent.neighbours(gs.load(run), [0, 1, 2, 3], mine)
near
