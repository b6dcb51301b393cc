"""A studio in a process of its own."""

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx


@dataclass
class Studio:
    """A running studio."""

    process: subprocess.Popen[str]
    url: str
    folder: Path

    @property
    def root(self) -> str:
        """The address without the token."""
        return self.url.partition("/?")[0]

    @property
    def token(self) -> str:
        """The token of the address."""
        return self.url.partition("token=")[2]

    def client(self, **more: Any) -> httpx.Client:
        """A program that knows the token."""
        return httpx.Client(base_url=self.root, headers={"authorization": f"Bearer {self.token}"}, timeout=60, **more)

    def kill(self) -> None:
        """Ends the server as a crash does."""
        self.process.kill()
        self.end()

    def end(self) -> None:
        """Ends the server as Ctrl-C does, if it still runs."""
        self.process.terminate()
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(folder: Path, *words: str, port: int = 0) -> Studio:
    """Starts a studio over a folder of runs, and waits for its address."""
    command = [sys.executable, "-m", "gansmith", "studio", str(folder), "--port", str(port), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder.parent)
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(r"http://\S+", line):
            return Studio(process, found[0], folder)
    process.stdout.close()
    process.wait(20)
    raise AssertionError(said)


def wait_for(what: Any, seconds: float = 120) -> Any:
    """What a function returns once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come")
