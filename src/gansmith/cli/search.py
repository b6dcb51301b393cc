"""Verbs that search a generator's noise: find (which makes a 7?) and invert (which makes this picture?)."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gansmith.cli.output import document, finite, pairs, progress, say
from gansmith.errors import UserError
from gansmith.files import read_json, write_json
from gansmith.runs import load
from gansmith.text import amount

__all__ = ["find", "invert", "real_images", "run_of"]

Json = Annotated[bool, Parameter(negative=(), show_default=False, help="print one JSON document")]
Switch = Parameter(negative=(), show_default=False)
Out = Parameter(name=("--out", "-o"))


def find(
    run: str,
    /,
    *,
    label: str | None = None,
    look: str | None = None,
    number: Annotated[int, Parameter(name=("--number", "-n"))] = 10,
    seed: int = 0,
    refine: bool | None = None,
    encoder: Path | None = None,
    out: Annotated[Path, Out] = Path("found.png"),
    save: Path | None = None,
    device: str = "auto",
    json: Json = False,
) -> None:
    """Find noise that makes a class, or a look, or both: thousands of samples read by an encoder.

    Args:
        run: a run's folder, its name under runs/, or last; or an exported generator's folder.
        label: the class, by name or number.
        look: thick or thin, left or right (leaning), bright or dark, wide or narrow; several with commas.
        number: of hits, as different from each other as possible.
        seed: of the samples that are searched.
        refine: follow gradients to surer hits; done only where samples alone are too few, if not given.
        encoder: a .safetensors file of `gansmith encoder train`, for data that none is shipped for.
        out: the sheet of hits (.png, .jpg).
        save: also write their vectors (.npz or .safetensors).
        device: auto, cpu, cuda or cuda:1.
    """
    from gansmith import latent, render
    from gansmith.encoders import encoder as encoders
    from gansmith.latent import figures, vectors

    figures.check_target(out, figures.SHEETS)
    if save is not None:
        vectors.check_target(save)
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
    figures.save(out, render.sheet(hits.images, columns=columns, captions=captions, scale=3 if columns > 5 else None))
    if save is not None:
        vectors.save(save, hits.vectors, generator)
    if json:
        document(
            {"path": out, "saved": save, "label": label, "look": list(looks), "seed": seed} | _facts(hits, seconds)
        )
        return
    what = " ".join(filter(None, [", ".join(looks), f"label {label}" if label else ""]))
    fewer = f" (of {number} asked for: there are no others)" if len(hits) < number else ""
    say(f"{amount(len(hits), 'hit')} for {what}{fewer}: {out}" + (f", {save}" if save else ""))
    say(pairs(_lines(hits, seconds, told=bool(generator.recipe.classes))))


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
        how = " told to be one" if told else ""
        rows["hit rate"] = f"{hits.hit_rate:.1%} of {amount(hits.looked_at, 'random sample')}{how}"
    for name, values in hits.measures.items():
        rows[name] = f"{values.min():.2f} to {values.max():.2f}; typical is {hits.typical[name]:.2f}"
    rows["refined"] = "by gradients (*)" if hits.refined else ""
    rows["time"] = f"{seconds:.1f} s"
    return rows


def invert(
    run: str,
    picture: str,
    /,
    *more: str,
    label: str | None = None,
    as_is: Annotated[bool, Switch] = False,
    seed: int | None = None,
    floor: int = 8,
    out: Annotated[Path, Out] = Path("inverted.npz"),
    sheet: Path | None = None,
    device: str = "auto",
    json: Json = False,
) -> None:
    """Find the noise that makes your own picture; its file is then usable wherever an image's number is.

    Args:
        run: a run's folder, its name under runs/, or last; or an exported generator's folder.
        picture: an image file. For a generator of MNIST's digits, a written digit that was scanned or photographed is
            brought to their form first.
        more: further pictures.
        label: the class of all pictures, for a generator trained on labels; if not given, all are tried.
        as_is: leave the picture as it is, but for its size.
        seed: of the samples that the search begins from.
        floor: how many real images, none of them trained on, to invert for comparison; 0 for none. Kept in the run.
        out: the vectors (.npz or .safetensors).
        sheet: where to draw the pictures beside what was found; of --out me.npz, me-found.png if not given.
        device: auto, cpu, cuda or cuda:1.
    """
    import numpy as np

    from gansmith import latent
    from gansmith.latent import figures, inversion, photo, vectors

    vectors.check_target(out)
    files = [picture, *more]
    drawn = sheet or out.with_name(f"{out.stem}-found.png")
    if drawn.resolve() in {Path(file).resolve() for file in files}:
        raise UserError(f"{drawn}: is one of the pictures, and would be overwritten; name another with --sheet")
    figures.check_target(drawn, figures.SHEETS)
    if not 0 <= floor <= 100:
        raise UserError(f"--floor {floor}: give 0 to 100 images")
    given = [photo.read(file) for file in files]
    generator = load.load(run, device=device)
    recipe = generator.recipe
    shown = np.stack([photo.fitted(each, channels=recipe.channels, size=recipe.size) for each in given])
    normal = photo.wants_digits(generator) and not as_is
    targets = shown
    if normal:
        targets = np.stack([_named(file, photo.normalised, each) for file, each in zip(files, given, strict=True)])
    told = None if label is None else [generator.label(label)] * len(files)
    begun = time.perf_counter()
    found = latent.invert(
        generator, targets, labels=told, names=[Path(file).stem for file in files],
        seed=inversion.SEED if seed is None else seed, progress=progress,
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    vectors.save(out, found.vectors, generator)
    least, of = _floor(run, generator, floor) if floor else (None, "")
    columns = {"given": shown, "as MNIST": targets, "found": found.images}
    if not normal:
        del columns["as MNIST"]
    _draw(drawn, files, columns, found.errors)
    labels = found.vectors.labels
    classes = [] if labels is None else [str((generator.classes or range(recipe.classes))[each]) for each in labels]
    if json:
        facts = {"errors": [finite(e) for e in found.errors], "before": [finite(e) for e in found.before]}
        about = {"floor": finite(least), "floor_of": of, "labels": classes or None, "normalised": normal}
        document({"path": out, "sheet": drawn, "pictures": files, **facts, **about, "seconds": round(seconds, 3)})
        return
    for index, file in enumerate(files):
        made = f", label {classes[index]}" if classes else ""
        say(f"{file}: error {found.errors[index]:.1f} grey levels, from {found.before[index]:.1f}{made}")
    say(pairs({"floor": least and f"{least:.1f}: {of}", "time": f"{seconds:.1f} s", "sheet": drawn, "vectors": out}))


def _draw(path: Path, files: list[str], columns: dict[str, Any], errors: Any) -> None:
    """Each picture's row: as given, as it was looked for, and as it was found."""
    import numpy as np

    from gansmith.latent import figures

    rows = [np.stack([part[index] for part in columns.values()]) for index in range(len(files))]
    titles = [f"{Path(file).name[:24]}\nerror {error:.1f}" for file, error in zip(files, errors, strict=True)]
    figures.save(path, figures.rows(titles, rows, captions=list(columns)))


