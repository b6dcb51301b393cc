"""Makes a golden run for each recipe that has none: what this version leaves on disk, for all later ones to read.

Golden runs are never made again: that a later gansmith reads them is the point. To add one, name it in VARIANTS and
run `python tests/frozen/make_golden.py` in the repository's root.
"""

import json
import shutil
import tempfile
from contextlib import chdir
from pathlib import Path

import numpy as np

from gansmith.cli import main

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
SMALL = "--generator.width 0.02 --discriminator.width 0.02 --noise.size 8 --batch-size 8 --size 8 --steps 6"
MACHINE = "--threads 1 --precision fp32 --device cpu"
EVERY = "--log-every 1 --signals-every 2 --sheet-every 3 --checkpoint-every 6 --evaluate-every 0 --quiet"
MEASURED = "--log-every 1 --signals-every 2 --sheet-every 3 --checkpoint-every 3 --evaluate-every 3 --quiet"
VARIANTS = {
    "mlp": f"--recipe mlp {MEASURED} --sanity-steps 2",
    "mlp-bn": f"--recipe mlp-bn {EVERY}",
    "deconv": f"--recipe deconv {EVERY}",
    "dcgan-upsample": f"--recipe dcgan-upsample {EVERY}",
    "dcgan-transpose": f"--recipe dcgan-transpose {EVERY}",
    "mlp-projection": f"--recipe mlp --conditional projection {EVERY}",
    "mlp-bn-auxiliary": f"--recipe mlp-bn --conditional auxiliary {EVERY}",
}
DRAWN = ("*.png", "*.webp", "report.html", ".lock", "samples")  # large, and drawn again by `report` and `--resume`


def shapes(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Bars, beams and diagonals: images uint8 (N, 8, 8) and their classes (N,)."""
    labels = np.arange(count) % 3
    images = np.zeros((count, 8, 8), np.uint8)
    for image, label in zip(images, labels, strict=True):
        place, value = rng.integers(1, 7), rng.integers(150, 256)
        across, down = (np.arange(8), place) if label == 1 else (place, np.arange(8))
        image[down, across if label < 2 else (np.arange(8) + place) % 8] = value
    return np.minimum(images + rng.integers(0, 20, images.shape), 255).astype(np.uint8), labels


def make(name: str, folder: Path) -> None:
    """Trains and evaluates one in ``folder``, and keeps what is small and of no machine."""
    assert main(["train", "shapes.npz", *f"{SMALL} {MACHINE} {VARIANTS[name]}".split(), "--out", name]) == 0
    run = (folder / name / "last").resolve().rename(folder / "runs" / name)
    assert main(["evaluate", str(run), "--samples", "128", "--json"]) == 0
    for pattern in DRAWN:
        for path in run.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for file, changes in {
        "data.json": {"source": "shapes.npz"},
        "environment.json": {"system": "Linux", "processor": "a processor"},
    }.items():
        about = json.loads((run / file).read_text())
        (run / file).write_text(json.dumps(about | changes, indent=2) + "\n")
    shutil.copytree(run, GOLDEN / name)


if __name__ == "__main__":
    source = GOLDEN / "shapes.npz"
    if not source.exists():
        rng = np.random.default_rng(0)
        train, test = shapes(384, rng), shapes(128, rng)
        np.savez_compressed(
            source, train_images=train[0], train_labels=train[1], test_images=test[0], test_labels=test[1]
        )
    with tempfile.TemporaryDirectory() as place, chdir(place):
        shutil.copy(source, "shapes.npz")
        Path("runs").mkdir()
        for variant in VARIANTS:
            if not (GOLDEN / variant).exists():
                make(variant, Path(place))
