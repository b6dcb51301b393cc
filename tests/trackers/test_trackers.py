"""What trackers were given is read back by each library's own reader; the test of a missing library is skipped."""

import csv
import json
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gansmith as gs
from gansmith import trackers
from gansmith.errors import UserError
from gansmith.trackers.tensorboard import TensorBoard
from gansmith.trackers.tracking import Tracker
from gansmith.training.events import Progress, Snapshot

SMALL = {"recipe": "mlp", "batch_size": 8, "threads": 1, "log_every": 2, "sheet_every": 4, "evaluate_every": 0}
SMALL |= {"generator": {"width": 0.1}, "discriminator": {"width": 0.1}}


class Noting:
    """A tracker of a user's own: it keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def init(self, about: trackers.About) -> None:
        self.about = about

    def log(self, step: int, values: Mapping[str, float], sheet: Any) -> None:
        self.told.append((step, dict(values), sheet))

    def finish(self, state: str) -> None:
        self.told.append(state)


class Failing(Noting):
    """A tracker whose server goes away at step 2."""

    def log(self, step: int, values: Mapping[str, float], sheet: Any) -> None:
        if step >= 2:
            raise ConnectionError("the server\nis gone")
        super().log(step, values, sheet)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[gs.Run, Noting, Failing, list[str]]:
    out = tmp_path_factory.mktemp("tracked")
    noting, failing = Noting(), Failing()
    with pytest.warns(UserWarning, match="tracker") as warned:
        run = gs.train("mnist", steps=4, out=out, track=["csv", "tensorboard", noting, failing], **SMALL)
    return run, noting, failing, [str(each.message) for each in warned]


def test_an_adapter_of_ones_own_is_told_everything(trained: Any) -> None:
    run, noting, _, _ = trained
    assert noting.about.path == run.path
    assert noting.about.config["recipe.generator_optimizer.lr"] == run.recipe.generator_optimizer.lr
    assert noting.about.config["options.steps"] == 4
    *told, state = noting.told
    assert state == "finished"
    logged = {step: values for step, values, _ in told if "training/generator_loss" in values}
    assert [logged[row["step"]]["training/generator_loss"] for row in run.metrics()] == [
        row["generator_loss"] for row in run.metrics()
    ]
    assert [step for step, _, sheet in told if sheet is not None] == [step for step, _ in run.sheets()] == [0, 4]


def test_a_failure_is_one_line_and_training_goes_on(trained: Any) -> None:
    run, _, failing, warned = trained
    assert run.state == "finished"
    assert len(run.metrics()) == 2
    assert failing.told  # and what came after the failure was kept from it, its end included
    assert "finished" not in failing.told
    assert warned == ["tracker Failing stopped (the server is gone); the training goes on without it"]


def test_csv_has_a_row_for_each_row_of_the_run(trained: Any) -> None:
    run = trained[0]
    with (run.path / "csv" / "training.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["generator_loss"]) for row in rows] == [row["generator_loss"] for row in run.metrics()]
    assert [int(row["step"]) for row in rows] == [2, 4]


def test_a_run_that_goes_on_takes_back_rows_that_came_after_its_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for start, steps in ((0, (2, 4)), (2, (3,))):
        table = Tracker("csv", trackers.About(tmp_path / "run", "p", {}, start))
        for step in steps:
            table(Progress(step, 8 * step, {"generator_loss": float(step)}))
    with (tmp_path / "run" / "csv" / "training.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["2", "3"]


def test_tensorboard_reads_back_scalars_and_sheets(trained: Any) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = trained[0]
    events = accumulator.EventAccumulator(str(run.path / "tensorboard")).Reload()
    losses = [(event.step, event.value) for event in events.Scalars("training/generator_loss")]
    assert losses == [(row["step"], pytest.approx(row["generator_loss"])) for row in run.metrics()]
    images = events.Images("fixed noise")
    assert [image.step for image in images] == [0, 4]
    from io import BytesIO

    from PIL import Image

    with Image.open(BytesIO(images[-1].encoded_image_string)) as logged, Image.open(run.sheets()[-1][1]) as sheet:
        assert np.array_equal(np.asarray(logged.convert("L")), np.asarray(sheet.convert("L")))


def leveldb_records(log: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format, in which wandb writes: blocks of 32 KiB, headers of 7 bytes."""
    place, record = 0, b""
    while place + 7 <= len(log):
        if 32768 - (place + 7) % 32768 < 7:  # the file's own header, 7 bytes, counts in the first block
            place += 32768 - (place + 7) % 32768
            continue
        _, length, kind = struct.unpack("<IHB", log[place : place + 7])
        record += log[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in {1, 4}:  # whole, or the last part
            yield record
            record = b""


def test_wandb_reads_back_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom gansmith.trackers import About, Tracker\n"
        "from gansmith.training.events import Progress, Snapshot\n"
        "t = Tracker('wandb', About(Path(sys.argv[1]), 'gansmith-mnist', {'options.steps': 4}))\n"
        "t(Progress(2, 16, {'generator_loss': 0.5}))\n"
        "t(Snapshot(4, np.zeros((64, 1, 8, 8), 'uint8')))\nt.finish('finished')\n"
    )
    run = tmp_path / "mnist-mlp-001"
    run.mkdir()
    done = subprocess.run([sys.executable, "-c", code, str(run)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    from wandb.proto import wandb_internal_pb2

    found = {}
    for data in leveldb_records(next(run.glob("wandb/offline-run-*/run-*.wandb")).read_bytes()[7:]):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        for item in record.history.item:
            found[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    assert found["training/generator_loss"] == 0.5
    assert any(key.startswith("fixed noise") for key in found)
    assert list(run.glob("wandb/offline-run-*/files/media/images/*.png"))


@pytest.mark.filterwarnings("ignore")  # of its own libraries
def test_mlflow_reads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.chdir(tmp_path)  # where it keeps a database of its own, mlflow.db, and pictures under mlruns/
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = tmp_path / "mnist-mlp-001"
    run.mkdir()
    for start in (0, 4):  # the second goes on with the first
        tracker = Tracker("mlflow", trackers.About(run, "gansmith-mnist", {"options.steps": 4}, start))
        tracker(Progress(start + 2, 16, {"generator_loss": 0.5}))
        tracker(Snapshot(start + 4, np.zeros((64, 1, 8, 8), np.uint8)))
        tracker.finish("finished")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("gansmith-mnist")
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == ("mnist-mlp-001", "FINISHED")
    assert found.data.params == {"options.steps": "4"}
    history = client.get_metric_history(found.info.run_id, "training/generator_loss")
    assert [(metric.step, metric.value) for metric in history] == [(2, 0.5), (6, 0.5)]
    assert len(list((tmp_path / "mlruns").rglob("*.png"))) >= 2


def test_trackio_reads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", exc_type=ImportError)
    run = tmp_path / "mnist-mlp-001"
    run.mkdir()
    tracker = Tracker("trackio", trackers.About(run, "gansmith-mnist", {"options.steps": 4}))
    tracker(Progress(2, 16, {"generator_loss": 0.5}))
    tracker(Snapshot(4, np.zeros((64, 1, 8, 8), np.uint8)))
    tracker.finish("finished")
    from trackio.sqlite_storage import SQLiteStorage

    rows = SQLiteStorage.get_logs("gansmith-mnist", "mnist-mlp-001")
    assert [row["training/generator_loss"] for row in rows if "training/generator_loss" in row] == [0.5]
    assert [row["step"] for row in rows if "fixed noise" in row] == [4]


def test_only_the_first_process_of_several_tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with trackers.tracked([Noting()], trackers.About(tmp_path, "p", {})) as observers:
        assert observers == []


def test_what_cannot_be_tracked_is_refused_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="`track` foo: choose csv, mlflow, tensorboard, trackio, wandb"):
        gs.train("no-such-data", track="foo")
    monkeypatch.setattr("gansmith.trackers.tracking.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"`track` wandb: is not installed; pip install 'gansmith\[wandb\]'"):
        trackers.chosen("wandb")
    with pytest.raises(UserError, match="`track`"):
        trackers.chosen([Noting])  # the class in the place of an instance


def test_ours_are_adapters() -> None:
    assert isinstance(TensorBoard(), trackers.Adapter)
