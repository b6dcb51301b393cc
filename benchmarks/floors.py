"""Makes what the package ships of real images: the floors of `evaluate`, and the measure of quality while training.

    PYTHONPATH=src python -m benchmarks.floors

Of each data set with a name, under the standard protocols. To be made again where a key changed: with the version,
an encoder, the data, or the counts of images. Needs Fashion-MNIST's files.
"""

import os
import shutil
import tempfile
from pathlib import Path

from gansmith import data, files
from gansmith.cli.output import progress
from gansmith.evaluation import cache, floors, online, pipeline
from gansmith.evaluation.features import Encoders
from gansmith.evaluation.real import of_data
from gansmith.evaluation.reference import divide

SMALL = 500_000
"""Bytes: larger entries, which hold features, are left to each machine."""
WHOLE = ("mnist",)
"""Data whose images come with gansmith: features of all of them are shipped too, in 8 bits."""


def main() -> None:
    """Writes the entries into the package, in the place of those that are there."""
    target, cache.SHIPPED = cache.SHIPPED, Path("nowhere")
    with tempfile.TemporaryDirectory() as fresh:
        os.environ["GANSMITH_CACHE"] = fresh
        for name in data.names():
            print(name)
            real = of_data(name)
            floors.prepare(divide(real.train, real.held_out, pipeline.SAMPLES), Encoders.choose(real.train), progress)
            online.frechet_reference(real.train)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for path in sorted(Path(fresh, "references").iterdir()):
            if path.stat().st_size < SMALL:
                shutil.copyfile(path, target / path.name)
                print(f"{path.name}: {path.stat().st_size:,} bytes")
        for name in WHOLE:
            ship_all_of(name, target)


def ship_all_of(name: str, target: Path) -> None:
    """Writes features of all training images, in 8 bits, into a folder."""
    real = of_data(name)
    key, _ = floors.whole(real.train, Encoders.choose(real.train).encoder)
    stored = cache.read(key)
    assert stored is not None
    features, values = floors.rounded(stored[0]["features"])
    cache.write(key, {"features": features}, values)  # over the exact ones, in the cache of this run
    path = files.cache_dir() / "references" / cache.file_name(key)
    shutil.copyfile(path, target / path.name)
    print(f"{path.name}: {path.stat().st_size:,} bytes, all training images of {name}")


if __name__ == "__main__":
    main()
