"""`gansmith complete`: pictures completed, and small ones enlarged."""

from pathlib import Path
from typing import Any, Literal

from gansmith.cli.explore import check_targets
from gansmith.cli.options import Best, Device, Generator, Json, Number, Out, Recipes, Save, Scale, Switch
from gansmith.cli.output import finite, progress, show
from gansmith.errors import UserError
from gansmith.text import amount

INK = 64
"""Grey level from which on a pixel of a drawing is a stroke."""


def complete(
    run: Generator,
    picture: str,
    /,
    *,
    mask: str | None = None,
    keep: Literal["left", "right", "top", "bottom"] | None = None,
    draw: Switch = False,
    enlarge: int | None = None,
    number: Number = 6,
    label: str | None = None,
    seed: int | None = None,
    out: Out = Path("completed.png"),
    save: Save = None,
    scale: Scale = None,
    best: Best = False,
    device: Device = "auto",
    own: Recipes = None,
    json: Json = False,
) -> None:
    """Fill in the unknown part of a picture, or enlarge a small one, in several ways. What is known stays as it is.

    Args:
        picture: an image file; it is cropped to a square and brought to the generator's size.
        mask: an image file of the picture's shape: what is white in it is filled in.
        keep: the half of the picture that is known.
        draw: the light strokes are known, and the dark around them is not.
        enlarge: the picture is small, and becomes as many times as large: 4, for one of 7x7 and a generator of 28x28.
        number: how many answers.
        label: the class, for a generator trained on labels; if not given, all are tried.
        seed: random seed of the samples that the search begins from.
        out: the picture, what is known of it, and the answers in a row (.png, .jpg).
    """
    import numpy as np

    from gansmith import latent
    from gansmith.latent import figures, inversion, photo, vectors
    from gansmith.runs import load

    check_targets(out, save, figures.SHEETS, read=(picture, mask))
    if sum([mask is not None, keep is not None, draw, enlarge is not None]) != 1:
        raise UserError("say what is known, by one of --mask, --keep, --draw and --enlarge")
    read = photo.read(picture)
    drawn = None if mask is None else photo.read(mask)
    generator = load.load(run, device=device, which="best" if best else "newest")
    recipe = generator.recipe
    search: dict[str, Any] = {
        **{"n": number, "labels": None if label is None else [label], "progress": progress},
        "seed": inversion.SEED if seed is None else seed,
    }
    if enlarge is not None:
        if enlarge < 2 or recipe.size % enlarge:
            raise UserError(f"--enlarge {enlarge}: give a number above 1 that divides {recipe.size}")
        given = photo.fitted(read, channels=recipe.channels, size=recipe.size // enlarge)[None]
        found = latent.enlarge(generator, given, **search)
        shown = [given[0].repeat(enlarge, axis=1).repeat(enlarge, axis=2)]
    else:
        given = photo.fitted(read, channels=recipe.channels, size=recipe.size)[None]
        known = _known(given[0], None if drawn is None else photo.fitted(drawn, channels=1, size=recipe.size), keep)
        if known.all() or not known.any():
            what = f"--mask {mask}: make a part of it white, which is filled in, and the rest black" if mask else ""
            raise UserError(what or f"--draw {picture}: draw light strokes on a dark ground")
        found = latent.complete(generator, given, known, **search)
        shown = [given[0], np.where(known, given[0], 96).astype(np.uint8)]
    captions = ["given", "known"][: len(shown)] + [f"{error:.0f} off" for error in found.errors[0]]
    row = np.concatenate([np.stack(shown), found.images[0]])
    figures.save(out, figures.rows([Path(picture).name[:24]], [row], captions=captions, scale=scale))
    if save is not None:
        vectors.save(save, found.vectors, generator)
    facts = {
        **{"path": out, "answers": len(row) - len(shown), "errors": [finite(each) for each in found.errors[0]]},
        **{"saved": save, "generator": generator.digest},
    }
    said = (
        f"{amount(len(row) - len(shown), 'answer')}, {found.errors[0].min():.1f} to {found.errors[0].max():.1f} grey "
    )
    show(facts, f"{said}levels off in what is known before that was put in: {out}", json=json)


def _known(picture: Any, mask: Any, keep: str | None) -> Any:
    """Which pixels (S, S) of a picture (C, S, S) are known, by one of the three ways."""
    import numpy as np

    if mask is not None:
        return mask[0] < 128
    if keep is None:
        return picture.max(axis=0) >= INK
    known, half = np.zeros(picture.shape[1:], bool), picture.shape[1] // 2
    places: Any = {"left": np.s_[:, :half], "right": np.s_[:, half:], "top": np.s_[:half], "bottom": np.s_[half:]}[keep]
    known[places] = True
    return known
