"""The Game: steps of both players or of one alone, and what the discriminator makes of every image."""

import secrets
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from gansmith.errors import UserError
from gansmith.studio import choices, computed
from gansmith.studio.api import Body
from gansmith.studio.ids import TheDealer, TheDesk, find_run

router = APIRouter(tags=["game"])
Document = dict[str, Any]


class Opening(Body):
    """Where a game begins: at a run's newest checkpoint, or with untrained networks."""

    run: str | None = Field(None, max_length=200)
    data: str = Field("mnist", max_length=200)
    recipe: str = Field("mlp", max_length=100)
    seed: int = Field(0, ge=0, lt=2**53)


class Turn(Body):
    """Who learns, and how often."""

    players: Literal["both", "discriminator", "generator"] = "both"
    steps: int = Field(1, ge=0, le=200)


@router.post("/api/game", status_code=201)
async def begin(desk: TheDesk, dealer: TheDealer, opening: Opening) -> Document:
    """Begins a game in memory: {"id", "about", "frame"}. Nothing is written, and a run stays as it is."""
    path = None
    if opening.run is not None:
        run = find_run(desk, opening.run)
        if run is None:
            raise UserError(f"there is no run {opening.run[:80]}")
        path = run.path
    source = choices.chosen(desk, opening.data).source
    game_id = secrets.token_hex(8)
    found = await dealer.call(
        computed.open_game, game_id, run=path, source=source, recipe=opening.recipe, seed=opening.seed
    )
    return {"id": game_id, **found}


@router.post("/api/game/{game_id}")
async def play(dealer: TheDealer, game_id: str, turn: Turn) -> Document:
    """Makes steps, and answers with the frame after them; 0 steps look alone."""
    return await dealer.call(computed.play, game_id, turn.players, turn.steps)


@router.delete("/api/game/{game_id}", status_code=204)
async def end(dealer: TheDealer, game_id: str) -> None:
    """Ends a game."""
    await dealer.call(computed.close_game, game_id)
