"""The metrics against published implementations, on seeded features.

torchmetrics, prdc, scikit-learn and scipy run beside ours. torch-fidelity needs torchvision, so its values are kept
here as version 0.4.0 gave them on the same features (its functions of features, torchvision's names stubbed).
"""

import warnings

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from numpy.typing import NDArray
from prdc import compute_prdc
from scipy.spatial import cKDTree
from scipy.spatial.distance import jensenshannon
from sklearn.cluster import KMeans
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from gansmith.metrics.classes import class_shares, classifier_score, entropy
from gansmith.metrics.confidence import bootstrap, of_share, over_seeds
from gansmith.metrics.frechet import Gaussian, frechet
from gansmith.metrics.kid import kid
from gansmith.metrics.memorisation import memorisation
from gansmith.metrics.ndb import Bins, jensen_shannon, ndb
from gansmith.metrics.prdc import nearest, support

Array = NDArray[np.float64]

TORCH_FIDELITY = {
    "frechet": 7.190299415432719,
    "kid": 1.900497959278077,
    "score": 3.7171448448217443,
    "precision 3": 88 / 300,
    "recall 3": 70 / 400,
    "precision 5": 125 / 300,
    "recall 5": 111 / 400,
}
"""Of 300 generated against 400 real (kid: the first 300 in one subset); score of the logits in one split."""


def seeded() -> tuple[Array, Array, Array]:
    """Real (400, 16), generated (300, 16), logits (500, 10), from the stream that numpy promises to keep."""
    random = np.random.RandomState(2026)
    real = random.standard_normal((400, 16)) @ random.standard_normal((16, 16)) / 4 + 1
    generated = 0.9 * (random.standard_normal((300, 16)) @ random.standard_normal((16, 16)) / 4) + 1.2
    return real, generated, 3 * random.standard_normal((500, 10))


@pytest.fixture(scope="module")
def features() -> tuple[Array, Array]:
    return seeded()[:2]


def network() -> nn.Module:
    """The feature network that torchmetrics asks for: none."""
    identity = nn.Identity()
    identity.num_features = 16  # type: ignore[assignment]
    return identity


def test_torch_fidelity(features: tuple[Array, Array]) -> None:
    real, generated = features
    assert frechet(real, generated) == pytest.approx(TORCH_FIDELITY["frechet"], rel=1e-9)
    assert kid(real[:300], generated, subsets=1, size=300).value == pytest.approx(TORCH_FIDELITY["kid"], rel=1e-9)
    assert classifier_score(seeded()[2]) == pytest.approx(TORCH_FIDELITY["score"], rel=1e-9)
    for k in (3, 5):
        ours = support(real, generated, recall_k=k)
        assert ours.precision == TORCH_FIDELITY[f"precision {k}"]
        assert ours.recall == TORCH_FIDELITY[f"recall {k}"]


def test_torchmetrics(features: tuple[Array, Array]) -> None:
    real, generated = features
    theirs = FrechetInceptionDistance(feature=network())
    theirs.update(torch.from_numpy(real), real=True)
    theirs.update(torch.from_numpy(generated), real=False)
    assert frechet(real, generated) == pytest.approx(float(theirs.compute()), rel=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that features are kept in memory
        kernel = KernelInceptionDistance(feature=network(), subsets=1, subset_size=300)
        score = InceptionScore(feature=network(), splits=1)
    kernel.update(torch.from_numpy(real[:300]), real=True)
    kernel.update(torch.from_numpy(generated), real=False)
    mean, _ = kernel.compute()
    assert kid(real[:300], generated, subsets=1, size=300).value == pytest.approx(
        float(mean), rel=1e-5
    )  # theirs float32
    logits = seeded()[2]
    score.update(torch.from_numpy(logits))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a deviation of one split
        mean, _ = score.compute()
    assert classifier_score(logits) == pytest.approx(float(mean), rel=1e-6)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_prdc(features: tuple[Array, Array], k: int) -> None:
    real, generated = features
    theirs = compute_prdc(real, generated, k)
    ours = support(real, generated, recall_k=k, density_k=k)
    for name, value in theirs.items():
        assert getattr(ours, name) == pytest.approx(value, abs=1e-12), name


def test_scipy_matrix_root(features: tuple[Array, Array]) -> None:
    a, b = (Gaussian.of(side) for side in features)
    assert np.allclose(a.covariance, np.cov(features[0], rowvar=False), rtol=1e-12)
    shift = a.mean - b.mean
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance)
    expected = shift @ shift + np.trace(a.covariance + b.covariance - 2 * root.real)
    assert frechet(a, b) == pytest.approx(float(expected), rel=1e-9)


def test_scipy_neighbours(features: tuple[Array, Array]) -> None:
    real, generated = features
    distances, indices = cKDTree(real).query(generated, k=4)
    ours = nearest(generated, real, k=4)
    assert np.allclose(np.sqrt(ours.squares), distances, rtol=1e-12)
    assert (ours.indices == indices).all()
    panel = memorisation(generated, real[:200], real[200:])
    assert np.allclose(panel.distance, cKDTree(real[:200]).query(generated)[0], rtol=1e-12)
    closer = panel.distance < cKDTree(real[200:]).query(generated)[0]
    assert panel.closer.value == closer.mean()
    near = cKDTree(real[:200]).query(real[:200], k=2)[0][panel.nearest, 1]
    assert panel.authentic == (panel.distance > near).mean()


def test_scipy_intervals() -> None:
    values = [3.1, 2.7, 3.6, 3.0]
    low, high = scipy.stats.t.interval(0.95, 3, np.mean(values), scipy.stats.sem(values))
    ours = over_seeds(values)
    assert (ours.low, ours.high) == pytest.approx((low, high), rel=1e-6)
    wilson = scipy.stats.binomtest(37, 120).proportion_ci(0.9, method="wilson")
    share = of_share(37, 120, level=0.9)
    assert (share.low, share.high) == pytest.approx((wilson.low, wilson.high), rel=1e-9)
    sample = seeded()[2][:, 0]
    theirs = scipy.stats.bootstrap(
        (sample,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    drawn = bootstrap(lambda x: float(x.mean()), sample, draws=2000)
    assert (drawn.low, drawn.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_scipy_histograms() -> None:
    p, q = class_shares([0, 0, 1, 2], 4), class_shares([1, 1, 1, 3], 4)
    assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q) ** 2, rel=1e-12)
    assert entropy(p) == pytest.approx(scipy.stats.entropy(p), rel=1e-12)


def test_bins_are_as_tight_as_scikit_learns(features: tuple[Array, Array]) -> None:
    random = np.random.default_rng(0)
    training = np.concatenate([features[0] + 2 * shift for shift in random.standard_normal((5, 16))])
    ours = Bins.of(training, bins=20)
    theirs = KMeans(20, n_init=1, random_state=0).fit(training)
    own = nearest(training, ours.centres).squares.sum()
    assert own < 1.05 * theirs.inertia_
    assert ours.counts.sum() == len(training)
    # The z-test bin by bin, from scipy's chi-squared test of the same two proportions.
    generated = features[1]
    found = ndb(ours, generated)
    labels = nearest(generated, ours.centres).indices[:, 0]
    for index in range(20):
        held = int((labels == index).sum())
        table = [[held, 300 - held], [ours.counts[index], 2000 - ours.counts[index]]]
        chi2 = scipy.stats.chi2_contingency(table, correction=False).statistic
        assert found.z[index] ** 2 == pytest.approx(chi2, rel=1e-9)
    assert found.different == int((2 * scipy.stats.norm.sf(np.abs(found.z)) < 0.05).sum())
