"""Two processes share sampling, minting and measuring, and have what one has; verbs that are for one are refused."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import faults
from gansmith.cli import main
from gansmith.nn import shares
from gansmith.training import meeting

CODE = "import json, sys; from gansmith.cli import main; sys.exit(max(main(line) for line in json.loads(sys.argv[1])))"


Both = tuple[Path, list[str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train = ["train", str(faults.source(folder)), "--out", str(folder / "runs"), "--quiet"]
    assert main([*train, *faults.SMALL, *faults.NARROW, "--steps", "4"]) == 0
    return (folder / "runs" / "last").resolve()


def made(folder: Path, *lines: str) -> Both:
    """What command lines made in ``one`` by one process and in ``two`` by two, and what the two said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, meeting.SECONDS: "100", "WORLD_SIZE": "2"}
    for name in ("one", "two"):
        (folder / name).mkdir()
    argv = json.dumps([line.format(out=folder / "two").split() for line in lines])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CODE, argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=250)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    for line in lines:
        assert main(line.format(out=folder / "one").split()) == 0
    return folder, said


@pytest.fixture(scope="module")
def both(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return made(  # of the hundred some are left out, so that one block is not enough
        tmp_path_factory.mktemp("made"),
        f"sample {run} -n 1100 -o {{out}}/images.npz --device cpu",
        "mint mnist -n 100 --filter recognised -o {out}/minted --shard 60 --format tar --workers 1",
    )


def test_sample_i_is_sample_i(both: Both) -> None:
    one, two = (np.load(both[0] / name / "images.npz") for name in ("one", "two"))
    assert sorted(one.files) == sorted(two.files)
    for name in one.files:
        assert np.array_equal(one[name], two[name]), name
    assert len(one["images"]) == 1100


def test_a_minted_set_is_the_same_files(both: Both) -> None:
    one, two = ({p.name: p.read_bytes() for p in (both[0] / name / "minted").iterdir()} for name in ("one", "two"))
    assert one == two
    assert len(one) == 4


def test_figures_are_the_same_numbers(run: Path, tmp_path: Path) -> None:
    made(tmp_path, f"evaluate {run} --samples 64 --seeds 2 -o {{out}}/report.json --device cpu")
    one, two = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("one", "two"))
    assert one == two
    assert one["figures"]


def test_the_first_process_says_what_the_others_keep_to_themselves(both: Both) -> None:
    first, second = both[1]
    assert "1,100 images of seed 0" in first
    assert "100 in 2 shards" in first
    assert second == ""


@pytest.mark.parametrize("count", [0, 1, 5, 64, 65, 300])
@pytest.mark.parametrize("processes", [2, 3, 8])
def test_every_row_is_done_once(count: int, processes: int) -> None:
    done = [start for rank in range(processes) for start in shares.Share(rank, processes, list).starts(count, 64)]  # type: ignore[arg-type]
    assert done == list(range(0, count, 64))


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_verb_for_one_process_is_refused_by_the_first(
    rank: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    for line in (["sweep", "mnist", "--vary", "batch-size=8,16"], ["quiz", "last"], ["encoder", "show"]):
        assert main(line) == 2
        said = capsys.readouterr()
        assert said.out == ""
        if rank == "0":
            assert "is for one process; start it without torchrun" in said.err
            assert said.err.count("\n") == 1
        else:
            assert said.err == ""
