"""The real images that a generator's are held against: which they are, their features, and how a trade is measured."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gansmith import data, runs
from gansmith.data import Dataset, Fit
from gansmith.encoders.encoder import Encoder
from gansmith.errors import UserError
from gansmith.evaluation import reference
from gansmith.generator import Generator
from gansmith.progress import Progress


def dataset_of(
    generator: Generator, where: str | Path, source: str | Path | None = None, *, progress: Progress | None = None
) -> tuple[Dataset, Fit]:
    """The training images behind a generator, and how they were fitted to squares.

    Args:
        generator: whose size and channels they are brought to.
        where: the run (folder, name, "last") or exported folder that the generator was loaded from.
        source: other data, by name or path.
        progress: told about long work with data.

    Raises UserError in one line where nobody knows the data, or they have other channels.
    """
    fit: Fit = "crop"
    known = None
    if source is None and (Path(where) / "model.safetensors").exists():
        source = str(generator.about.get("data", ""))
        if source not in data.names():
            raise UserError(f"{where}: an exported generator does not say where its data are; name them with `data`")
    elif source is None:
        facts = runs.find(where).data
        source, fit, known = facts.source, facts.fit, facts.fingerprint
    found = data.load(source, size=generator.recipe.size, fit=fit, progress=progress)
    if known not in (None, found.fingerprint):
        raise UserError(f"{source}: the data changed since training began; restore them, or name others with `data`")
    if found.shape[0] != generator.recipe.channels:
        raise UserError(
            f"{source}: has {found.shape[0]} channels, the generator {generator.recipe.channels}; name other `data`"
        )
    return found, fit


def features(dataset: Dataset, encoder: Encoder, *, progress: Progress | None = None) -> NDArray[np.float64]:
    """An encoder's features (N, D) of all images of a data set, kept in the cache for the next time."""
    key = reference.key_of(kind="features of all", data=dataset.fingerprint, encoder=encoder.card.digest)
    kept = reference.recall(key)
    if kept is not None and kept[0].get("features", np.empty(0)).shape == (len(dataset), encoder.dimensions):
        return kept[0]["features"]
    everything = reference.Part(dataset, np.arange(len(dataset)))
    found = reference.encode(everything, encoder, progress=progress).features
    reference.remember(key, {"features": found}, {})
    return found
