"""How well held-out digits are completed and enlarged: by a generator, by the nearest training image, by bicubic.

    python benchmarks/complete.py [GENERATOR] [--digits 40] [-o benchmarks/results/complete.json]

Of each digit of MNIST's test split a half is hidden, or it is made small by 4. Error: root mean square over the hidden
part (or the whole, enlarged), in grey levels. Read: share whose class the judge, a network that was trained on real
digits alone, reads as that of the real one. The floor of "read" is its rate on the digits themselves.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import gansmith as gs
from gansmith import data, latent
from gansmith.encoders import encoder as encoders

SEED = 7
ANSWERS = 4
HALVES = {"left kept": np.s_[:, :14], "top kept": np.s_[:14]}


def read(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """The share that the judge reads as their class."""
    logits = encoders.judge("mnist").encode(images).logits
    assert logits is not None
    return float((logits.argmax(1) == labels).mean())


def rms(a: NDArray[np.uint8], b: NDArray[np.uint8], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Root mean square difference (N,) over some pixels."""
    away = (a.astype(np.float64) - b)[..., where]
    return np.sqrt((away**2).mean(axis=(-1, -2)))


def nearest(train: NDArray[np.uint8], given: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The training image nearest to each row."""
    a, b = (part.reshape(len(part), -1).astype(np.float32) for part in (given, train))
    return ((a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)).argmin(1)


def small(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """28x28 made 7x7 by means."""
    return images.reshape(-1, 1, 7, 4, 7, 4).mean((3, 5)).round().astype(np.uint8)


def row(
    name: str, images: NDArray[np.uint8], real: NDArray[np.uint8], labels: NDArray[np.int64], where: NDArray[np.bool_]
) -> dict[str, object]:
    """One method's figures; ``images`` (P, N, ...) are several answers, the first the best in what is known."""
    errors = np.stack([rms(images[:, k], real, where) for k in range(images.shape[1])])
    found = {
        "method": name,
        "error": errors[0].mean(),
        "best of answers": errors.min(0).mean(),
        "read": read(images[:, 0], labels),
    }
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", nargs="?", default="mnist")
    parser.add_argument("--digits", type=int, default=40)
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    test, train = data.load("mnist", split="test"), data.load("mnist")
    rows = np.random.default_rng(SEED).choice(len(test), options.digits, replace=False)
    assert test.labels is not None
    real, labels = test.take(rows), test.labels[rows]
    everything = train.take(np.arange(len(train)))
    generator = gs.load(options.generator)
    tables: dict[str, list[dict[str, object]]] = {}
    begun = time.perf_counter()
    for name, place in HALVES.items():
        known = np.zeros((28, 28), bool)
        known[place] = True
        found = latent.complete(generator, real, known, n=ANSWERS)
        near = everything[nearest(everything[..., known], real[..., known])]
        mean = np.broadcast_to(everything.mean(0).round().astype(np.uint8), real.shape)
        tables[name] = [
            row("generator", found.images, real, labels, ~known),
            row("nearest in train", np.where(known, real, near)[:, None], real, labels, ~known),
            row("mean of train", np.where(known, real, mean)[:, None], real, labels, ~known),
        ]
    found = latent.enlarge(generator, small(real), n=ANSWERS)
    bicubic = np.stack(
        [np.asarray(Image.fromarray(each[0]).resize((28, 28), Image.Resampling.BICUBIC))[None] for each in small(real)]
    )
    near = everything[nearest(small(everything), small(real))]
    whole = np.ones((28, 28), bool)
    tables["enlarged from 7x7"] = [
        row("generator", found.images, real, labels, whole),
        row("nearest in train", near[:, None], real, labels, whole),
        row("bicubic", bicubic[:, None], real, labels, whole),
    ]
    result = {
        **{"generator": options.generator, "digits": options.digits, "answers": ANSWERS, "tables": tables},
        **{"real digits read": read(real, labels), "seconds": round(time.perf_counter() - begun, 1)},
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
