"""How fast the studio answers: a step of the game, a slider of Explore with its picture, lists, 50 visitors at once.

`python -m benchmarks.studio` starts a studio over an empty folder, trains one small run, and prints a table in
milliseconds (median and 95 %), and the server's memory before and after. About a minute on two cores.

`python -m benchmarks.studio --frames 10000` asks for so many pictures of Explore instead, beside a client that never
reads its WebSocket and clients that are killed, and prints what the server and its worker hold on the way.
"""

import argparse
import random
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx

import gansmith as gs

VISITORS = 50
ASKED = 20
"""Requests of each visitor."""


def main() -> None:
    """Measures, and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=0, help="pictures of Explore, in a row; memory on the way")
    frames = parser.parse_args().frames
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "runs"
        run = gs.train("mnist", recipe="mlp", steps=200, out=out).name
        command = [sys.executable, "-m", "gansmith", "studio", str(out), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = next(line.strip() for line in process.stdout if "http://" in line)
            try:
                if frames:
                    endurance(url, run, process.pid, frames)
                else:
                    measure(url, run, process.pid)
            finally:
                process.terminate()


def measure(url: str, run: str, pid: int) -> None:
    """All measurements of a running studio."""
    root, _, token = url.partition("/?token=")

    def visitor() -> httpx.Client:
        return httpx.Client(base_url=root, headers={"authorization": f"Bearer {token}"}, timeout=60)

    with visitor() as client:
        client.get("/api/about/ready")
        game = client.post("/api/game", json={"recipe": "mlp-bn"}).json()["id"]
        before = memory(pid)
        for name, ask in {
            "a step of the game with its frame": lambda: client.post(f"/api/game/{game}", json={"steps": 1}),
            "the list of runs": lambda: client.get("/api/runs"),
            "a run": lambda: client.get(f"/api/runs/{run}"),
            "a sheet": lambda: client.get(f"/api/runs/{run}/sheets/0.png"),
            "two dozen samples": lambda: client.get(f"/api/runs/{run}/samples?seed=1"),
            "nearest training images": lambda: client.get(f"/api/runs/{run}/neighbours?index=1"),
        }.items():
            report(name, timed(ask, 10 if "nearest" in name else 50))
        for name, seconds in exploring(client).items():
            report(name, seconds)
    report(
        f"{VISITORS} visitors at once, each {ASKED} pages of a run",
        crowd(visitor, lambda at: at.get(f"/api/runs/{run}")),
    )
    report(f"{VISITORS} explorers at once, each {ASKED} pictures", crowd(visitor, moved))
    print(f"server's memory: {before:.0f} MiB before, {memory(pid):.0f} MiB after")


def endurance(url: str, run: str, pid: int, frames: int) -> None:
    """Memory over so many pictures, beside WebSocket clients that never read, and others that are killed."""
    from websockets.sync.client import connect

    root, _, token = url.partition("/?token=")
    headers = {"authorization": f"Bearer {token}"}

    def watcher() -> Any:
        address = f"{root.replace('http', 'ws')}/api/runs/{run}/live"
        return connect(address, additional_headers=headers, max_queue=1, ping_interval=None)

    deaf = [watcher() for _ in range(5)]  # which never read
    with httpx.Client(base_url=root, headers=headers, timeout=60) as client:
        client.get("/api/explore/mnist/directions").raise_for_status()
        for number in range(10):
            report(f"{number * frames // 10:,} pictures", timed(lambda: moved(client), frames // 10))
            held = [f"{memory(each):.0f}" for each in [pid, *children(pid)]]
            print(f"  MiB held by the server and its workers: {', '.join(held)}", flush=True)
            killed = watcher()
            killed.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            killed.socket.close()
    for each in deaf:
        each.socket.close()


def children(pid: int) -> list[int]:
    """The processes that a process started (Linux)."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def moved(client: httpx.Client) -> httpx.Response:
    """A slider of Explore moved anywhere: the picture of the pretrained generator, recipe `house`."""
    point = {"index": random.randrange(48), "moves": [random.uniform(-3, 3) for _ in range(4)]}
    return client.post("/api/explore/mnist/picture", json={"point": point})


def exploring(client: httpx.Client) -> dict[str, list[float]]:
    """Seconds of what the page Explore asks for."""
    start = time.perf_counter()
    client.get("/api/explore/mnist/directions").raise_for_status()
    first = time.perf_counter() - start
    map_, film = "/api/explore/mnist/map", "/api/explore/mnist/film"
    points = [{"index": 1}, {"index": 2}, {"index": 3}]
    return {
        "directions of `house`, once": [first, first],
        "a slider and its picture (`house`)": timed(lambda: moved(client), 200),
        "48 samples (`house`)": timed(lambda: client.get("/api/explore/mnist/wall.png?seed=1"), 30),
        "a map of 49 images": timed(lambda: client.post(map_, json={"point": {"index": 1}}), 30),
        "a film of 48 frames": timed(lambda: client.post(film, json={"points": points}), 10),
    }


def timed(ask: Callable[[], Any], count: int) -> list[float]:
    """Seconds of each of so many requests, after one that is not counted."""
    ask()
    found = []
    for _ in range(count):
        start = time.perf_counter()
        ask().raise_for_status()
        found.append(time.perf_counter() - start)
    return found


def crowd(visitor: Callable[[], httpx.Client], ask: Callable[[httpx.Client], httpx.Response]) -> list[float]:
    """Seconds of each request of many visitors at once; raises where one is not answered."""
    found: list[float] = []

    def visit() -> None:
        with visitor() as client:
            found.extend(timed(lambda: ask(client), ASKED))

    threads = [threading.Thread(target=visit) for _ in range(VISITORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == VISITORS * ASKED
    return found


def report(name: str, seconds: list[float]) -> None:
    """A row of the table."""
    middle, late = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
    print(f"{name:55} {middle * 1000:7.1f} ms {late * 1000:7.1f} ms")


def memory(pid: int) -> float:
    """MiB that a process holds (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    main()
