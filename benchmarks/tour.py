"""Records the games of the studio's guided tour: one that goes well and one that collapses, frame by frame.

`python -m benchmarks.tour` trains both anew on MNIST (about two minutes on one core) and writes what the page shows:
src/gansmith/studio/static/tour/{healthy,collapsed}.json.
"""

import json
from pathlib import Path

import torch

from gansmith.doctor import signals
from gansmith.files import write_text
from gansmith.generator import generate
from gansmith.studio import game

OUT = Path(__file__).parents[1] / "src" / "gansmith" / "studio" / "static" / "tour"
GAMES = {"healthy": "mlp-bn", "collapsed": "deconv"}
STEPS = (0, 25, 100, 300, 1000, 2000, 3000)


def record(recipe: str) -> dict[str, object]:
    """A game of a recipe, as it is at each of the STEPS."""
    playing = game.fresh("mnist", recipe, 0)
    frames = []
    for stop in STEPS:
        playing.advance("both", stop - playing.turns)
        frame = playing.frame()
        del frame["changes"]
        frames.append({**frame, "distance": distance(playing)})
    return {"about": playing.about, "frames": frames}


@torch.no_grad()
def distance(playing: game.Game) -> float:
    """How much two forgeries differ, over how much two real images do: the doctor's signal."""
    black, white = playing.recipe.pixels
    with signals.inference(playing.state.generator, playing.recipe):
        forged = generate(playing.state.generator, playing.bank.noise, playing.bank.told).float()
    return round(signals.of_images(((forged - black) / (white - black)).clamp(0, 1), playing.bank)["distance"], 3)


def main() -> None:
    """Records both games."""
    torch.set_num_threads(1)
    for name, recipe in GAMES.items():
        found = record(recipe)
        write_text(OUT / f"{name}.json", json.dumps(found, separators=(",", ":")) + "\n")
        print(name, [(f["step"], f["right"], f["distance"]) for f in found["frames"]])  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
