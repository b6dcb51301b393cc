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
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from benchmarks import faults
from gansmith.cli import main
from gansmith.experiment import together
from gansmith.files import read_tensors
from gansmith.runs import Run, checkpoint
from gansmith.training import meeting

LENGTH = ["--steps", "120", "--checkpoint-every", "20"]


def without_torchrun(
    data: Path, out: Path, *more: str, other: tuple[str, ...] = (), processes: int = 2, port: int = 0, **own: str
) -> list[subprocess.Popen[str]]:
    """Processes with the environment of torchrun; all but the first are given ``other`` and variables ``own`` too."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    verb = [sys.executable, "-m", "gansmith", "train", str(data), "--seed", "1", "--out", str(out), "--quiet"]
    line = [*verb, *faults.SMALL, *faults.NARROW, *more]
    common = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
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


def test_a_killed_process_is_started_again_and_the_run_ends_as_one_alone(
    killed: tuple[int, str, Path], data: Path, tmp_path: Path
) -> None:
    code, said, out = killed
    assert code == 0, said
    assert said.count("process 1 of 2 died or cannot be reached") == 1  # one line, of one process
    (path,) = (path.parent for path in out.glob("[!l]*/run.json"))
    assert Run(path).finished
    line = ["train", str(data), "--seed", "1", "--out", str(tmp_path), "--quiet", *faults.SMALL]
    assert main([*line, *faults.NARROW, *LENGTH]) == 0
    alone = next(tmp_path.glob("[!l]*/checkpoints")) / "step-000120"
    one, two = (read_tensors(at / "generator.safetensors") for at in (alone, faults.last(out)))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-3  # rounding grows with the steps


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
    (tmp_path / "noise-mlp-001").mkdir()
    (tmp_path / "noise-mlp-001" / "run.json").write_text("{}")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "today")
    together.note_run(tmp_path, Run(tmp_path / "noise-mlp-001"))
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert together.begun_run(tmp_path) == tmp_path / "noise-mlp-001"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "tomorrow")
    assert together.begun_run(tmp_path) is None
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "today")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    assert together.begun_run(tmp_path) is None  # a new launch of the same name
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert together.begun_run(tmp_path) is None


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
