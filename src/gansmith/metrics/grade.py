"""A Frechet distance in words: the one scale of quality, which hardly moves with the number of images.

What lies beyond the floor, as a share of the real images' total variance. Distance and floor are too large by about the
same at any count, so that their difference is not; the variance has no such bias, and makes one scale of all encoders.
"""

VERY_CLOSE, CLOSE, SOME, FAR, VERY_FAR = (
    "very close to real",
    "close to real",
    "some way from real",
    "far from real",
    "very far from real",
)
TOO_FEW = "too few images to tell"
STEPS = ((0.003, VERY_CLOSE), (0.01, CLOSE), (0.03, SOME), (0.1, FAR))
"""The share up to which each is said; beyond the last, very far."""
SURE = 0.005
"""Twice the noise may be so large a share, or half of what is measured; beyond both, the images are too few."""
LEAST, UNKNOWN = 0.1, 0.25
"""Of the floor: the least noise that is believed, as it is of three sets, and what stands for one not known."""


def beyond(distance: float, *, floor: float, variance: float) -> float:
    """How far images are beyond real ones: (distance - floor) / variance, about 0 for real images.

    Args:
        distance: the Frechet distance of the images from the real ones.
        floor: that of as many real images.
        variance: of the real images' features, summed over dimensions: the trace of their covariance, over 0.
    """
    return (distance - floor) / variance


def words(distance: float, *, floor: float, variance: float, noise: float | None = None) -> str:
    """The distance in words, or that the images are too few to tell.

    Args:
        distance: as of :func:`beyond`, like the next two.
        floor: of as many real images.
        variance: over 0.
        noise: the standard deviation of distance or floor, the larger one; None or 0 if not known.
    """
    share = beyond(distance, floor=floor, variance=variance)
    unsure = 2 * max(noise or abs(floor) * UNKNOWN, abs(floor) * LEAST) / variance
    if unsure > max(SURE, share / 2):
        return TOO_FEW
    return next((word for limit, word in STEPS if share <= limit), VERY_FAR)
