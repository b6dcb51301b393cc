"""Verbs that search: find (which noise makes a 7?), invert (which makes this picture?), neighbours (is it a copy?)."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from gansmith.cli.explore import InARow, check_targets, some_points
from gansmith.cli.options import (
    DRAWING,
    AnySeed,
    Device,
    Drawing,
    Encoder,
    Generator,
    Json,
    Number,
    Out,
    RealImages,
    Recipes,
    Save,
    Scale,
    Seed,
    Switch,
    check_there,
    within,
)
from gansmith.cli.output import pairs, progress, say, show, table
from gansmith.errors import FROM_0, HITS, NEIGHBOURS, Range, UserError
from gansmith.files import read_json, write_json
from gansmith.text import amount, finite


def find(
    run: Generator,
    /,
    *,
    label: str | None = None,
    look: str | None = None,
    number: Annotated[Number, within("number", HITS)] = 10,
    seed: AnySeed = 0,
    refine: bool | None = None,
    encoder: Encoder = None,
    out: Out = Path("found.png"),
    save: Save = None,
    scale: Scale = None,
    device: Device = "auto",
    own: Recipes = None,
    json: Json = False,
) -> None:
    """Find noise that makes a class, or an appearance, or both: an encoder goes through thousands of samples.

    Args:
        label: the class, by name or number.
        look: thick or thin, left or right (leaning), bright or dark, wide or narrow; several with commas.
        number: of hits, as different from each other as possible.
        seed: random seed of the samples that are searched.
        refine: follow gradients to surer hits; done only where samples alone are too few, if not given.
        out: the sheet of hits (.png, .jpg).
    """
    from gansmith import latent, render
    from gansmith.encoders import encoder as encoders
    from gansmith.latent import figures, vectors
    from gansmith.runs import load

    check_targets(out, save, figures.SHEETS)
    looks = tuple(word.strip() for word in look.split(",")) if look else ()
    eye = encoders.load(encoder) if encoder is not None else None
    generator = load.load(run, device=device)
    begun = time.perf_counter()
    hits = latent.find(generator, label, number, seed, look=looks, encoder=eye, refine=refine, progress=progress)
    seconds = time.perf_counter() - begun
    captions = list(hits.vectors.names)
    if hits.confidence is not None:
        captions = [f"{name}: {value:.0%}" for name, value in zip(captions, hits.confidence, strict=True)]
    columns = min(len(hits), 10)
    sheet = render.sheet(hits.images, columns=columns, captions=captions, scale=scale, widest=render.SLIDE)
    figures.save(out, sheet)
    if save is not None:
        vectors.save(save, hits.vectors, generator)
    what = " ".join(filter(None, [", ".join(looks), f"label {label}" if label else ""]))
    fewer = f" (of {number} asked for: there are no others)" if len(hits) < number else ""
    show(
        {"path": out, "saved": save, "label": label, "look": list(looks), "seed": seed} | _facts(hits, seconds),
        f"{amount(len(hits), 'hit')} for {what}{fewer}: {out}" + (f", {save}" if save else ""),
        pairs(_lines(hits, seconds, told=bool(generator.recipe.classes))),
        json=json,
    )


def _facts(hits: Any, seconds: float) -> dict[str, Any]:
    """What was found, for programs."""
    return {
        "samples": list(hits.vectors.names),
        "confidence": None if hits.confidence is None else [finite(value) for value in hits.confidence],
        "hit_rate": finite(hits.hit_rate),
        "looked_at": hits.looked_at,
        "refined": hits.refined,
        "measures": {name: [finite(value) for value in values] for name, values in hits.measures.items()},
        "typical": {name: finite(value) for name, value in hits.typical.items()},
        "seconds": round(seconds, 3),
    }


def _lines(hits: Any, seconds: float, *, told: bool) -> dict[str, object]:
    """The same for people."""
    rows: dict[str, object] = {}
    if hits.confidence is not None:
        rows["confidence"] = f"{hits.confidence.min():.1%} to {hits.confidence.max():.1%}"
        how = " generated with that label" if told else ""
        rows["hit rate"] = f"{hits.hit_rate:.1%} of {amount(hits.looked_at, 'random sample')}{how}"
    for name, values in hits.measures.items():
        rows[name] = f"{values.min():.2f} to {values.max():.2f}; typical is {hits.typical[name]:.2f}"
    rows["refined"] = "by gradients (*)" if hits.refined else ""
    rows["time"] = f"{seconds:.1f} s"
    return rows


def invert(
    run: Generator,
    picture: str,
    /,
    *more: str,
    label: str | None = None,
    as_is: Switch = False,
    seed: Annotated[int | None, within("seed", FROM_0)] = None,
    floor: Annotated[int, within("floor", Range(0, 100, "images"))] = 8,
    out: Out = Path("inverted.npz"),
    sheet: Path | None = None,
    scale: Scale = None,
    device: Device = "auto",
    own: Recipes = None,
    json: Json = False,
) -> None:
    """Find the noise that makes your own picture; its file is then usable wherever an image number is.

    Args:
        picture: an image file. For a generator of MNIST's digits, a written digit that was scanned or photographed is
            brought to their form first.
        more: further pictures.
        label: the class of all pictures, for a generator trained on labels; if not given, all are tried.
        as_is: leave the picture as it is, but for its size.
        seed: random seed of the samples that the search begins from.
        floor: how many real images, none of them trained on, to invert for comparison; 0 for none. Kept in the run.
        out: the vectors (.npz or .safetensors).
        sheet: where to draw the pictures beside what was found; of --out me.npz, me-found.png if not given.
    """
    files = [picture, *more]
    check_there(*files)
    from gansmith import latent
    from gansmith.latent import inversion, photo, vectors
    from gansmith.runs import load

    drawn = sheet or out.with_name(f"{out.stem}-found.png")
    _check_inversion(files, out, drawn)
    given = [photo.read(file) for file in files]
    generator = load.load(run, device=device)
    columns = _targets(generator, files, given, as_is=as_is)
    begun = time.perf_counter()
    found = latent.invert(
        generator,
        list(columns.values())[-1],
        labels=None if label is None else [generator.label(label)] * len(files),
        names=[Path(file).stem for file in files],
        seed=inversion.SEED if seed is None else seed,
        progress=progress,
    )
    seconds = time.perf_counter() - begun
    vectors.save(out, found.vectors, generator)
    least, of = _floor(run, generator, floor) if floor else (None, "")
    _draw(drawn, files, {**columns, "found": found.images}, found.errors, scale)
    facts, lines = _inverted(generator, files, found)
    about = {"floor": finite(least), "floor_of": of, "normalised": len(columns) > 1, "seconds": round(seconds, 3)}
    rows = {"floor": least and f"{least:.1f}: {of}", "time": f"{seconds:.1f} s", "sheet": drawn, "vectors": out}
    show({"path": out, "sheet": drawn, **facts, **about}, *lines, pairs(rows), json=json)


def _check_inversion(files: list[str], out: Path, drawn: Path) -> None:
    """Raises UserError before anything is loaded, where a file cannot be written."""
    from gansmith.latent import figures, vectors

    vectors.check_target(out)
    if drawn.resolve() in {Path(file).resolve() for file in files}:
        raise UserError(f"{drawn}: is one of the pictures, and would be overwritten; name another with --sheet")
    figures.check_target(drawn, figures.SHEETS)


def _targets(generator: Any, files: list[str], given: list[Any], *, as_is: bool) -> dict[str, Any]:
    """The pictures in the generator's shape and, where it makes MNIST's digits, as those; the last is looked for."""
    import numpy as np

    from gansmith.latent import photo

    recipe = generator.recipe
    found = {"given": np.stack([photo.fitted(each, channels=recipe.channels, size=recipe.size) for each in given])}
    if photo.wants_digits(generator) and not as_is:
        digits = [_named(file, photo.normalised, each) for file, each in zip(files, given, strict=True)]
        found["as MNIST"] = np.stack(digits)
    return found


def _named(file: str, function: Any, picture: Any) -> Any:
    try:
        return function(picture)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _draw(path: Path, files: list[str], columns: dict[str, Any], errors: Any, scale: int | None) -> None:
    """Each picture's row: as given, as it was looked for, and as it was found."""
    import numpy as np

    from gansmith.latent import figures

    rows = [np.stack([part[index] for part in columns.values()]) for index in range(len(files))]
    titles = [f"{Path(file).name[:24]}\nerror {error:.1f}" for file, error in zip(files, errors, strict=True)]
    figures.save(path, figures.rows(titles, rows, captions=list(columns), scale=scale))


