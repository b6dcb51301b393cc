"""What classifiers say of images: the classifier score, shares of the classes, and how many images are recognised."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gansmith.metrics.validate import Array, Labels, checked, parts

CONFIDENCE = 0.8
"""Probability from which on a classifier counts as recognising an image."""


def classifier_score(logits: ArrayLike) -> float:
    """exp of the mean KL(p(y|x) ‖ p(y)), from 1 (one class, or unsure of all) to K (Salimans et al. 2016).

    Their Inception Score, with another classifier and over all samples at once: do not put the two side by side.
    Classifiers are sure of noise too: give :func:`recognised` beside it.

    Args:
        logits: (N, K).

    Raises:
        ValueError: no samples, NaN or infinity.
    """
    values = checked(logits, "the classifier score", "generated")
    marginal = np.zeros(values.shape[1])
    negative_entropy = 0.0
    for part in parts(len(values)):
        log_p = log_softmax(values[part])
        p = np.exp(log_p)
        marginal += p.sum(axis=0)
        negative_entropy += float((p * log_p).sum())
    return math.exp(max(0.0, negative_entropy / len(values) + entropy(marginal / len(values))))


def predicted(logits: ArrayLike) -> Labels:
    """The likeliest class of each sample: (N, K) -> int64 (N,); the first of equals."""
    labels: Labels = checked(logits, "the predicted class", "generated").argmax(axis=1).astype(np.int64)
    return labels


def class_shares(labels: ArrayLike, classes: int) -> Array:
    """The share of each class, float64 (classes,), summing to 1.

    Args:
        labels: class numbers (N,) from 0 to classes - 1; see :func:`predicted`.
        classes: how many there are.

    Raises:
        ValueError: no labels, not whole numbers, or out of range.
    """
    return counts(labels, classes) / np.asarray(labels).size


def counts(labels: ArrayLike, classes: int) -> Array:
    """How often each class occurs, as float64 (classes,). Raises ValueError as :func:`class_shares`."""
    values = np.asarray(labels)
    if values.ndim != 1 or values.dtype.kind not in "iu" or not values.size:
        raise ValueError(
            f"class shares need whole-number labels of shape (samples,), got {values.dtype} {values.shape}: without "
            "labels or a classifier, use precision, recall, density, coverage and NDB"
        )
    if values.min() < 0 or values.max() >= classes:
        raise ValueError(f"labels lie in 0 to {classes - 1}, got {values.min()} to {values.max()}")
    return np.bincount(values.astype(np.int64), minlength=classes).astype(np.float64)


def entropy(shares: ArrayLike) -> float:
    """−∑ p ln p of shares that sum to 1, in nats: ln K for K equal classes, 0 for one."""
    p = np.asarray(shares, np.float64)
    if p.size == 0 or not np.isfinite(p).all() or p.min() < 0 or abs(p.sum() - 1) > 1e-6:
        raise ValueError("entropy is of shares that are 0 or more and sum to 1")
    return -xlogx(p) + 0.0


def xlogx(p: Array) -> float:
    """∑ p ln p, where 0 ln 0 = 0."""
    some = p[p > 0]
    return float((some * np.log(some)).sum())


@dataclass(frozen=True)
class Recognised:
    """On how many images two classifiers agree.

    Attributes:
        share: of images to which both give the same class with that confidence.
        chance: bare agreement that two independent classifiers with these class shares would reach: 1 if both call
            all images the same.
        agrees: bool (N,), image by image.
    """

    share: float
    chance: float
    agrees: NDArray[np.bool_]


def recognised(logits_a: ArrayLike, logits_b: ArrayLike, *, confidence: float = CONFIDENCE) -> Recognised:
    """The share of images that two independently trained classifiers give the same class, both fairly sure of it.

    A single classifier is sure of some noise; and two without regard to how sure they are may call all noise the same
    class: the shipped ones of MNIST agree on 84 % of uniform noise, but on 1 % of it at 0.8, against 97 % of the test
    digits.

    Args:
        logits_a: (N, K) of one classifier.
        logits_b: (N, K) of the other, image by image.
        confidence: count an agreement only where both give the class this probability or more; 0 for bare agreement.

    Raises:
        ValueError: other shapes, no samples, NaN or infinity.
    """
    a = checked(logits_a, "the share recognised", "generated")
    b = checked(logits_b, "the share recognised", "generated")
    if a.shape != b.shape:
        raise ValueError(f"the share recognised needs logits of the same images and classes, got {a.shape}, {b.shape}")
    agrees = a.argmax(axis=1) == b.argmax(axis=1)
    if confidence > 0:
        for logits in (a, b):
            agrees &= np.exp(log_softmax(logits).max(axis=1)) >= confidence
    width = a.shape[1]
    chance = float(class_shares(a.argmax(axis=1), width) @ class_shares(b.argmax(axis=1), width))
    return Recognised(float(agrees.mean()), chance, agrees)


def log_softmax(logits: Array) -> Array:
    """Log-probabilities (N, K), finite for any finite logits of ordinary size."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
