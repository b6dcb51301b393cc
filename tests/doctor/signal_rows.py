"""Rows of metrics and signals as runs write them: of a healthy run of `mlp`, and with each failure in them."""

from typing import Any

import numpy as np

Row = dict[str, Any]


def healthy(count: int = 40, every: int = 250) -> tuple[list[Row], list[Row]]:
    """Rows of metrics and signals as a healthy run of `mlp` writes them: trembling, and near to real images."""
    rng = np.random.default_rng(0)
    metrics, rows = [], []
    for step in range(10, count * every + 1, 10):
        accuracy = 0.75 + rng.normal() * 0.05
        metrics.append(
            {
                "step": step,
                "discriminator_loss": 0.52 + rng.normal() * 0.05,
                "generator_loss": 1.7 + rng.normal() * 0.2,
                "discriminator_accuracy": accuracy,
                "generator_accuracy": 0.13 + rng.normal() * 0.03,
                "pixel_mean": 0.13,
                "pixel_std": 0.28,
            }
        )
    for number in range(1, count + 1):
        rows.append(
            {
                "step": number * every,
                "distance": 0.9 + rng.normal() * 0.02,
                "sensitivity": 0.88 + rng.normal() * 0.02,
                "gap": 0.03 + rng.random() * 0.01,
                "entropy": 0.96 + rng.normal() * 0.01,
                "least_share": 0.5 + rng.random() * 0.1,
                "top_class": float(rng.integers(10)),
                "top_share": 0.17,
                "label_accuracy": 0.97,
                "kind_purity": 0.9,
                "logit_train": 1.4 + rng.normal() * 0.1,
                "logit_holdout": 1.4 + rng.normal() * 0.1,
                "logit_fake": -1.5 + rng.normal() * 0.1,
                "logit_spread": 2.3,
                "accuracy": 0.82,
                "generator_gradient": 6 + rng.normal(),
                "discriminator_gradient": 3 + rng.random() * 5,
                "contrast": 0.9,
                "black": -0.3,
                "white": 0.005,
                "greys": 2.6,
                "total_variation": 1.3,
                "high_frequency": 2.1,
                "checkerboard": 1.1 + rng.random() * 0.3,
                "closer_to_train": 0.5 + rng.normal() * 0.02,
            }
        )
    return metrics, rows


SICK: dict[str, dict[str, Any]] = {
    "dead discriminator": {"logit_spread": 0.0, "discriminator_accuracy": 0.5, "generator_gradient": 0.0},
    "exploding": {"generator_loss": lambda i: 200.0 * i, "generator_gradient": lambda i: 6.0 * 4**i},
    "blank or saturated": {"white": 0.6},
    "noise ignored": {"sensitivity": 1e-4},
    "total collapse": {"distance": 0.07, "gap": 0.8},
    "vanishing gradient": {"generator_gradient": 1e-9, "discriminator_accuracy": 0.99},
    "discriminator overpowers": {"discriminator_accuracy": 1.0, "discriminator_loss": 0.17, "gap": 0.8},
    "discriminator too weak": {"discriminator_accuracy": 0.5, "gap": 0.6},
    "partial collapse": {"entropy": 0.4, "least_share": 0.0, "top_share": 0.8},
    "noise-like images": {"total_variation": 5.0, "high_frequency": 12.0},
    "checkerboard": {"checkerboard": 5.0},
    "generator copies": {"closer_to_train": 0.9},
    "discriminator memorises": {"logit_train": 4.0, "logit_holdout": -1.0},
    "penalty too strong": {"discriminator_accuracy": 0.5, "gap": 0.6},
    "kinds impure": {"kind_purity": 0.3},
    "late decline": {},
    "labels ignored": {"label_accuracy": 0.2},
    "late collapse": {"gap": lambda i: 0.05 + 0.1 * i},
    "oscillation": {"discriminator_loss": lambda i: 0.5 + 0.45 * np.sin(i)},
}


def sick(changes: dict[str, Any], *, since: int = 0) -> tuple[list[Row], list[Row]]:
    """Healthy rows with some values changed from a row on; functions are given the number of rows since."""
    metrics, rows = healthy()
    start = rows[since]["step"]
    for row in [*metrics, *rows]:
        if row["step"] >= start:
            number = (row["step"] - start) / 250
            for name, value in changes.items():
                if name in row:
                    row[name] = value(number) if callable(value) else value
    return metrics, rows
