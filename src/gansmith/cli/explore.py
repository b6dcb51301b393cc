"""Verbs that explore a generator's noise: morph, mix, directions."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gansmith.cli.output import document, finite, progress, say, table
from gansmith.errors import UserError
from gansmith.runs import load
from gansmith.text import amount

__all__ = ["directions", "mix", "morph"]

Json = Annotated[bool, Parameter(negative=(), show_default=False, help="print one JSON document")]
Switch = Parameter(negative=(), show_default=False)
Out = Parameter(name=("--out", "-o"))


def morph(
    run: str,
    /,
    *,
    seeds: str | None = None,
    labels: str | None = None,
    direction: str | None = None,
    reach: float = 3.0,
    frames: int | None = None,
    between: int | None = None,
    loop: Annotated[bool, Switch] = False,
    path: Literal["auto", "straight", "spherical"] = "auto",
    pace: Literal["even", "latent"] | None = None,
    fps: float = 20.0,
    seed: int = 0,
    out: Annotated[Path, Out] = Path("morph.png"),
    save: Path | None = None,
    best: Annotated[bool, Switch] = False,
    device: str = "auto",
    json: Json = False,
) -> None:
    """Turn one image into another: a strip of frames, or an animation.

    Without points it goes along the constant vectors, from all coordinates -1 to all +1.

    Args:
        run: a run's folder, its name under runs/, or last; or an exported generator's folder.
        seeds: key points with commas: images' numbers, or saved vectors, such as 3,14,me.npz#0.
        labels: classes with commas, by name or number, in the place of images.
        direction: go along a saved direction, such as d.npz#2, through the one point of --seeds (0 if not given).
        reach: how far to each side of that point, in standard deviations of the noise.
        frames: in all; 11 for a strip, 60 for an animation, if neither this nor --between is given.
        between: frames from one point to the next, in the place of --frames.
        loop: go back to the first point, without a seam.
        path: round the noise's centre or straight; auto takes what fits the noise: normal or uniform.
        pace: even: equally different images; latent: equal steps, as published along the constant vectors.
        fps: frames a second of an animation.
        seed: that images' numbers belong to.
        out: a strip (.png, .jpg), an animation (.webp, .gif), or a video (.mp4, .webm; needs PyAV).
        save: also write the vectors of all frames (.npz or .safetensors).
        best: take the checkpoint whose quality measured best while training, instead of the newest.
        device: auto, cpu, cuda or cuda:1.
    """
    from gansmith import latent
    from gansmith.latent import figures, vectors

    figures.check_target(out, (*figures.SHEETS, *figures.FILMS))
    if save is not None:
        vectors.check_target(save)
    if not 1 <= fps <= 100:
        raise UserError(f"--fps {fps:g}: give 1 to 100 frames a second")
    moving = out.suffix.lower() in figures.FILMS
    generator = vectors.steady(load.load(run, device=device, which="best" if best else "newest"))
    points = _path_points(generator, seeds, labels, direction, reach, seed)
    if frames is None and between is None:
        points_named = direction is None and bool(seeds or labels)
        frames, between = (60, None) if moving else (None, 10) if points_named else (11, None)
    kind = "straight" if direction and path == "auto" else path
    found = latent.morph(generator, points, frames=frames, between=between, loop=loop, path=kind, pace=pace)
    if moving:
        figures.film(found.images, out, seconds=1 / fps, hold=0.0 if loop else 0.8)
    else:
        figures.save(out, figures.strip(found.images, captions=found.captions, keys=found.keys, loop=loop))
    if save is not None:
        vectors.save(save, found.vectors, generator)
    if json:
        keys = {"keys": [found.vectors.names[key] for key in found.keys], "at": found.keys}
        document({"path": out, "frames": len(found), **keys, "loop": loop, "seed": seed, "saved": save})
        return
    say(f"{amount(len(found), 'frame')}: {out}" + _saved(save))


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
        names = [name.strip() for name in labels.split(",")]
        if not generator.recipe.classes:
            if seeds is not None:
                raise UserError("--labels with --seeds: only a generator that was trained on labels takes both")
            classes.check(generator, names)
            hits = [classes.of_class(generator, name, 1, seed=seed) for name in names]
            return vectors.join(hits).named(names)
        found = vectors.points(generator, seeds or "0", seed=seed)
        return classes.told(generator, found, names)
    return None if seeds is None else vectors.points(generator, seeds, seed=seed)


def mix(
    run: str,
    expression: str,
    /,
    *,
    label: str | None = None,
    rescale: Annotated[bool, Switch] = False,
    seed: int = 0,
    out: Annotated[Path, Out] = Path("mix.png"),
    save: Path | None = None,
    best: Annotated[bool, Switch] = False,
    device: str = "auto",
    json: Json = False,
) -> None:
    """Do arithmetic on noise: `"12 - 40 + 7"`, `"0.5 * me.npz + mean(1,2,3)"`, `"mean(label=3) - 5"`.

    Args:
        run: a run's folder, its name under runs/, or last; or an exported generator's folder.
        expression: images' numbers and saved vectors with + - * / ( ), factors, mean(1, 2, 4..9), mean(label=3, n=16).
        label: class of the result, for a generator trained on labels: the style of one, the label of another.
        rescale: bring the result to the length that the noise has on average.
        seed: that images' numbers belong to.
        out: the terms and the result side by side (.png, .jpg).
        save: also write the result's vector (.npz or .safetensors).
        best: take the checkpoint whose quality measured best while training, instead of the newest.
        device: auto, cpu, cuda or cuda:1.
    """
    from gansmith import latent
    from gansmith.latent import expression as reader
    from gansmith.latent import figures, vectors

    figures.check_target(out, figures.SHEETS)
    if save is not None:
        vectors.check_target(save)
    reader.parse(expression)  # before anything is loaded
    generator = vectors.steady(load.load(run, device=device, which="best" if best else "newest"))
    found = latent.mix(generator, expression, seed=seed, label=label, rescale=rescale)
    figures.save(out, figures.terms(found.images, found.vectors.names))
    if save is not None:
        vectors.save(save, found.result, generator)
    if json:
        document({"path": out, "expression": expression, "terms": found.vectors.names, "seed": seed, "saved": save})
        return
    say(f"{expression}: {out}" + _saved(save))


def directions(
    run: str,
    /,
    *,
    method: Literal["pca", "sefa", "attributes", "classes"] = "pca",
    count: int = 8,
    seeds: str = "0",
    reach: float = 3.0,
    steps: int = 7,
    seed: int = 0,
    out: Annotated[Path, Out] = Path("directions.png"),
    save: Path | None = None,
    best: Annotated[bool, Switch] = False,
    device: str = "auto",
    json: Json = False,
) -> None:
    """Find the ways to go that change most, and show a walk along each.

    Args:
        run: a run's folder, its name under runs/, or last; or an exported generator's folder.
        method: pca of the first layer's activations (GANSpace), sefa (its weight), measured attributes, or classes.
        count: how many directions.
        seeds: the points that the walks go through: images' numbers, or saved vectors.
        reach: how far to each side, in standard deviations of the noise.
        steps: images of a walk.
        seed: that images' numbers belong to.
        out: a grid of walks (.png, .jpg), the strongest direction first.
        save: also write the directions (.npz or .safetensors), for `morph --direction FILE#0`.
        best: take the checkpoint whose quality measured best while training, instead of the newest.
        device: auto, cpu, cuda or cuda:1.
    """
    import numpy as np

    from gansmith import latent
    from gansmith.latent import classes, direction_finding, figures, vectors

    figures.check_target(out, figures.SHEETS)
    if save is not None:
        vectors.check_target(save)
    if not 2 <= steps <= 25 or not 0 < reach <= 100:
        raise UserError(f"--steps {steps}, --reach {reach:g}: give 2 to 25 steps and a reach above 0, up to 100")
    generator = vectors.steady(load.load(run, device=device, which="best" if best else "newest"))
    bases = vectors.points(generator, seeds, seed=seed)
    if len(bases) > 8:
        raise UserError(f"--seeds: {len(bases)} points; a grid shows walks through at most 8")
    measures = classes.scores(generator) if method == "classes" else None
    found = latent.directions(generator, method=method, count=count, measures=measures, seed=seed, progress=progress)
    offsets = np.linspace(-reach, reach, steps)
    rows, titles = [], []
    for index, step in enumerate(found.vectors):
        for base in range(len(bases)):
            walk = direction_finding.walk(generator, bases[base : base + 1], step, offsets)
            rows.append(vectors.images(generator, walk))
            title = f"#{index} {found.names[index]}\n{found.effects[index]:.1f} levels"
            titles.append(title if not base else "")
    figures.save(out, figures.rows(titles, rows, captions=[f"{offset:+.2g}" if offset else "0" for offset in offsets]))
    if save is not None:
        found.save(save, generator)
    listed = [
        {"direction": name, "effect": finite(float(effect)), "fit": finite(fit)}
        for name, effect, fit in zip(found.names, found.effects, found.fits, strict=True)
    ]
    if json:
        document({"path": out, "method": method, "directions": listed, "seed": seed, "saved": save})
        return
    headers = ["direction", "effect"] + (["fit"] if found.fits[0] is not None else [])
    say(table(["", *headers], [[f"#{i}", *(row[header] for header in headers)] for i, row in enumerate(listed)]))
    say("\nEffect: change of a pixel in grey levels for a standard deviation of the noise." + _fit_told(found.fits))
    say(f"walks: {out}" + _saved(save))


def _fit_told(fits: Any) -> str:
    return "" if fits[0] is None else "\nFit: share of the attribute's variance that the direction explains (R²)."


def _saved(save: Path | None) -> str:
    return f"\nvectors: {save}" if save is not None else ""
