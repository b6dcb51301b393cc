"""Verbs that explore a generator's latent space: morph, mix, directions, truncate."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from gansmith.cli.options import (
    DRAWING,
    Drawing,
    Generator,
    Number,
    Out,
    RealImages,
    Save,
    Seed,
    Switch,
    within,
)
from gansmith.cli.output import progress, show, table
from gansmith.errors import BETWEEN, DIRECTIONS, FRAMES, ROW, UserError
from gansmith.text import amount, finite

InARow = Annotated[Number, within("number", ROW)]


def morph(
    run: Generator,
    /,
    *,
    seeds: str | None = None,
    labels: str | None = None,
    direction: str | None = None,
    reach: float = 3.0,
    frames: Annotated[int | None, within("frames", FRAMES)] = None,
    between: Annotated[int | None, within("between", BETWEEN)] = None,
    loop: Switch = False,
    path: Literal["auto", "straight", "spherical"] = "auto",
    pace: Literal["even", "latent"] | None = None,
    fps: float = 20.0,
    seed: Seed = 0,
    out: Out = Path("morph.png"),
    save: Save = None,
    drawing: Drawing = DRAWING,
) -> None:
    """Turn one image into another: a strip of frames, or an animation.

    Without points it goes along the constant vectors, from all coordinates -1 to all +1.

    Args:
        seeds: images to pass through, with commas: image numbers or saved vectors, such as 3,14,me.npz#0.
        labels: classes to pass through, with commas, by name or number, in the place of images.
        direction: go along a saved direction, such as d.npz#2, through the one point of --seeds (0 if not given).
        reach: how far to each side of that point, in standard deviations of the noise.
        frames: in all; 11 for a strip, 60 for an animation, if neither this nor --between is given.
        between: frames from one point to the next, in the place of --frames.
        loop: go back to the first point, without a seam.
        path: on a sphere round the noise's centre, or straight; auto takes what fits the noise: normal or uniform.
        pace: even: equally different images; latent: equal steps, as published along the constant vectors.
        fps: frames a second of an animation.
        out: a strip (.png, .jpg), an animation (.webp, .gif), or a video (.mp4, .webm; needs PyAV).
    """
    from gansmith import latent
    from gansmith.latent import figures, vectors

    check_targets(out, save, (*figures.SHEETS, *figures.FILMS))
    if not 1 <= fps <= 100:
        raise UserError(f"--fps {fps:g}: give 1 to 100 frames a second")
    moving, named = out.suffix.lower() in figures.FILMS, direction is None and bool(seeds or labels)
    generator = drawing.load_steady(run)
    points = _path_points(generator, seeds, labels, direction, reach, seed)
    if frames is None and between is None:
        frames, between = (60, None) if moving else (None, 10) if named else (11, None)
    kind = "straight" if direction and path == "auto" else path
    found = latent.morph(generator, points, frames=frames, between=between, loop=loop, path=kind, pace=pace)
    if moving:
        figures.film(found.images, out, seconds=1 / fps, hold=0.0 if loop else 0.8, scale=drawing.scale)
    else:
        look: dict[str, Any] = {"captions": found.captions, "keys": found.keys, "loop": loop, "scale": drawing.scale}
        figures.save(out, figures.strip(found.images, **look))
    if save is not None:
        vectors.save(save, found.vectors, generator)
    keys = {"keys": [found.vectors.names[key] for key in found.keys], "at": found.keys}
    facts = {"path": out, "frames": len(found), **keys, "loop": loop, "seed": seed, "saved": save}
    show(facts, f"{amount(len(found), 'frame')}: {out}{_saved(save)}", json=drawing.json)


def _path_points(
    generator: Any, seeds: str | None, labels: str | None, direction: str | None, reach: float, seed: int
) -> Any:
    """The key points that the flags of :func:`morph` name; None for the constant vectors."""
    import numpy as np

    from gansmith.latent import classes, direction_finding, vectors

    if direction is not None:
        if labels is not None:
            raise UserError("--direction with --labels: a direction starts from one point of --seeds; leave one out")
        if not 0 < reach <= 100:
            raise UserError(f"--reach {reach:g}: give a number above 0, up to 100")
        base = vectors.one(generator, seeds or "0", seed=seed)
        return direction_finding.walk(
            generator, base, direction_finding.direction(direction, generator), np.array([-reach, reach])
        )
    if labels is not None:
        from gansmith.data.types import class_names

        names = class_names(labels, generator.classes)
        if not generator.recipe.classes:
            if seeds is not None:
                raise UserError("--labels with --seeds: only a generator that was trained on labels takes both")
            classes.check(generator, names)
            hits = [classes.of_class(generator, name, 1, seed=seed) for name in names]
            return vectors.join(hits).named(names)
        found = vectors.points(generator, seeds or "0", seed=seed)
        return classes.labelled(generator, found, names)
    return None if seeds is None else vectors.points(generator, seeds, seed=seed)


def mix(
    run: Generator,
    expression: str,
    /,
    *,
    label: str | None = None,
    rescale: Switch = False,
    seed: Seed = 0,
    out: Out = Path("mix.png"),
    save: Save = None,
    drawing: Drawing = DRAWING,
) -> None:
    """Do arithmetic on noise: `"12 - 40 + 7"`, `"0.5 * me.npz + mean(1,2,3)"`, `"mean(label=3) - 5"`.

    Args:
        expression: image numbers and saved vectors with + - * / ( ), factors, mean(1, 2, 4..9), mean(label=3, n=16).
        label: class of the result, for a generator trained on labels: the style of one, the label of another.
        rescale: bring the result to the length that the noise has on average.
        out: the terms and the result side by side (.png, .jpg).
    """
    from gansmith import latent
    from gansmith.latent import expression as reader
    from gansmith.latent import figures, vectors

    check_targets(out, save, figures.SHEETS)
    reader.parse(expression)  # before anything is loaded
    generator = drawing.load_steady(run)
    found = latent.mix(generator, expression, seed=seed, label=label, rescale=rescale)
    figures.save(out, figures.terms(found.images, found.vectors.names, scale=drawing.scale))
    if save is not None:
        vectors.save(save, found.result, generator)
    facts = {"path": out, "expression": expression, "terms": found.vectors.names, "seed": seed, "saved": save}
    show(facts, f"{expression}: {out}{_saved(save)}", json=drawing.json)


def directions(
    run: Generator,
    /,
    *,
    method: Literal["pca", "sefa", "attributes", "classes"] = "pca",
    count: Annotated[int, within("count", DIRECTIONS)] = 8,
    seeds: str = "0",
    reach: float = 3.0,
    steps: int = 7,
    seed: Seed = 0,
    out: Out = Path("directions.png"),
    save: Path | None = None,
    drawing: Drawing = DRAWING,
) -> None:
    """Find the directions in latent space that change images most, and show a walk along each.

    Args:
        method: pca of the first layer's activations (GANSpace), sefa (its weight), measured attributes, or classes.
        count: how many directions.
        seeds: the points that the walks go through: image numbers or saved vectors.
        reach: how far to each side, in standard deviations of the noise.
        steps: images of a walk.
        out: a grid of walks (.png, .jpg), the strongest direction first.
        save: also write the directions (.npz or .safetensors), for `morph --direction FILE#0`.
    """
    if not 2 <= steps <= 25 or not 0 < reach <= 100:
        raise UserError(f"--steps {steps}, --reach {reach:g}: give 2 to 25 steps and a reach above 0, up to 100")
    from gansmith import latent
    from gansmith.latent import classes, figures, vectors

    check_targets(out, save, figures.SHEETS)
    generator = drawing.load_steady(run)
    bases = vectors.points(generator, seeds, seed=seed)
    if len(bases) > 8:
        raise UserError(f"--seeds: {len(bases)} points; a grid shows walks through at most 8")
    measures = classes.scores(generator) if method == "classes" else None
    found = latent.directions(generator, method=method, count=count, measures=measures, seed=seed, progress=progress)
    figures.save(out, _walks(generator, found, bases, reach, steps, drawing.scale))
    if save is not None:
        found.save(save, generator)
    listed = [
        {"direction": name, "effect": finite(float(effect)), "fit": finite(fit)}
        for name, effect, fit in zip(found.names, found.effects, found.fits, strict=True)
    ]
    headers = ["direction", "effect", *(["fit"] if found.fits[0] is not None else [])]
    fit = "\nFit: share of the attribute's variance that the direction explains (R²)." if "fit" in headers else ""
    show(
        {"path": out, "method": method, "directions": listed, "seed": seed, "saved": save},
        table(["", *headers], [[f"#{i}", *(row[header] for header in headers)] for i, row in enumerate(listed)]),
        f"\nEffect: change of a pixel in grey levels for a standard deviation of the noise.{fit}",
        f"walks: {out}{_saved(save)}",
        json=drawing.json,
    )


def _walks(generator: Any, found: Any, bases: Any, reach: float, steps: int, scale: int | None) -> Any:
    """A picture of a walk along each direction, through each point."""
    import numpy as np

    from gansmith.latent import direction_finding, figures, vectors

    offsets = np.linspace(-reach, reach, steps)
    rows, titles = [], []
    for index, step in enumerate(found.vectors):
        for base in range(len(bases)):
            walk = direction_finding.walk(generator, bases[base : base + 1], step, offsets)
            rows.append(vectors.images(generator, walk))
            title = f"#{index} {found.names[index]}\n{found.effects[index]:.1f} levels"
            titles.append(title if not base else "")
    captions = [f"{offset:+.2g}" if offset else "0" for offset in offsets]
    return figures.rows(titles, rows, captions=captions, scale=scale)


def truncate(
    run: Generator,
    /,
    *,
    psi: str = "1,0.8,0.6,0.4,0.2,0",
    seeds: str | None = None,
    number: InARow = 8,
    samples: int = 1000,
    data: RealImages = None,
    seed: Seed = 0,
    out: Out = Path("truncate.png"),
    drawing: Drawing = DRAWING,
) -> None:
    """Trade variety for quality: noise drawn nearer to its centre, and what that does to precision and recall.

    Args:
        psi: strengths with commas, a row each: 1 leaves the noise, 0 takes it to the centre.
        seeds: the images of a row: image numbers or saved vectors; the first --number if not given.
        number: how many images in a row.
        samples: images that precision and recall are measured on, generated and real; 0 measures nothing.
        out: the rows and the curve (.png, .jpg).
    """
    psis = _numbers(psi, "--psi")
    if not (samples == 0 or 50 <= samples <= 50_000):
        raise UserError(f"--samples {samples}: give 50 to 50,000, or 0 to measure nothing")
    from gansmith import latent
    from gansmith.evaluation import real as real_images
    from gansmith.latent import classes, figures, truncation

    check_targets(out, None, figures.SHEETS)
    truncation.check(psis)
    generator = drawing.load_steady(run)
    found = latent.truncate(generator, some_points(generator, seeds, number, seed), psis)
    trade = None
    if samples:
        images = real_images.find(run, generator, data, progress=progress)
        encoder = classes.encoder_of(generator)
        trade = truncation.measured(generator, images, encoder, psis, samples=samples, seed=seed, progress=progress)
    figures.save(out, figures.trade(found, trade, scale=drawing.scale))
    rows = [_psi_row(value, trade and trade.supports[i]) for i, value in enumerate(psis)]
    facts: dict[str, Any] = {"path": out, "psi": rows, "floor": None, "protocol": None, "seed": seed}
    text = [f"{amount(len(psis), 'row')} of {amount(found.images.shape[1], 'image')}: {out}"]
    if trade is not None:
        floor = _psi_row("real images", trade.floor)
        facts |= {"floor": {name: floor[name] for name in ("precision", "recall")}, "protocol": trade.protocol}
        everything = [*rows, floor]
        text = [table(list(rows[0]), [list(row.values()) for row in everything]), f"\n{trade.protocol}.", *text]
    show(facts, *text, json=drawing.json)


def check_targets(out: Path, save: Path | None, suffixes: Any, *, read: Sequence[str | None] = ()) -> None:
    """Raises UserError where a picture or vectors cannot be written under these names, or ``out`` is one to be read."""
    from gansmith.latent import figures, vectors

    if out.resolve() in {Path(file).resolve() for file in read if file is not None}:
        raise UserError(f"--out {out}: is one of the pictures, and would be overwritten; name another")
    figures.check_target(out, suffixes)
    if save is not None:
        vectors.check_target(save)


def some_points(generator: Any, seeds: str | None, number: int, seed: int) -> Any:
    """The points that --seeds names, or the first --number."""
    from gansmith.latent import vectors

    found = (
        vectors.points(generator, seeds, seed=seed) if seeds else vectors.seeded(generator, range(number), seed=seed)
    )
    if len(found) > ROW.high:
        raise UserError(f"--seeds: {len(found)} points; name at most {ROW.high}")
    return found


def _numbers(text: str, flag: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"{flag} {text[:60]}: give numbers with commas, such as 1,0.5,0") from None


def _psi_row(psi: float | str, support: Any) -> dict[str, Any]:
    """What was measured at a strength of truncation, if something was."""
    measured = {} if support is None else {name: finite(getattr(support, name)) for name in ("precision", "recall")}
    return {"psi": psi, **measured}


def _saved(save: Path | None) -> str:
    return f"\nvectors: {save}" if save is not None else ""
