"""`gansmith encoder`: train an encoder on labelled images of one's own, and show what is known of one."""

import time
from dataclasses import replace
from typing import Any

from gansmith.cli.options import Fit, Json, Out, Source, Switch
from gansmith.cli.output import pairs, patient, progress, show, table
from gansmith.errors import UserError
from gansmith.text import amount, finite


def train(
    data: Source,
    /,
    *,
    out: Out,
    name: str | None = None,
    judge: Switch = False,
    images: int | None = None,
    size: int | None = None,
    fit: Fit = "crop",
    seed: int = 0,
    json: Json = False,
) -> None:
    """Train an encoder on labelled images and say how many of those it has never seen it names right.

    Tested on the data's test split, or, where there is none, on a tenth of each class that is held out.

    Args:
        data: mnist, another name, or the path of an image folder with a sub-folder per class, .zip, .npz or IDX file.
        out: the file to write, ending in .safetensors.
        name: of the encoder, in the names of metrics; the data's if not given.
        judge: train the second classifier instead, another network, to see whether two agree.
        images: images to learn from in all, counting repeats; 20 passes, at least 8,000, if not given.
        size: height and width in pixels that images are brought to; their own, 64 at most, if not given.
        seed: random seed of initial weights, order, augmentation, and of what is held out.
    """
    from gansmith import hardware
    from gansmith.encoders import train as training
    from gansmith.encoders.file import check_name, check_target
    from gansmith.evaluation import real

    check_target(out)
    if name is not None:
        check_name(name)
    if images is not None and not 1 <= images <= 10**9:
        raise UserError(f"--images {images}: give a number from 1 to 1,000,000,000")
    given = real.of_data(data, size=size, fit=fit, seed=seed, progress=progress)
    found = given.train
    training.check(found.labels, found.classes, data)
    known, asked = training.split(found, given.test, seed)
    title = name or (f"{found.name}-judge" if judge else found.name)
    settings = training.settings_for(found.name, judge=judge, count=len(known[1]))
    if images is not None:
        settings = replace(settings, images=images)
    began = time.monotonic()
    encoder = training.train(
        *known,
        *asked,
        name=title,
        classes=found.classes,
        settings=settings,
        seed=seed,
        fingerprint=found.fingerprint,
        bf16=hardware.bf16_support("cpu")[0],
        progress=patient(),
    )
    path = encoder.save(out)
    facts = {"path": path, **_facts(encoder), "seconds": finite(time.monotonic() - began)}
    show(facts, pairs(_rows(encoder)), f"written to  {path}", json=json)


def show_encoder(
    encoder: str | None = None,
    /,
    *,
    test: str | None = None,
    judge: Switch = False,
    json: Json = False,
) -> None:
    """List the encoders that gansmith brings along, or show one; with --test, count again what it names right.

    Args:
        encoder: mnist, fashion-mnist, or the file of one of your own; without it, the list.
        test: data, of the encoder's classes, whose test split (all, if there is none) it is to name.
        judge: the second classifier of that name instead.
    """
    from gansmith.encoders import encoder as encoders

    if encoder is None:
        rows = [_facts(find(each)) for each in encoders.names() for find in (encoders.builtin, encoders.judge)]
        rows.append(_facts(encoders.control((1, 28, 28))))
        headers = ["encoder", "classes", "shape", "dimensions", "parameters", "test accuracy"]
        show(rows, table(headers, [[_short(row[header]) for header in headers] for row in rows]), json=json)
        return
    find = encoders.judge if judge else encoders.builtin
    if judge and encoder not in encoders.names():
        raise UserError(f"--judge: {encoder} is a file of its own; judges come with {' and '.join(encoders.names())}")
    shown = find(encoder) if encoder in encoders.names() else encoders.load(encoder)
    measured = {} if test is None else {f"right in {test}": _measure(shown, test)}
    about = {"test": next(iter(measured.values()), None), "card": shown.card.model_dump()}
    right = {name: "{correct:,} of {images:,}".format(**each) for name, each in measured.items()}
    show({**_facts(shown), **about}, pairs({**_rows(shown), **right}), json=json)


def _measure(encoder: Any, name: str) -> dict[str, Any]:
    """How many images of a data set's test split, or of all if it has none, the encoder names right."""
    import numpy as np

    from gansmith import data

    split: Any = "test" if data.test_count(name) else "train"
    found = data.load(name, split=split, progress=progress)
    if found.labels is None or found.classes != encoder.classes:
        raise UserError(f"--test {name}: its classes are not those of {encoder.full_name}; give data of the same")
    images = found.take(np.arange(len(found)))
    correct = int((encoder.encode(images, progress=patient()).labels == found.labels).sum())
    return {"data": name, "split": split, "images": len(found), "correct": correct, "accuracy": correct / len(found)}


def _facts(encoder: Any) -> dict[str, Any]:
    """An encoder as a program reads it."""
    return {
        "encoder": encoder.full_name,
        "digest": encoder.card.digest,
        "classes": list(encoder.classes),
        "shape": list(encoder.shape),
        "dimensions": encoder.dimensions,
        "parameters": sum(parameter.numel() for parameter in encoder.network.parameters()),
        "test accuracy": encoder.test_accuracy,
        "trained on": encoder.trained_on,
    }


def _rows(encoder: Any) -> dict[str, object]:
    """An encoder as a person reads it."""
    facts, tested = _facts(encoder), encoder.card.test
    names = ", ".join(encoder.classes[:12]) + (", ..." if len(encoder.classes) > 12 else "")
    channels, height, width = encoder.shape
    right = "" if tested is None else f"{tested.correct:,} of {amount(tested.images, 'test image')} named right"
    return {
        "encoder": facts["encoder"],
        "images": f"{height}x{width}, {'grey' if channels == 1 else 'RGB'}",
        "features": amount(encoder.dimensions, "dimension"),
        "parameters": f"{facts['parameters']:,}",
        "classes": f"{len(encoder.classes):,}: {names}" if encoder.classes else "none",
        "accuracy": f"{encoder.test_accuracy:.2%} ({right})" if right else "",
        "trained on": encoder.trained_on,
    }


def _short(value: Any) -> Any:
    """A fact as a table's cell."""
    if isinstance(value, float):
        return f"{value:.2%}"
    if isinstance(value, list):
        return "x".join(map(str, value)) if value and isinstance(value[0], int) else len(value)
    return value
