"""The Hugging Face hub: a run's generator with its card and its figures, for others."""

from gansmith.hub.pushing import Pushed, push

__all__ = ["Pushed", "push"]
