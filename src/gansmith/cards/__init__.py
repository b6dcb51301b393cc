"""The card of a release: what it is, how good, how useful, and how much it tells of the images it was trained on."""

from gansmith.cards.contents import Card
from gansmith.cards.making import card

__all__ = ["Card", "card"]
