"""The command line in several processes: one is killed, one gets a signal, their number changes, they differ."""

import ast
import os
import re
import shlex
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from torch._C._distributed_c10d import TCPStore
from torch.distributed.run import get_args_parser

from benchmarks import faults
from gansmith.cli import main
from gansmith.experiment import together
from gansmith.runs import Run, checkpoint
from gansmith.training import meeting

LENGTH = ["--steps", "120", "--checkpoint-every", "20"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def without_torchrun(
    data: Path, out: Path, *more: str, other: tuple[str, ...] = (), processes: int = 2, port: int = 0, **own: str
) -> list[subprocess.Popen[str]]:
    """Processes with the environment of torchrun; all but the first are given ``other`` and variables ``own`` too."""
    verb = [sys.executable, "-m", "gansmith", "train", str(data), "--seed", "1", "--out", str(out), "--quiet"]
    line = [*verb, *faults.SMALL, *faults.NARROW, *more]
    common = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port or free_port()),
        meeting.SECONDS: "60",
    }
    return [
        subprocess.Popen(
            [*line, *(other if rank else ())],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **common,
                **(own if rank else {}),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(processes),
            },
        )
        for rank in range(processes)
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faults.source(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def killed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, Path]:
    """(exit code, what was said, folder of runs) of a launch of two, of which one was killed."""
    out = tmp_path_factory.mktemp("killed")
    line = faults.command(data, out, processes=2, restarts=2, more=LENGTH)
    code, said, _, done = faults.launch(line, out, faults.stop(signal.SIGKILL, 1))
    assert done.startswith("SIGKILL")
    return code, said, out


