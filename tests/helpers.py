"""What several tests build: options with nothing left open."""

from typing import Any

from gansmith import recipes
from gansmith.training.options import Settings


def settings(**given: Any) -> Settings:
    """Settings on one thread of the CPU in fp32, with what is given."""
    return Settings(**{"device": "cpu", "precision": "fp32", "threads": 1, **given})


ARTICLES = [name for name in recipes.names() if name != "house"]
"""The recipes that are published elsewhere."""
