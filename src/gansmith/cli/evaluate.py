"""`gansmith evaluate` and `gansmith compare`: how good generated images are, in one table, with the noise beside it."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gansmith.cli.options import (
    AnySeed,
    Best,
    Device,
    Encoder,
    Evaluated,
    Json,
    OptionalSource,
    Recipes,
    check_folder,
    within,
)
from gansmith.cli.output import progress, say, show, table
from gansmith.errors import FROM_1, MEASURED, UserError

Samples = Annotated[int | None, within("samples", MEASURED)]
Seeds = Annotated[int, within("seeds", FROM_1)]
TOO_FAR = 3  # the exit code when --max-fd is exceeded


def evaluate(
    source: Evaluated,
    /,
    *,
    data: OptionalSource = None,
    samples: Samples = None,
    seed: AnySeed = 0,
    seeds: Seeds = 3,
    encoder: Encoder = None,
    best: Best = False,
    max_fd: float | None = None,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    device: Device = "auto",
    own: Recipes = None,
    json: Json = False,
) -> int:
    """Measure generated images against real ones: every figure beside its floor, the score of real images.

    The results stay in a run's folder (evaluation.json, nearest-real.png) and appear in its report.html.

    Args:
        source: a run's folder, its name under runs/, or last; an exported generator's folder; or images that any
            program made: a folder, .zip or .npz, with --data.
        data: the real images that they imitate: a name or a path; a run knows its own.
        samples: images to generate for each latent seed; 10,000 if not given.
        seed: the first latent seed.
        seeds: how many latent seeds: their spread gives the intervals.
        max_fd: end with exit code 3 if the Frechet distance is greater than this.
        out: also write the results (.json) or the gallery of nearest training images (.png) here.
    """
    _check(out, max_fd)
    from gansmith import evaluation
    from gansmith.evaluation import inputs, wording
    from gansmith.files import EXIF
    from gansmith.training import parallel

    with parallel.together("evaluate", str(data), samples, seed, seeds) as group:
        device = parallel.device_of(group, device)
        what = inputs.resolve(source, which="best" if best else "newest", device=device)
        measured = evaluation.measure(
            what, data=data, samples=samples, seed=seed, seeds=seeds, encoder=encoder, progress=progress
        )
    if group.rank:  # the first process says and writes everything
        return 0
    report = measured.report
    run = what.run if isinstance(what, inputs.Made) else None
    kept = _keep(run, measured) if run is not None and data is None else None
    text = [_told(report), *_places(kept)]
    if out is not None:
        report.save(out) if out.suffix == ".json" else measured.gallery.save(out, exif=EXIF)
        text.append(f"written: {out}")
    passed = max_fd is None or ("fd" in report and report["fd"].value <= max_fd)
    document = {**report.model_dump(mode="json"), "quality": wording.quality(report), "max_fd": max_fd}
    show({**document, "passed": passed, "kept": kept and asdict(kept)}, *text, json=json)
    if not passed:
        found = f"is {report['fd'].value:.3f}, above" if "fd" in report else "could not be measured, so it fails"
        say(f"gansmith: the Frechet distance {found} --max-fd {max_fd:g}", aside=True)
    return 0 if passed else TOO_FAR


def _places(kept: Any) -> list[str]:
    """Where the results and the gallery are, if a run's folder keeps them, and why it keeps others if it does."""
    if kept is None:
        return []
    gallery = f"gallery: {kept.gallery}; " if kept.gallery else ""
    lines = [f"\n{gallery}results: {kept.path}" if kept.is_new else ""]
    return [*lines, f"kept: {_told_kept(kept)}"] if kept.why else lines


def _told_kept(kept: Any) -> str:
    """Which evaluation a run's folder has now, and why."""
    return kept.why if kept.is_new else f"{kept.why}; `gansmith evaluate --out FILE.json` writes these"


def _check(out: Path | None, max_fd: float | None) -> None:
    if out is not None and out.suffix not in {".json", ".png"}:
        raise UserError(f"--out {out}: name a .json file for the results or a .png for the gallery")
    if out is not None:
        check_folder(out, "--out")
    if max_fd is not None and not max_fd >= 0:
        raise UserError(f"--max-fd {max_fd}: give 0 or more")


def _told(report: Any) -> str:
    """A report for people: headline, table, classes, notes, protocol."""
    from gansmith.evaluation import wording

    parts = [wording.headline(report), "", table(wording.HEADERS, wording.rows(report))]
    if report.classes and len(report.classes) <= 40:
        head = ["class", "real", "generated", "generated; │ marks real"]
        parts += ["", table(head, wording.class_rows(report))]
    if report.notes:
        parts += ["", *(f"note: {note}" for note in report.notes)]
    return "\n".join([*parts, "", f"protocol: {report.protocol.line}"])


