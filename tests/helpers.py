"""What several tests build: options with nothing left open."""

from typing import Any

from gansmith.training.options import Settings


def settings(**given: Any) -> Settings:
    """Settings on one thread of the CPU in fp32, with what is given."""
    return Settings(**{"device": "cpu", "precision": "fp32", "threads": 1, **given})


ARTICLES = ["dcgan-upsample", "dcgan-transpose", "deconv", "mlp", "mlp-bn"]
"""The recipes of tutorials."""
PAPERS = ["dcgan", "infogan", "lsgan", "wgan-gp", "acgan", "sngan", "r3gan"]
"""The recipes of papers."""
