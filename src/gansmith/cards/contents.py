"""What a card says, as values: card.json."""

from gansmith.cards.attack import Attacks
from gansmith.cards.duplicates import Duplicates
from gansmith.cards.usefulness import TwoSample, Usefulness
from gansmith.evaluation.report import Report
from gansmith.minting.manifest import Origin
from gansmith.recipe import Value

FOR = (
    "teaching and trying out methods on images of this kind",
    "adding images to a real training set where the section on usefulness says that it helps",
)
NOT_FOR = (
    "standing in for data that must not be disclosed: there is no privacy guarantee, and the attacks below are those "
    "that were tried, not all there are",
    "evaluating a model: it would be measured against the generator's mistakes",
    "conclusions about the people, things or classes that the real images show, rare ones above all",
)
NOT_PRIVATELY_FOR = (
    "standing in for data that must not be disclosed, unless somebody who knows the data finds the guarantee below "
    "strong enough: it holds for single images, and not for what many of them show"
)
NO_GUARANTEE = "none: the generator was not trained with differential privacy"


class ClassShare(Value):
    """How often a class was asked for, how often it is labelled, and how often an encoder reads it."""

    name: str
    asked: float | None
    labelled: float | None
    read: float | None
    real: float | None
    """As read of real images."""


class Card(Value):
    """All of a card."""

    format: int = 1
    made_by: str = "gansmith"
    gansmith: str
    name: str
    origin: Origin
    source: str
    """The real data: name, counts, fingerprint."""
    public: bool
    """Whether the real data are known by name, so that showing some of them tells nobody anything new."""
    licence: str
    """An identifier of the hub, or "unknown"."""
    command: str
    """What makes the images again."""
    card_command: str
    intended: tuple[str, ...] = FOR
    not_for: tuple[str, ...] = NOT_FOR
    total: int
    measured: int
    shape: tuple[int, int, int]
    labels: str
    layout: str | None
    filters: tuple[str, ...]
    tried: int | None
    """Images that were made, those left out included."""
    classes: tuple[ClassShare, ...]
    duplicates: Duplicates
    report: Report
    two_sample: TwoSample | None
    usefulness: Usefulness | None
    attacks: Attacks | None
    guarantee: str = NO_GUARANTEE
    notes: tuple[str, ...] = ()
