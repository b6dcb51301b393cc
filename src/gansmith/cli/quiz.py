"""`gansmith quiz`: real or forged? In the terminal, or as a sheet with its key."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from gansmith.cli.options import (
    AnySeed,
    Device,
    Generator,
    Json,
    OptionalSource,
    Recipes,
    Scale,
    check_sheet_scale,
    within,
)
from gansmith.cli.output import Drawn, colours, pairs, progress, say, show
from gansmith.errors import ROUNDS, UserError
from gansmith.text import amount

REAL, FORGED, END = {"r", "real"}, {"f", "forged", "fake"}, {"q", "quit"}


def quiz(
    run: Generator,
    /,
    *,
    rounds: Annotated[int, within("rounds", ROUNDS)] = 20,
    seed: AnySeed = 0,
    player: str = "",
    data: OptionalSource = None,
    sheet: Path | None = None,
    scale: Scale = None,
    device: Device = "auto",
    own: Recipes = None,
    json: Json = False,
) -> int:
    """Real or forged? Answer r or f, image by image; q ends. The score is kept in the run's folder.

    Args:
        rounds: how many images.
        seed: random seed of the images and their order: players with the same seed get the same quiz.
        player: your name, kept with the score.
        data: where real images come from; the test split of what the run was trained on if not given.
        sheet: ask nothing, but write all images as this sheet (.png, .jpg), and the key beside it as NAME-key.
    """
    from gansmith.evaluation import human as quizzes
    from gansmith.evaluation import real
    from gansmith.latent import figures
    from gansmith.runs import load

    check_sheet_scale(sheet, scale)
    if sheet is not None:
        figures.check_target(sheet, figures.SHEETS)
    if len(player) > 80 or not player.isprintable():
        raise UserError("--player: give a name of up to 80 letters")
    generator = load.load(run, device=device)
    images = real.find(run, generator, data, progress=progress).unseen
    asked = quizzes.make(generator, images, rounds=rounds, seed=seed)
    if sheet is not None:
        _write(asked, sheet, scale, json=json)
        return 0
    answers: list[bool] = []
    stopped = False
    try:
        for answer in _answers(asked, aside=json):
            answers.append(answer)
    except KeyboardInterrupt:
        stopped = True
    if not answers:
        if stopped:
            return 130
        raise UserError("no answer was given: type r (real) or f (forged), or pipe such lines in")
    about = {"step": generator.about.get("steps", 0), "player": player, "seed": seed, "real": f"{images.split} images"}
    _judged(run, asked, answers, {**about, "generator": generator.digest[:16]}, json=json)
    return 130 if stopped else 0


def _write(asked: Any, path: Path, scale: int | None, *, json: bool) -> None:
    """The sheet, and its key beside it."""
    from gansmith import render
    from gansmith.latent import figures

    numbers = [str(index + 1) for index in range(len(asked))]
    key = path.with_name(f"{path.stem}-key{path.suffix}")
    marked = [index for index, forged in enumerate(asked.forged) if forged]
    drawn = partial(render.sheet, asked.images, captions=numbers, scale=scale, widest=render.SLIDE)
    figures.save(path, drawn())
    figures.save(key, drawn(marked=marked))
    forged = [bool(value) for value in asked.forged]
    show(
        {"sheet": path, "key": key, "rounds": len(asked), "seed": asked.seed, "forged": forged},
        f"{amount(len(asked), 'image')}, some of them forged: {path}; the key, with those in red: {key}",
        json=json,
    )


def _judged(where: str, asked: Any, answers: list[bool], about: dict[str, Any], *, json: bool) -> None:
    """Scores the answers, keeps the score, and says it."""
    from gansmith.evaluation import human as quizzes

    result = quizzes.score(asked, answers)
    row = quizzes.row(result, about)
    path, everyone = _kept(where, row)
    wrong = [index for index, answer in enumerate(answers) if answer != asked.forged[index]]
    facts = {**row, "verdict": result.verdict, "wrong": [index + 1 for index in wrong], "path": path}
    rows = {
        "right": f"{result.right} of {result.rounds}; a guesser does as well in {result.chance:.2g} of all cases",
        "verdict": result.verdict,
        "fooled by": f"{result.taken_for_real} of {amount(result.forged, 'forged image')}",
        "wrong": ", ".join(f"{index + 1} ({'forged' if asked.forged[index] else 'real'})" for index in wrong),
        "all so far": everyone,
        "kept in": path,
    }
    show(facts, "\n" + pairs(rows), json=json)


def _answers(asked: Any, *, aside: bool) -> Iterator[bool]:
    """Shows each image and reads the answer; True for forged. Ends early at q, or at the end of the input."""
    from gansmith import render

    for index in range(len(asked)):
        blocks = render.blocks(asked.images[index : index + 1], columns=1, colour=colours() and not aside)
        say(Drawn(f"\n{blocks}"), aside=aside)
        while True:
            say(f"{index + 1} of {len(asked)}: real or forged? [r/f/q]", aside=aside)
            line = sys.stdin.readline()
            word = line.strip().lower()
            if not line or word in END:
                return
            if word in REAL | FORGED:
                yield word in FORGED
                break


def _kept(where: str, row: dict[str, Any]) -> tuple[Path | None, str]:
    """Appends a score to the run's quiz.jsonl; where that is, and what all players have done so far."""
    from gansmith import runs
    from gansmith.evaluation import human as quizzes
    from gansmith.evaluation.real import run_of

    run = run_of(where)
    if run is None:  # an exported generator has no folder of results
        return None, ""
    path = quizzes.keep(run.path, row)
    rows = list(runs.rows(path))
    total, right = (sum(int(each.get(name, 0)) for each in rows) for name in ("rounds", "right"))
    return path, f"{right / max(total, 1):.0%} of {amount(total, 'answer')} right, in {amount(len(rows), 'game')}"
