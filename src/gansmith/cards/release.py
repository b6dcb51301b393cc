"""What a card is of: a minted set on disk, or the first images of a generator's sequence."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gansmith import runs
from gansmith.data import Images, names
from gansmith.errors import UserError
from gansmith.evaluation import inputs, real
from gansmith.evaluation.real import RealImages
from gansmith.generator import Generator
from gansmith.minting import Minted, shards
from gansmith.minting.manifest import FILE, Origin
from gansmith.progress import Progress, Ticker
from gansmith.runs import Run

BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Release:
    """Images that are published, or could be, and where they come from."""

    origin: Origin
    images: NDArray[np.uint8]
    """(N, C, S, S): those that are measured."""
    labels: NDArray[np.int64] | None
    """(N,): as asked for, or as a minted set says; None where nobody says."""
    classes: tuple[str, ...]
    """Names of the labels; empty without."""
    kind: str
    """Of the labels: "asked", "pseudo" or "none"."""
    total: int
    """How many images there are in all."""
    shares: dict[str, float] | None
    """The classes' shares that were asked for; None where they were left open."""
    minted: Minted | None
    run: Run | None
    generator: Generator | None
    command: str
    """What makes the images again."""


def minted_set(where: object) -> bool:
    """Whether it is the folder of a minted set."""
    return isinstance(where, str | Path) and (Path(where) / FILE).is_file()


def of_minted(folder: Path, most: int, progress: Progress | None = None) -> Release:
    """The first ``most`` images of a minted set. Raises UserError where it is not complete, or a file is gone."""
    minted = Minted.read(folder)
    plan = minted.plan
    if not minted.complete:
        raise UserError(
            f"{folder}: holds {minted.rows:,} of {plan.n:,} images; go on with the same `gansmith mint` first"
        )
    if minted.whole(folder).rows != minted.rows:
        raise UserError(f"{folder}: a file is gone or has another size than was written; mint it again")
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    tick = Ticker(progress, "reading the set", min(most, plan.n))
    for shard in minted.shards:
        pixels, said = shards.read(folder, plan, shard)
        images.append(pixels)
        if said is not None:
            labels.append(said)
        if (done := sum(map(len, images))) >= most:
            break
        tick(done)
    filters = f" --filter {','.join(plan.filters)}" if plan.filters else ""
    counts = plan.quotas or plan.class_counts
    asked = _shares(plan.classes, counts) if counts or plan.labels == "asked" else None
    return Release(
        origin=plan.generator,
        images=np.concatenate(images)[:most],
        labels=np.concatenate(labels)[:most] if labels else None,
        classes=plan.classes,
        kind=plan.labels,
        total=plan.n,
        shares=asked,
        minted=minted,
        run=None,
        generator=None,
        command=f"gansmith mint {shlex.quote(plan.generator.name)} -n {plan.n} --seed {plan.seed}"
        f" --format {plan.layout}"
        f"{' --balance' if plan.balance else ''}{filters} -o {shlex.quote(folder.name)}",
    )


def _shares(classes: Sequence[str], counts: Sequence[int]) -> dict[str, float]:
    """Each class's share of ``counts``; equal ones without."""
    each = counts or [1] * len(classes)
    return {name: count / sum(each) for name, count in zip(classes, each, strict=True)}


def of_generator(where: str | Path | Run, most: int, seed: int, progress: Progress | None = None) -> Release:
    """The first ``most`` images that :func:`gansmith.minting.mint` would write. UserErrors are those of its loading."""
    what = inputs.resolve(where)
    if not isinstance(what, inputs.Made):
        raise UserError(
            f"{where}: is no run, generator or minted set; `gansmith evaluate` measures images of other programs"
        )
    generator, about = what.generator, what.generator.about
    tick, parts = Ticker(progress, "making images", most), []
    for start in range(0, most, BLOCK):
        parts.append(generator.sample(min(BLOCK, most - start), seed=seed, start=start, as_in_data=True))
        tick(start + len(parts[-1].images))
    classes = tuple(generator.classes) if generator.recipe.classes else ()
    if generator.recipe.classes and not classes:
        classes = tuple(map(str, range(generator.recipe.classes)))
    steps, number = about.get("steps"), about.get("seed")
    origin = Origin(
        name=runs.name_of(where),
        recipe=generator.recipe.name,
        digest=generator.digest,
        data=str(about.get("data", "")),
        steps=steps if isinstance(steps, int) else None,
        seed=number if isinstance(number, int) else None,
        privacy=str(about["privacy"]) if "privacy" in about else None,
    )
    return Release(
        origin=origin,
        images=np.concatenate([part.images for part in parts]),
        labels=np.concatenate([part.labels for part in parts]) if classes else None,
        classes=classes,
        kind="asked" if classes else "none",
        total=most,
        shares=_shares(classes, generator.class_counts) if classes else None,
        minted=None,
        run=what.run,
        generator=generator,
        command=f"gansmith mint {shlex.quote(origin.name)} -n {most} --seed {seed} -o DIR",
    )


def real_images(
    release: Release, where: str | Path | Run, source: Images | None, progress: Progress | None = None
) -> RealImages:
    """The real images behind a release. Raises UserError where neither it nor ``source`` names them."""
    if release.generator is not None:
        return real.find(where, release.generator, source, progress=progress)
    known = release.origin.data
    if source is None:
        if known not in names():
            raise UserError(f"{where}: does not say where its data are; name them with `data`, such as `data` mnist")
        source = known
    found = real.of_data(source, size=release.images.shape[2], progress=progress)
    if found.train.shape != release.images.shape[1:]:
        raise UserError(
            f"{found.train.name}: its images are {found.train.shape}, those of the set {release.images.shape[1:]}; "
            "name other real images with `data`"
        )
    return found