def _inverted(generator: Any, files: list[str], found: Any) -> tuple[dict[str, Any], list[str]]:
    """What was found, as a document and in lines."""
    labels, names = found.vectors.labels, generator.classes or range(generator.recipe.classes)
    if labels is not None:
        labels = labels // max(1, generator.recipe.kinds) if generator.recipe.classes else None
    classes = [] if labels is None else [str(names[each]) for each in labels]
    made = [f", label {name}" for name in classes] or [""] * len(files)
    lines = [
        f"{file}: error {error:.1f} grey levels, from {before:.1f}{label}"
        for file, error, before, label in zip(files, found.errors, found.before, made, strict=True)
    ]
    errors = {name: [finite(each) for each in getattr(found, name)] for name in ("errors", "before")}
    return {"pictures": files, **errors, "labels": classes or None}, lines


def _floor(where: str, generator: Any, count: int) -> tuple[float | None, str]:
    """The median error of inverting real images, and in words what it is; kept in the run's folder."""
    import numpy as np

    from gansmith.evaluation import real
    from gansmith.latent import inversion

    try:
        images = real.find(where, generator, progress=progress).unseen
    except UserError as error:  # nothing to compare with; the inversion itself is done
        say(f"not compared with real images: {str(error).partition(';')[0]}", aside=True)
        return None, ""
    run = real.run_of(where)
    path = None if run is None else run.path / "inversion.json"
    key = {"generator": generator.digest, "data": images.fingerprint, "images": count}
    if path is not None and path.exists():
        with suppress(UserError, KeyError):
            stored = read_json(path)
            if {name: stored[name] for name in key} == key:
                return float(stored["floor"]), str(stored["of"])
    chosen = np.random.default_rng(0).choice(len(images), min(count, len(images)), replace=False)
    say(f"inverting {len(chosen)} {images.split} images once, for comparison", aside=True)
    least = inversion.floor(generator, images.take(chosen), progress=progress)
    of = f"the median of {len(chosen)} {images.split} images"
    if path is not None:
        write_json(path, {**key, "floor": least, "of": of})
    return least, of


