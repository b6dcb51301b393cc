"""The studio: the workshop as a local web page, `gansmith studio`.

It reads run folders and starts trainings in processes of their own; whatever it shows is also a call of the library.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gansmith.studio.server import serve

__all__ = ["serve"]


def __getattr__(name: str) -> Any:
    """Imports the server when it is asked for: it needs the extra `studio`."""
    if name in __all__:
        from gansmith.studio import server

        return getattr(server, name)
    raise AttributeError(f"module 'gansmith.studio' has no attribute {name!r}")