def unbroken(data: Path, out: Path, length: list[str]) -> Path:
    """The newest checkpoint of two processes that nothing happened to."""
    both = without_torchrun(data, out, *length)
    said = [each.communicate(timeout=300)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    return faults.last(out)


def test_a_killed_process_is_started_again_and_the_run_ends_in_the_bytes_of_one_unbroken(
    killed: tuple[int, str, Path], data: Path, tmp_path: Path
) -> None:
    code, said, out = killed
    assert code == 0, said
    assert said.count("process 1 of 2 died or cannot be reached") == 1  # one line, of one process
    (path,) = (path.parent for path in out.glob("[!l]*/run.json"))
    assert Run(path).finished
    assert faults.same(faults.last(out), unbroken(data, tmp_path, LENGTH))


def test_a_signal_to_one_stops_both_and_one_process_goes_on(data: Path, tmp_path: Path) -> None:
    both = without_torchrun(data, tmp_path, "--steps", "100000", "--checkpoint-every", "20")
    while faults.step_of(tmp_path) == 0 and both[0].poll() is None:
        pass
    both[1].send_signal(signal.SIGTERM)
    said = [each.communicate(timeout=120)[0] for each in both]
    assert [each.returncode for each in both] == [130, 130], said
    assert said[1] == ""
    (path,) = (path.parent for path in tmp_path.glob("[!l]*/run.json"))
    newest = checkpoint.newest(Run(path).checkpoints, [])
    assert newest is not None
    step = checkpoint.state(newest)["step"]
    assert main(["train", "--resume", str(path), "--steps", str(step + 5), "--quiet"]) == 0
    assert faults.step_of(tmp_path) == step + 5


def test_processes_that_were_told_different_things_are_refused(data: Path, tmp_path: Path) -> None:
    both = without_torchrun(data, tmp_path, *LENGTH, other=("--noise.size", "50"))
    said = [each.communicate(timeout=120)[0] for each in both]
    assert [each.returncode for each in both] == [2, 2]
    assert said[0] == "gansmith: process 1 has another command; start all 2 alike\n"
    assert said[1] == ""
    assert not list(tmp_path.iterdir())


def test_what_one_cannot_begin_with_it_says_itself(data: Path, tmp_path: Path) -> None:
    first, second = without_torchrun(data, tmp_path, *LENGTH, other=("--nois.size", "50"))
    said = second.communicate(timeout=120)[0]
    first.kill()  # which would wait for it
    first.communicate()
    assert second.returncode == 2
    assert said == "gansmith: process 1 of 2: Unknown option: --nois.size. Did you mean --noise.size?\n"


def test_what_none_can_begin_with_is_said_once(data: Path, tmp_path: Path) -> None:
    line = faults.command(data, tmp_path, processes=2, restarts=0, more=["--nois.size", "50"])
    code, said, *_ = faults.launch(line, tmp_path / "out")
    assert code == 1
    assert said.count("Unknown option") == 1, said


def test_a_port_that_another_program_has_is_a_line_from_each(data: Path, tmp_path: Path) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as other:  # it hangs up
        threading.Thread(target=other.serve_forever, daemon=True).start()
        port = other.server_address[1]
        both = without_torchrun(data, tmp_path, *faults.LENGTH, port=port)
        said = [each.communicate(timeout=120)[0] for each in both]
        other.shutdown()
    assert [each.returncode for each in both] == [2, 2]
    assert [each.count("\n") for each in said] == [1, 1], said
    assert said[0].startswith(
        f"gansmith: port {port} cannot be opened (Address already in use): another program has it"
    )
    assert said[1].startswith(f"gansmith: process 1 of 2: what answers at 127.0.0.1:{port} is not process 0")
    assert not list(tmp_path.iterdir())


POISON = """
import os
from gansmith import own
calls = []

@own.loss("poisoned")
def poisoned(real, fake):
    calls.append(1)
    by_d, by_g = real.square().mean() + (1 - fake).square().mean(), fake.square().mean()
    if os.environ["RANK"] == "1" and len(calls) > 20:
        by_d = by_d + WHAT
    return by_d, by_g
"""


@pytest.mark.parametrize(
    ("processes", "what", "value"), [(2, "loss", "float('nan')"), (3, "gradient", "(0 * real).square().sum().sqrt()")]
)
def test_what_is_not_finite_in_one_process_stops_all(
    processes: int, what: str, value: str, data: Path, tmp_path: Path
) -> None:
    own = tmp_path / "parts.py"
    own.write_text(POISON.replace("WHAT", value))
    all_ = without_torchrun(data, tmp_path / "runs", "--recipes", str(own), "--loss", "poisoned", processes=processes)
    said = [each.communicate(timeout=120)[0] for each in all_]
    assert [each.returncode for each in all_] == [2] * processes, said
    assert re.fullmatch(
        rf"gansmith: training diverged: step \d+: the discriminator's {what} is not finite in process 1 of "
        rf"{processes}; there is no good checkpoint yet; try a lower learning rate\n",
        said[0],
    ), said[0]
    assert said[1:] == [""] * (processes - 1)


def test_a_restart_takes_only_the_run_of_its_own_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(launch: str, *agents: str) -> Path | None:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", launch)
        monkeypatch.setattr(together, "_agents", lambda: list(agents))
        return together.begun_run(tmp_path)

    path = tmp_path / "noise-mlp-001"
    path.mkdir()
    (path / "run.json").write_text("{}")
    assert of("today", "a", "b") is None
    together.note_run(tmp_path, Run(path))
    assert of("tomorrow", "a", "b") is None
    assert of("today", "a", "b") == path  # a restart
    assert of("today", "c", "b") == path  # of which one torchrun took another's place
    assert of("today", "d", "c") == path  # and then another
    assert of("today", "a", "b") is None  # a new launch of the same name


def test_a_torchrun_is_known_by_when_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    assert together._agent() == together._agent()
    names = set()
    for _ in range(2):
        with subprocess.Popen(["sleep", "9"]) as other:
            monkeypatch.setattr(os, "getppid", lambda other=other: other.pid)
            names.add(together._agent().rpartition("-")[2])
            other.kill()
        time.sleep(0.02)
    assert len(names) == 2


def node(
    data: Path,
    out: Path,
    port: int,
    address: str,
    *,
    store: str = "127.0.0.1",
    before: tuple[str, ...] = (),
    **own: str,
) -> subprocess.Popen[bytes]:
    """A torchrun of one process, as on one of two machines; the lower address gets process 0."""
    options = f"--nnodes 2 --nproc-per-node 1 --rdzv-backend c10d --rdzv-id night --rdzv-endpoint {store}:{port}"
    options += " --rdzv-conf is_host=false,keep_alive_interval=1,join_timeout=300"
    options += f" --max-restarts 3 --monitor-interval 0.1 --local-addr {address}"
    verb = [*before, sys.executable, "-m", "torch.distributed.run", *options.split(), "-m", "gansmith", "train"]
    small = [*faults.SMALL, *faults.NARROW, *faults.LENGTH]
    line = [*verb, str(data), "--seed", "1", "--out", str(out), "--quiet", *small]
    own = {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", **own}
    return subprocess.Popen(line, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", [True, False])
def test_a_node_that_dies_is_replaced_and_the_run_ends_in_the_same_bytes(
    first: bool, data: Path, tmp_path: Path
) -> None:
    """The node that has process 0, whose place is taken by one that gets it too, or the other.

    The rendezvous is kept by a third program.
    """
    port = free_port()
    kept = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    nodes = [node(data, tmp_path, port, address) for address in ("127.0.0.2", "127.0.0.3")]
    while faults.step_of(tmp_path) == 0:
        assert [each.poll() for each in nodes] == [None, None]
        time.sleep(0.05)
    rank = 0 if first else 1
    (victim,) = (each for each in nodes if rank in faults.children(each))
    worker = faults.children(victim)[rank]
    for each in (victim.pid, worker):
        os.kill(each, signal.SIGKILL)
    nodes.remove(victim)
    nodes.append(node(data, tmp_path, port, "127.0.0.1" if first else "127.0.0.4"))
    assert [each.wait(timeout=600) for each in nodes] == [0, 0]
    assert victim.wait() == -signal.SIGKILL
    del kept
    (path,) = (path.parent for path in tmp_path.glob("[!l]*/run.json"))
    assert Run(path).finished
    assert faults.same(faults.last(tmp_path), unbroken(data, tmp_path / "unbroken", list(faults.LENGTH)))


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces, at 10.77.0.2 and 10.77.0.3, on a bridge at 10.77.0.1; skips where they cannot be made."""
    names = (f"gansmith-{os.getpid()}-a", f"gansmith-{os.getpid()}-b")
    bridge = f"gs{os.getpid() % 100_000}"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("addr", "add", "10.77.0.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number, name in enumerate(names):
            ip("netns", "add", name)
            ip("link", "add", f"{bridge}{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{bridge}{number}", "master", bridge, "up")
            ip("-n", name, "addr", "add", f"10.77.0.{number + 2}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", name, "link", "set", device, "up")
        yield names
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces here ({error})")
    finally:
        for words in (("link", "del", bridge), *(("netns", "del", name) for name in names)):
            with suppress(OSError, subprocess.CalledProcessError):
                ip(*words)


def runs(process: int) -> bool:
    """Whether it does; not what is dead and unburied."""
    with suppress(OSError):
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    return False


@pytest.mark.timeout(900)
def test_a_line_that_is_cut_and_mended_leaves_the_same_bytes(
    hosts: tuple[str, str], data: Path, tmp_path: Path
) -> None:
    port = free_port()
    kept = TCPStore("10.77.0.1", port, is_master=True, wait_for_workers=False)
    own = {meeting.SECONDS: "10", "GLOO_SOCKET_IFNAME": "eth0"}

    def on(number: int) -> subprocess.Popen[bytes]:
        there = ("ip", "netns", "exec", hosts[number])
        return node(data, tmp_path, port, f"10.77.0.{number + 2}", store="10.77.0.1", before=there, **own)

    first, second = on(0), on(1)
    try:
        while faults.step_of(tmp_path) == 0:
            assert [first.poll(), second.poll()] == [None, None]
            time.sleep(0.05)
        workers = set(faults.children(first).values()) | set(faults.children(second).values())
        line = ["ip", "-n", hosts[1], "link", "set", "eth0"]
        subprocess.run([*line, "down"], check=True)
        while any(map(runs, workers)):  # each gives the other up; after 60 s torchrun would give up too
            time.sleep(0.1)
        subprocess.run([*line, "up"], check=True)
        assert [first.wait(timeout=300), second.wait(timeout=300)] == [0, 0]
    finally:
        for each in (first, second):
            each.kill()
    del kept
    (path,) = (path.parent for path in tmp_path.glob("[!l]*/run.json"))
    assert Run(path).finished
    assert faults.same(faults.last(tmp_path), unbroken(data, tmp_path / "unbroken", list(faults.LENGTH)))


def test_documented_launches_are_understood() -> None:
    text = (Path(__file__).parents[2] / "docs" / "scale.md").read_text().replace("\\\n", " ")
    lines = re.findall(r"^ *(?:srun )?torchrun (.*-m gansmith.*)$", text, re.MULTILINE)
    assert len(lines) == 9
    for line in lines:
        words = [re.sub(r"^\$[A-Z_]+$", "2", word) for word in shlex.split(re.sub(r"\$\(.*?\)", "first", line))]
        given = get_args_parser().parse_args(words)
        assert (given.module, given.training_script) == (True, "gansmith")
        assert given.training_script_args[0] in ("train", "evaluate", "mint")
    (script,) = re.findall(r"```sh\n(#!.*?)```", text, re.DOTALL)
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert "gs.train(" in ast.unparse(ast.parse(code))
