"""Whose real images may stand in a page that is passed on."""

LICENCES = {"mnist": "MNIST by Yann LeCun, Corinna Cortes and Christopher Burges, CC BY-SA 3.0"}
"""The data sets whose licence lets them be shared, and what must be said then."""


def may_be_shared(data: str) -> bool:
    """Whether the images of a data set of this name may be put into a page without being asked for."""
    return data in LICENCES


def credit(data: str) -> str | None:
    """What must be said beside images of a data set; None where nothing is known."""
    return LICENCES.get(data)
