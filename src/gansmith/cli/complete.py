"""`gansmith complete`: pictures completed, and small ones enlarged."""

from pathlib import Path
from typing import Annotated, Any, Literal

from gansmith.cli.explore import check_targets
from gansmith.cli.options import (
    DRAWING,
    Drawing,
    Generator,
    Number,
    Out,
    Save,
    Switch,
    check_there,
    within,
)
from gansmith.cli.output import progress, show
from gansmith.errors import ANSWERS, FROM_0, UserError
from gansmith.text import amount, finite

Half = Literal["left", "right", "top", "bottom"]


def complete(
    run: Generator,
    picture: str,
    /,
    *,
    mask: str | None = None,
    keep: Half | None = None,
    draw: Switch = False,
    enlarge: int | None = None,
    number: Annotated[Number, within("number", ANSWERS)] = 6,
    label: str | None = None,
    seed: Annotated[int | None, within("seed", FROM_0)] = None,
    out: Out = Path("completed.png"),
    save: Save = None,
    drawing: Drawing = DRAWING,
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
    if sum([mask is not None, keep is not None, draw, enlarge is not None]) != 1:
        raise UserError("say what is known, by one of --mask, --keep, --draw and --enlarge")
    check_there(picture, mask)
    import numpy as np

    from gansmith.latent import figures, inversion, photo, vectors

    check_targets(out, save, figures.SHEETS, read=(picture, mask))
    read, drawn = photo.read(picture), None if mask is None else photo.read(mask)
    _check_alike(read, drawn, mask)
    generator = drawing.load(run)
    labels, seed = None if label is None else [label], inversion.SEED if seed is None else seed
    search: dict[str, Any] = {"n": number, "labels": labels, "seed": seed, "progress": progress}
    if enlarge is not None:
        found, shown = _enlarged(generator, read, enlarge, search)
    else:
        flag = f"--mask {mask}" if mask else f"--draw {picture}"
        found, shown = _completed(generator, read, keep, drawn, flag, search)
    captions = ["given", "known"][: len(shown)] + [f"{error:.0f} off" for error in found.errors[0]]
    row = np.concatenate([np.stack(shown), found.images[0]])
    figures.save(out, figures.rows([Path(picture).name[:24]], [row], captions=captions, scale=drawing.scale))
    if save is not None:
        vectors.save(save, found.vectors, generator)
    facts = {
        **{"path": out, "answers": len(row) - len(shown), "errors": [finite(each) for each in found.errors[0]]},
        **{"saved": save, "generator": generator.digest},
    }
    off = " to ".join(dict.fromkeys(f"{error:.1f}" for error in (found.errors[0].min(), found.errors[0].max())))
    said = f"{amount(len(row) - len(shown), 'answer')}, {off} grey levels off"
    show(facts, f"{said} in what is known before that was put in: {out}", json=drawing.json)


def _check_alike(picture: Any, mask: Any, name: str | None) -> None:
    """Refuses a mask of other proportions than the picture (C, H, W): it would not lie where it was drawn."""
    if mask is None:
        return
    (height, width), (high, wide) = picture.shape[1:], mask.shape[1:]
    if abs(width * high - height * wide) > max(width, height, wide, high):
        raise UserError(f"--mask {name}: is {wide}x{high} pixels and the picture {width}x{height}; give it that shape")


def _enlarged(generator: Any, read: Any, times: int, search: dict[str, Any]) -> tuple[Any, list[Any]]:
    """What a small picture becomes, and the picture as it is shown."""
    from gansmith import latent
    from gansmith.latent import photo

    recipe = generator.recipe
    if times < 2 or recipe.size % times:
        raise UserError(f"--enlarge {times}: give a number above 1 that divides {recipe.size}")
    given = photo.fitted(read, channels=recipe.channels, size=recipe.size // times)
    shown = [given.repeat(times, axis=1).repeat(times, axis=2)]
    return latent.enlarge(generator, given[None], **search), shown


def _completed(
    generator: Any, read: Any, keep: Half | None, drawn: Any, flag: str, search: dict[str, Any]
) -> tuple[Any, list[Any]]:
    """What a picture becomes, and it and what is known of it, the rest grey, as they are shown."""
    import numpy as np

    from gansmith import latent
    from gansmith.latent import photo

    given = photo.fitted(read, channels=generator.recipe.channels, size=generator.recipe.size)
    known = _known(given, keep, drawn, flag)
    found = latent.complete(generator, given[None], known, **search)
    return found, [given, np.where(known, given, 96).astype(np.uint8)]


def _known(given: Any, keep: Half | None, drawn: Any, flag: str) -> Any:
    """Which pixels (S, S) of a picture (C, S, S) are known: a half, what a mask leaves dark, or light strokes."""
    from gansmith.latent import photo

    unknown = None if drawn is None else photo.fitted(drawn, channels=1, size=given.shape[1])
    known = photo.known_pixels(given, unknown, keep)
    if known.all() or not known.any():
        light = "draw light strokes on a dark ground"
        of_mask = "make a part of it white, which is filled in, and the rest black"
        raise UserError(f"{flag}: {light if drawn is None else of_mask}")
    return known
