"""An evaluation in a run's folder: evaluation.json and the gallery, for `gansmith report` and `compare`."""

from pathlib import Path

from gansmith import render
from gansmith._version import __version__
from gansmith.encoders.encoder import Encoder
from gansmith.errors import UserError
from gansmith.evaluation import pipeline
from gansmith.evaluation.inputs import Made
from gansmith.evaluation.pipeline import Measured
from gansmith.evaluation.report import FILE, GALLERY, Report
from gansmith.files import write_bytes
from gansmith.runs import Run


def save(run: Run, measured: Measured) -> None:
    """Writes an evaluation into the run's folder."""
    measured.report.save(run.path / FILE)
    write_bytes(run.path / GALLERY, render.png(measured.gallery))


def find(
    run: Run,
    made: Made,
    *,
    data: str | Path | None = None,
    samples: int | None = None,
    seed: int = 0,
    seeds: int,
    encoder: str | Path | Encoder | None = None,
) -> Report | None:
    """The evaluation in a run's folder, if it is of this checkpoint and was measured as these arguments say."""
    if data is not None or encoder is not None or not (run.path / FILE).exists():
        return None
    try:
        report = Report.read(run.path / FILE)
    except UserError:
        return None
    protocol = report.protocol
    same = (
        report.subject == made.subject
        and protocol.seeds == tuple(range(seed, seed + seeds))
        and protocol.generated == (samples or pipeline.SAMPLES)
        and protocol.gansmith == __version__
    )
    return report if same else None