def compare(
    run: Evaluated,
    other: Evaluated,
    /,
    *more: Evaluated,
    data: OptionalSource = None,
    samples: Samples = None,
    seed: AnySeed = 0,
    seeds: Seeds = 3,
    encoder: Encoder = None,
    best: Best = False,
    device: Device = "auto",
    own: Recipes = None,
    json: Json = False,
) -> None:
    """Put runs side by side. A difference counts only if it exceeds twice the noise; nothing else is ranked.

    Runs of one recipe, data and length that differ in their seed are taken together, and their spread counts as noise.
    Evaluations that the runs have already, measured the same way, are used again.

    Args:
        run: whatever `gansmith evaluate` takes, or a .json file that it wrote.
        other: another one.
        more: more of them.
        data: the real images, where something does not know its own.
        samples: images to generate for each latent seed; 10,000 if not given.
        seed: the first latent seed.
        seeds: how many latent seeds.
    """
    from gansmith import evaluation
    from gansmith.evaluation import inputs
    from gansmith.evaluation.comparison import check_places

    flags = {"data": data, "samples": samples, "seed": seed, "seeds": seeds, "encoder": encoder}
    sources = (run, other, *more)
    places = [Path(each) if each.endswith(".json") else inputs.place_of(each) for each in sources]
    check_places(places)  # before anything is measured
    reports = [_report(each, flags, best=best, device=device) for each in sources]
    found = evaluation.compare(reports, places)
    show(_as_document(found, reports), _side_by_side(found, reports[0]), json=json)


def _report(source: str, flags: dict[str, Any], *, best: bool, device: str) -> Any:
    """The evaluation of one thing: from its file, from its run's folder if it fits, or made now."""
    from gansmith import evaluation
    from gansmith.evaluation import inputs, stored

    if source.endswith(".json"):
        return evaluation.Report.read(source)
    what = inputs.resolve(source, which="best" if best else "newest", device=device)
    run = what.run if isinstance(what, inputs.Made) else None
    if isinstance(what, inputs.Made) and run is not None:
        report = stored.find(run, what, **flags)
        if report is not None:
            return report
    say(f"evaluating {source} ...", aside=True)
    measured = evaluation.measure(what, **flags, progress=progress)
    if run is not None and flags["data"] is None:
        kept = _keep(run, measured)
        if kept.why:
            say(f"{run.path}: {_told_kept(kept)}", aside=True)
    return measured.report


def _keep(run: Any, measured: Any) -> Any:
    """An evaluation goes into the run's folder unless a better one is there, and into its report if that is written."""
    from gansmith.evaluation import stored
    from gansmith.report.page import write_report

    kept = stored.save(run, measured)
    if kept.is_new and (run.path / "report.html").exists():
        write_report(run.path)
    return kept


def _side_by_side(found: Any, first: Any) -> str:
    from gansmith.evaluation import wording

    letters = [group.letter for group in found.groups]
    lines = [f"{group.letter}  {group.name}: {_quality(group)}" for group in found.groups]
    rows = [
        [
            line.figure.name,
            *(
                f"{wording.number(value, line.figure.key)} ± {wording.number(noise, line.figure.key)}"
                for value, noise in zip(line.values, line.noise, strict=True)
            ),
            wording.number(line.figure.floor, line.figure.key),
            line.lettered,
        ]
        for line in found.lines
    ]
    parts = [*lines, "", table(["metric", *letters, "floor", "in words"], rows), ""]
    parts += [f"note: {note}" for note in found.notes]
    parts.append("±: the largest of the standard deviations over sets of real images, latent seeds and training seeds")
    return "\n".join([*parts, f"protocol: {first.protocol.line}", f"\n{found.verdict}"])


def _quality(group: Any) -> str:
    """How far from real a group's images are: where its reports differ, each in turn."""
    from gansmith.evaluation import wording

    return ", ".join(dict.fromkeys(wording.quality(report) for report in group.reports))


def _as_document(found: Any, reports: list[Any]) -> dict[str, Any]:
    return {
        "groups": [
            {
                "letter": group.letter,
                "name": group.name,
                "runs": [each.subject.name for each in group.reports],
                "quality": _quality(group),
            }
            for group in found.groups
        ],
        "metrics": [
            {
                "key": line.figure.key,
                "name": line.figure.name,
                "better": line.figure.better,
                "values": list(line.values),
                "noise": list(line.noise),
                "floor": line.figure.floor,
                "best": list(line.best),
                "verdict": line.verdict,
            }
            for line in found.lines
        ],
        "verdict": found.verdict,
        "notes": list(found.notes),
        "protocol": reports[0].protocol.model_dump(mode="json"),
    }
