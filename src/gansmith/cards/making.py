"""card: a release -> what it is, measured, and the documents that say so."""

import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gansmith._version import __version__
from gansmith.cards import attack as attacks
from gansmith.cards import documents, release, usefulness
from gansmith.cards.classifier import Labelled
from gansmith.cards.contents import NOT_FOR, NOT_PRIVATELY_FOR, Card, ClassShare
from gansmith.cards.duplicates import duplicates
from gansmith.cards.release import Release
from gansmith.data import Dataset, Images, names
from gansmith.errors import CARDED, FROM_0, UserError
from gansmith.evaluation import inputs, pipeline
from gansmith.evaluation.features import Encoders
from gansmith.evaluation.real import RealImages
from gansmith.evaluation.report import Report
from gansmith.progress import Progress
from gansmith.runs import Run
from gansmith.text import printable

SAMPLES = 10_000
LICENCES = {
    "mnist": "cc-by-sa-3.0",
    "colour-mnist": "cc-by-sa-3.0",
    "stacked-mnist": "cc-by-sa-3.0",
    "fashion-mnist": "mit",
}


@dataclass(frozen=True)
class Effort:
    """How much is spent on classifiers and on evaluation."""

    steps: int
    seeds: int
    """Latent seeds of the evaluation, where images can be made."""


def card(
    where: str | Path | Run,
    out: str | Path | None = None,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    source: Images | None = None,
    licence: str | None = None,
    full: bool = False,
    records: bool | None = None,
    progress: Progress | None = None,
) -> Card:
    """Measures a release and writes its card: README.md (with the hub's YAML), card.html, card.json, croissant.json.

    Args:
        where: a minted set's folder, a run (folder, name, "last"), an exported or a pretrained generator ("mnist").
        out: the folder of the card; a minted set's own, a run's `card`, or `NAME-card` if None.
        samples: images that are measured, 64 to 100,000: the first of the set, or of the generator's sequence.
        seed: of that sequence; a minted set has its own.
        source: the real images, if not the generator's.
        licence: of the images, as the hub spells it, such as "cc-by-4.0"; if None, that of data which come with
            gansmith, else "unknown".
        full: ten times the steps of each classifier, and three latent seeds.
        records: show the most exposed training images in the card; if None, of data with a name in gansmith alone,
            which are public: others would be disclosed by it.
        progress: called during long work.

    Raises:
        UserError: one line: no such thing, an unfinished set, unknown or changed data, a README.md of other hands.
    """
    samples, seed = CARDED.check("samples", samples), FROM_0.check("seed", seed)
    folder = _folder(where, out)
    documents.check(folder)
    what = (
        release.of_minted(Path(str(where)), samples, progress)
        if release.minted_set(where)
        else release.of_generator(where, samples, seed, progress)
    )
    if len(what.images) < CARDED.low:
        raise UserError(f"{where}: has {len(what.images)} images; give {CARDED.low} or more")
    documents.check_smaller(folder, what.origin.digest, len(what.images))
    real = release.real_images(what, where, source, progress)
    effort = Effort(usefulness.STEPS_FULL, 3) if full else Effort(usefulness.STEPS, 1)
    made, exposed = _measured(what, real, effort, seed, licence, progress)
    named = Path(str(where)).name if release.minted_set(where) else what.origin.name
    command = f"gansmith card {shlex.quote(named)} --samples {samples}"
    made = made.model_copy(update={"card_command": f"{command} --seed {seed}{' --full' if full else ''}"})
    shown = exposed if (made.public if records is None else records) else None
    documents.write(folder, made, what.images, shown, what.minted)
    return made


