"""Further Python processes, which never run the script that started them once more."""

import sys
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType


class _Process(SpawnProcess):
    def start(self) -> None:
        """Starts it with no script to import: the child would run all of one that has no ``__main__`` guard."""
        script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            super().start()
        finally:
            sys.modules["__main__"] = script


class Fresh(SpawnContext):
    """multiprocessing's "spawn" for functions of modules: what the script itself defines does not exist there."""

    Process = _Process
