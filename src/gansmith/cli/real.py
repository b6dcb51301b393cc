"""Verbs that hold what a generator makes against real images: truncate, neighbours."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gansmith.cli.output import document, finite, progress, say, table
from gansmith.errors import UserError
from gansmith.runs import load
from gansmith.text import amount

__all__ = ["neighbours", "truncate"]

Json = Annotated[bool, Parameter(negative=(), show_default=False, help="print one JSON document")]
Switch = Parameter(negative=(), show_default=False)
Out = Parameter(name=("--out", "-o"))
MOST = 40  # points of one picture


def truncate(
    run: str,
    /,
    *,
    psi: str = "1,0.8,0.6,0.4,0.2,0",
    seeds: str | None = None,
    number: Annotated[int, Parameter(name=("--number", "-n"))] = 8,
    samples: int = 1000,
    data: str | None = None,
    seed: int = 0,
    out: Annotated[Path, Out] = Path("truncate.png"),
    best: Annotated[bool, Switch] = False,
    device: str = "auto",
    json: Json = False,
) -> None:
    """Trade variety for quality: noise drawn nearer to its centre, and what that does to precision and recall.

    Args:
        run: a run's folder, its name under runs/, or last; or an exported generator's folder.
        psi: strengths with commas, a row each: 1 leaves the noise, 0 takes it to the centre.
        seeds: the points of a row: images' numbers, or saved vectors; the first --number if not given.
        number: how many images in a row.
        samples: images that precision and recall are measured on, generated and real; 0 measures nothing.
        data: the real images, if not the run's: a name or a path.
        seed: that images' numbers belong to.
        out: the rows and the curve (.png, .jpg).
        best: take the checkpoint whose quality measured best while training, instead of the newest.
        device: auto, cpu, cuda or cuda:1.
    """
    from gansmith import latent
    from gansmith.evaluation import real as truth
    from gansmith.latent import classes, figures, truncation, vectors

    figures.check_target(out, figures.SHEETS)
    psis = _numbers(psi, "--psi")
    truncation.check(psis)
    if not (samples == 0 or 50 <= samples <= 50_000):
        raise UserError(f"--samples {samples}: give 50 to 50,000, or 0 to measure nothing")
    generator = vectors.steady(load.load(run, device=device, which="best" if best else "newest"))
    found = latent.truncate(generator, _some(generator, seeds, number, seed), psis)
    trade = None
    if samples:
        dataset, fit = truth.dataset_of(generator, run, data, progress=progress)
        encoder = classes.encoder_of(generator)
        trade = truncation.measured(
            generator, dataset, fit, encoder, psis, samples=samples, seed=seed, progress=progress
        )
    figures.save(out, figures.trade(found, trade))
    rows = _trade_rows(psis, trade)
    floor = None if trade is None else _support(trade.floor)
    if json:
        protocol = None if trade is None else trade.protocol
        document({"path": out, "psi": rows, "floor": floor, "protocol": protocol, "seed": seed})
        return
    if trade is not None:
        say(
            table(
                list(rows[0]), [list(row.values()) for row in [*rows, {"psi": "real images", **_support(trade.floor)}]]
            )
        )
        say(f"\n{trade.protocol}.")
    say(f"{amount(len(psis), 'row')} of {amount(found.images.shape[1], 'image')}: {out}")


def neighbours(
    run: str,
    /,
    *,
    seeds: str | None = None,
    number: Annotated[int, Parameter(name=("--number", "-n"))] = 6,
    count: int = 4,
    data: str | None = None,
    seed: int = 0,
    out: Annotated[Path, Out] = Path("neighbours.png"),
    best: Annotated[bool, Switch] = False,
    device: str = "auto",
    json: Json = False,
) -> None:
    """Show samples beside the training images nearest to them, by pixels and by features: are they copies?

    Args:
        run: a run's folder, its name under runs/, or last; or an exported generator's folder.
        seeds: the samples: images' numbers, or saved vectors; the first --number if not given.
        number: how many samples.
        count: training images beside each, in each of the two ways.
        data: the training images, if not the run's: a name or a path.
        seed: that images' numbers belong to.
        out: a row a sample (.png, .jpg).
        best: take the checkpoint whose quality measured best while training, instead of the newest.
        device: auto, cpu, cuda or cuda:1.
    """
    from gansmith import latent
    from gansmith.evaluation import real as truth
    from gansmith.latent import classes, figures, nearest_training, vectors

    figures.check_target(out, figures.SHEETS)
    nearest_training.check(count)
    generator = vectors.steady(load.load(run, device=device, which="best" if best else "newest"))
    points = _some(generator, seeds, number, seed)
    real, _ = truth.dataset_of(generator, run, data, progress=progress)
    encoder = classes.encoder_of(generator)
    found = latent.neighbours(
        generator,
        points,
        real,
        count=count,
        encode=lambda images: encoder.encode(images).features,
        features=truth.features(real, encoder, progress=progress),
        progress=progress,
    )
    figures.save(out, figures.nearest(found, real))
    rows = [_near_row(found, real, index) for index in range(len(points))]
    if json:
        document({"path": out, "samples": rows, "encoder": encoder.full_name, "data": real.name, "seed": seed})
        return
    headers = ["sample", "nearest by pixels", "distance", "usual", "nearest by features", "distance", "usual"]
    say(table(headers, [[row["sample"], *_near_cells(row["pixels"]), *_near_cells(row["features"])] for row in rows]))
    say(
        "\nNearest: number and class of a training image. Distance: of pixels in grey levels (root mean square); of "
        f"features of {encoder.full_name}.\nUsual: from that training image to the nearest other one; a copy is far "
        f"nearer.\n{amount(len(rows), 'sample')} beside {real.name}: {out}"
    )


def _some(generator: Any, seeds: str | None, number: int, seed: int) -> Any:
    """The points that --seeds names, or the first --number."""
    from gansmith.latent import vectors

    if not 1 <= number <= MOST:
        raise UserError(f"--number {number}: give 1 to {MOST}")
    found = (
        vectors.points(generator, seeds, seed=seed) if seeds else vectors.seeded(generator, range(number), seed=seed)
    )
    if len(found) > MOST:
        raise UserError(f"--seeds: {len(found)} points; name at most {MOST}")
    return found


def _numbers(text: str, flag: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"{flag} {text[:60]}: give numbers with commas, such as 1,0.5,0") from None


def _trade_rows(psis: Any, trade: Any) -> list[dict[str, Any]]:
    return [{"psi": psi, **(_support(trade.supports[i]) if trade else {})} for i, psi in enumerate(psis)]


def _support(support: Any) -> dict[str, float | None]:
    return {"precision": finite(support.precision), "recall": finite(support.recall)}


def _near_row(found: Any, real: Any, index: int) -> dict[str, Any]:
    row: dict[str, Any] = {"sample": found.vectors.names[index]}
    for name in ("pixels", "features"):
        close = getattr(found, name)
        first = int(close.indices[index, 0])
        row[name] = {
            "nearest": close.indices[index].tolist(),
            "class": None if real.labels is None else real.classes[real.labels[first]],
            "distances": [finite(float(each)) for each in close.distances[index]],
            "usual": finite(float(close.usual[index])),
        }
    return row


def _near_cells(close: dict[str, Any]) -> list[Any]:
    told = f" ({close['class']})" if close["class"] is not None else ""
    return [f"{close['nearest'][0]}{told}", close["distances"][0], close["usual"]]
