"""Evaluations in a run's folder: the most careful one of the newest checkpoint, for `gansmith report` and `compare`.

Of the best checkpoint, and of another encoder, there is a file each, since neither takes the place of the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gansmith import render
from gansmith._version import __version__
from gansmith.encoders import encoder as encoders
from gansmith.encoders.encoder import Encoder
from gansmith.errors import UserError
from gansmith.evaluation import pipeline
from gansmith.evaluation.inputs import Made, Which
from gansmith.evaluation.pipeline import Measured
from gansmith.evaluation.report import FILE, GALLERY, Report
from gansmith.files import write_bytes
from gansmith.recipe import changed_since
from gansmith.runs import Run
from gansmith.text import slug


@dataclass(frozen=True)
class Kept:
    """Which evaluation a run's folder has after another one was made."""

    path: Path
    is_new: bool
    """Whether it is the one that was made."""
    why: str
    """Which one it is, and why, in a sentence; empty where there was no other of these kinds."""
    gallery: Path | None = None
    """Where its gallery was written: for the newest checkpoint and the run's own encoder alone."""


def save(run: Run, measured: Measured) -> Kept:
    """Writes an evaluation into the run's folder, unless a more careful one of the same checkpoint is there."""
    report = measured.report
    path = run.path / _file(run, report.protocol.encoder, report.subject.which)
    there, damaged = _read(path), path.exists()
    if there is not None and _belongs(there, report) and _care(there) > _care(report):
        why = f"{path.name} keeps {_protocol(there)}, which is more than these {_protocol(report)}"
        return Kept(path, False, why)
    report.save(path)
    gallery = run.path / GALLERY if path.name == FILE else None
    if gallery is not None:
        write_bytes(gallery, render.png(measured.gallery))
    why = ""
    if there is None:
        why = f"{path.name} could not be read, and is these now" if damaged else ""
    elif not _belongs(there, report):
        was = "another checkpoint" if there.subject.step != report.subject.step else "other real images"
        why = f"{path.name} was of {was}, and is these now"
    elif _care(there) < _care(report):
        why = f"{path.name} had {_protocol(there)}, which is less than these {_protocol(report)}"
    return Kept(path, True, why, gallery)


def every(run: Run) -> Iterator[Report]:
    """The evaluations of a run's folder that can be read: that of the newest checkpoint first."""
    others = sorted(run.path.glob("evaluation-*.json"))
    yield from (report for report in map(_read, [run.path / FILE, *others]) if report is not None)


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
    """The evaluation in a run's folder, if it is of this checkpoint and was measured as these arguments say.

    None too where a file that the recipe is defined in is loaded with another text: it may make other images now.
    """
    if data is not None or encoder is not None or (run.recipe.files and changed_since(run.settings.recipes)):
        return None
    own = _own_encoder(run)
    report = _read(run.path / _file(run, own, made.subject.which))
    if report is None:
        return None
    protocol = report.protocol
    same = (
        report.subject == made.subject
        and report.variance is not None
        and protocol.encoder == own
        and protocol.seeds == tuple(range(seed, seed + seeds))
        and protocol.generated == (samples or pipeline.SAMPLES)
        and protocol.gansmith == __version__
    )
    return report if same else None


def _own_encoder(run: Run) -> str:
    """The full name of the encoder that a run is measured with where no other is named."""
    about = run.data
    return encoders.for_data(about.name, about.shape, about.classes).full_name


def _file(run: Run, encoder: str, which: Which) -> str:
    """The name of the file for evaluations of these kinds: evaluation.json, evaluation-best.json, ..."""
    parts = [Path(FILE).stem]
    if which != "newest":
        parts.append(which)
    if encoder != _own_encoder(run):
        parts.append(slug(encoder))
    return f"{'-'.join(parts)}.json"


def _read(path: Path) -> Report | None:
    try:
        return Report.read(path)
    except UserError:
        return None


def _belongs(there: Report, report: Report) -> bool:
    """Whether two evaluations are of one checkpoint, against the same real images, by the same networks."""
    protocols = (
        each.protocol.model_dump(include={"encoder", "judge", "control", "against", "fingerprint"})
        for each in (there, report)
    )
    one, other = (each.subject.model_dump(exclude={"name"}) for each in (there, report))
    first, second = protocols
    return one == other and first == second


def _care(report: Report) -> tuple[int, int]:
    """How careful an evaluation is: by its images, then by its latent seeds."""
    return report.protocol.generated, len(report.protocol.seeds)


def _protocol(report: Report) -> str:
    """`10,000 images x 3`: a seed, and how many seeds; given images have none."""
    generated, seeds = _care(report)
    return f"{generated:,} images x {seeds}"