def _folder(where: str | Path | Run, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    if isinstance(where, Run):
        return where.path / "card"
    if release.minted_set(where):
        return Path(where)
    what = inputs.resolve(where)
    run = what.run if isinstance(what, inputs.Made) else None
    return run.path / "card" if run is not None else Path(f"{Path(where).name}-card")


def _measured(
    what: Release, real: RealImages, effort: Effort, seed: int, licence: str | None, progress: Progress | None
) -> tuple[Card, attacks.Exposed | None]:
    train, test = real.train, real.test
    encoders = Encoders.choose(train)
    report = _report(what, real, effort, seed, progress)
    notes = []
    sides = attacks.Sides.of(train, test, len(what.images))
    tried = None
    if sides is None:
        notes.append("no attack: it takes 32 unseen real images or more, such as a test split")
    else:
        tried = attacks.attack(sides, what.images, encoders.encoder, what.run, progress=progress)
    useful, why = _useful(what, train, test, encoders, effort, progress)
    notes += [why] if why else []
    apart = None
    if test is not None and min(len(test), len(what.images), len(train)) >= 2 * attacks.LEAST:
        apart = usefulness.two_sample(
            test.take(_some(test)), what.images, train.take(_some(train)), steps=effort.steps, progress=progress
        )
    if what.total > len(what.images):
        notes.append(
            f"the first {len(what.images):,} of {what.total:,} images were measured; who attacks all has more to go by"
        )
    if what.origin.data and what.origin.data != train.name:
        notes.append(
            f"the generator was trained on {what.origin.data}, and is held against {train.name}: copies and attacks "
            "say nothing about what it was trained on"
        )
    known = train.name in names()
    made = Card(
        gansmith=__version__,
        name=f"{what.origin.name}: {what.total:,} generated images",
        origin=what.origin,
        source=f"{train.name}, {len(train):,} training images and {f'{len(test):,}' if test else 'no'} test images "
        f"({train.fingerprint[:12]})",
        public=known,
        licence=licence or LICENCES.get(train.name, "unknown"),
        command=what.command,
        card_command="",
        total=what.total,
        measured=len(what.images),
        shape=what.images.shape[1:],
        labels=what.kind,
        layout=None if what.minted is None else what.minted.plan.layout,
        filters=() if what.minted is None else what.minted.plan.filters,
        tried=None if what.minted is None else what.minted.tried,
        classes=_classes(what, report),
        duplicates=duplicates(what.images, train, test, progress=progress),
        report=report,
        two_sample=apart,
        usefulness=useful,
        attacks=tried and tried[0],
        notes=tuple(notes),
        **_promise(what.origin.privacy),
    )
    return made, tried and tried[1]


def _promise(privacy: str | None) -> dict[str, Any]:
    """What the card of a privately trained generator says otherwise."""
    if privacy is None:
        return {}
    return {
        "guarantee": f"{printable(privacy)}. That is what the generator's file says of its own training",
        "not_for": (NOT_PRIVATELY_FOR, *NOT_FOR[1:]),
    }


def _report(what: Release, real: RealImages, effort: Effort, seed: int, progress: Progress | None) -> Report:
    """The evaluation of the release: a generator's first images, or a minted set's."""
    count = len(what.images)
    if what.generator is not None:
        source = what.run or what.generator
        made = inputs.resolve(source)
        return pipeline.measure(
            made, data=real.train.source, samples=count, seed=seed, seeds=effort.seeds, progress=progress
        ).report
    found = pipeline.measure(
        inputs.resolve(what.images), data=real.train.source, samples=count, seeds=1, progress=progress
    ).report
    return found.model_copy(update={"subject": found.subject.model_copy(update={"name": what.origin.name})})


def _classes(what: Release, report: Report) -> tuple[ClassShare, ...]:
    """The shares that were asked for, are labelled, and are read."""
    read = {each.name: each for each in report.classes}
    said = Counter() if what.labels is None else Counter(what.labels.tolist())
    every = list(what.classes) or list(read)
    return tuple(
        ClassShare(
            name=name,
            asked=None if what.shares is None else what.shares.get(name),
            labelled=None if what.labels is None else said[label] / len(what.labels),
            read=read[name].generated if name in read else None,
            real=read[name].real if name in read else None,
        )
        for label, name in enumerate(every)
    )


def _useful(
    what: Release,
    train: Dataset,
    test: Dataset | None,
    encoders: Encoders,
    effort: Effort,
    progress: Progress | None,
) -> tuple[usefulness.Usefulness | None, str]:
    """How useful the images are, or why that cannot be said."""
    if train.labels is None or test is None or test.labels is None or len(train.classes) < 2:
        return None, "usefulness was not measured: it takes labelled training and test images"
    labels, said = what.labels, "as asked for"
    if labels is None or tuple(what.classes) != tuple(train.classes):
        if tuple(encoders.encoder.classes) != tuple(train.classes):
            return None, "usefulness was not measured: the images have no labels, and no encoder knows the classes"
        read = encoders.encoder.encode(what.images).labels
        assert read is not None
        labels, said = read, f"pseudo-labels, read by {encoders.encoder.full_name}, which learned from the real labels"
    elif what.kind == "pseudo":
        said = "pseudo-labels, read by an encoder that learned from the real labels"
    real, unseen = (
        Labelled(side.take(_some(side)), side.labels[_some(side)]) for side in (train, test) if side.labels is not None
    )
    shown = Labelled(what.images, labels)
    found = usefulness.usefulness(
        real, unseen, shown, len(train.classes), labels=said, steps=effort.steps, progress=progress
    )
    return found, ""


def _some(side: Dataset, most: int = 60_000) -> np.ndarray:
    """All images, or so many of them."""
    return np.sort(np.random.default_rng(5).permutation(len(side))[:most])