def neighbours(
    run: Generator,
    /,
    *,
    seeds: str | None = None,
    number: InARow = 6,
    count: Annotated[int, within("count", NEIGHBOURS)] = 4,
    data: RealImages = None,
    seed: Seed = 0,
    out: Out = Path("neighbours.png"),
    drawing: Drawing = DRAWING,
) -> None:
    """Show samples beside the training images nearest to them, by pixels and by features: are they copies?

    Args:
        seeds: the samples: image numbers or saved vectors; the first --number if not given.
        number: how many samples.
        count: training images beside each, in each of the two ways.
        out: a row a sample (.png, .jpg).
    """
    from gansmith import latent
    from gansmith.evaluation import real as real_images
    from gansmith.evaluation import reference
    from gansmith.latent import classes, figures

    check_targets(out, None, figures.SHEETS)
    generator = drawing.load_steady(run)
    points = some_points(generator, seeds, number, seed)
    real = real_images.find(run, generator, data, progress=progress).train
    encoder = classes.encoder_of(generator)
    found = latent.neighbours(
        generator,
        points,
        real,
        count=count,
        encode=lambda images: encoder.encode(images).features,
        features=reference.features_of_all(real, encoder, progress=progress),
        progress=progress,
    )
    figures.save(out, figures.nearest(found, real, scale=drawing.scale))
    rows = [_near_row(found, real, index) for index in range(len(points))]
    headers = ["sample", "nearest by pixels", "distance", "usual", "nearest by features", "distance", "usual"]
    show(
        {"path": out, "samples": rows, "encoder": encoder.full_name, "data": real.name, "seed": seed},
        table(headers, [[row["sample"], *_near_cells(row["pixels"]), *_near_cells(row["features"])] for row in rows]),
        "\nNearest: number and class of a training image. Distance: of pixels in grey levels (root mean square); of "
        f"features of {encoder.full_name}.\nUsual: from that training image to the nearest other one; a copy is far "
        f"nearer.\n{amount(len(rows), 'sample')} beside {real.name}: {out}",
        json=drawing.json,
    )


def _near_row(found: Any, real: Any, index: int) -> dict[str, Any]:
    row: dict[str, Any] = {"sample": found.vectors.names[index]}
    for name in ("pixels", "features"):
        close = getattr(found, name)
        first = int(close.indices[index, 0])
        row[name] = {
            "nearest": close.indices[index].tolist(),
            "class": None if real.labels is None else real.classes[real.labels[first]],
            "distances": [finite(each) for each in close.distances[index]],
            "usual": finite(close.usual[index]),
        }
    return row


def _near_cells(close: dict[str, Any]) -> list[Any]:
    told = f" ({close['class']})" if close["class"] is not None else ""
    return [f"{close['nearest'][0]}{told}", close["distances"][0], close["usual"]]