def run_of(where: str) -> Any:
    """The run that a name means; None for an exported generator's folder."""
    from gansmith import runs

    return None if (Path(where) / "model.safetensors").exists() else runs.find(where)


def real_images(where: str, generator: Any, source: str | None) -> tuple[Any, str]:
    """Real images of the generator's kind, and which: those of the test split, if there is one."""
    from gansmith import data

    run, size = run_of(where), generator.recipe.size
    fit: Literal["crop", "pad"] = run.data.fit if run else "crop"
    name = source or (run.data.source if run else str(generator.about.get("data", "")))
    if run is None and source is None and name not in data.names():
        raise UserError(f"{where}: does not say where its data are; give them with --data")
    split: Literal["train", "test"] = "test" if data.test_count(name) else "train"
    return data.load(name, split=split, size=size, fit=fit, progress=progress), f"{split} images"


def _floor(where: str, generator: Any, count: int) -> tuple[float | None, str]:
    """The median error of inverting real images, and in words what it is; kept in the run's folder."""
    import numpy as np

    from gansmith.latent import inversion

    run = run_of(where)
    path = None if run is None else run.path / "inversion.json"
    key = {"generator": generator.digest, "images": count}
    if path is not None and path.exists():
        with suppress(UserError, KeyError):
            kept = read_json(path)
            if {name: kept[name] for name in key} == key:
                return float(kept["floor"]), str(kept["of"])
    try:
        real, seen = real_images(where, generator, None)
    except UserError:  # no images to compare with: the inversion itself is done
        return None, ""
    chosen = np.random.default_rng(0).choice(len(real), min(count, len(real)), replace=False)
    say(f"inverting {len(chosen)} {seen} once, for comparison", aside=True)
    least = inversion.floor(generator, real.take(chosen), progress=progress)
    of = f"the median of {len(chosen)} {seen}"
    if path is not None:
        write_json(path, {**key, "floor": least, "of": of})
    return least, of


def _named(file: str, function: Any, picture: Any) -> Any:
    try:
        return function(picture)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
