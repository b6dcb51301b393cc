"""Quiz: real or forged? Alone, or a class with the same pictures and one table. The key stays in the server."""

import asyncio
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, WebSocket, WebSocketDisconnect
from pydantic import Field

from gansmith import runs
from gansmith.errors import UserError
from gansmith.studio import quizzing
from gansmith.studio.api import Body
from gansmith.studio.desk import Desk
from gansmith.studio.ids import TheClerk, TheDesk, find_run
from gansmith.studio.rooms import Player, Round

router = APIRouter(tags=["quiz"])
PERIOD = 0.25
"""Seconds between two looks whether a table has changed."""
Document = dict[str, Any]


class Opening(Body):
    """Who forges, and for how long people may think."""

    run: str | None = Field(None, max_length=200)
    pretrained: str | None = Field(None, max_length=100)
    rounds: int = Field(20, ge=1, le=100)
    seconds: int | None = Field(60, ge=5, le=3600)
    """For all pictures together; null for no clock."""
    seed: int | None = Field(None, ge=0, lt=2**53)
    """As that of `gansmith quiz`; any if not given."""


class Joining(Body):
    """Who plays."""

    name: str = Field("", max_length=200)


class Answer(Body):
    """What somebody says of a picture."""

    index: int = Field(ge=0, lt=1000)
    forged: bool


def the_round(code: str, desk: TheDesk) -> Round:
    """The round that an address names. Answers 404 where there is none."""
    found = desk.rooms.find(code)
    if found is None:
        raise HTTPException(404, f"there is no round {code[:20]}; it is over, or the code is mistyped")
    return found


TheRound = Annotated[Round, Depends(the_round)]


def the_player(played: TheRound, x_player: Annotated[str, Header(max_length=100)] = "") -> Player:
    """The player whose secret the header holds. Answers 403 where nobody has it."""
    found = played.players.get(x_player)
    if found is None:
        raise HTTPException(403, f"join round {played.code} first, and send the secret as X-Player")
    return found


ThePlayer = Annotated[Player, Depends(the_player)]


@router.get("/api/quiz")
async def forgers(desk: TheDesk) -> list[Document]:
    """The generators to choose from: those that come along, and runs that have something to show."""

    def read() -> list[Document]:
        there = [each for each in runs.every(desk.out) if any(each.checkpoints.glob("step-*"))]
        return [
            *({"pretrained": name, "run": None, "name": name} for name in runs.pretrained()),
            *({"pretrained": None, "run": each.name, "name": each.name} for each in there),
        ]

    return await asyncio.to_thread(read)


@router.post("/api/quiz", status_code=201)
async def begin(desk: TheDesk, clerk: TheClerk, opening: Opening) -> Document:
    """Opens a round in memory: {"code", "generator", "rounds", "seconds"}. Whoever knows the code can join."""
    if (opening.run is None) == (opening.pretrained is None):
        raise UserError("choose one generator: a run, or a pretrained one")
    run = None if opening.run is None else find_run(desk, opening.run)
    if opening.run is not None and run is None:
        raise UserError(f"there is no run {opening.run[:80]}")
    if opening.pretrained is not None and opening.pretrained not in runs.pretrained():
        raise UserError(f"there is no pretrained generator of this name; choose {' or '.join(runs.pretrained())}")
    seed = secrets.randbelow(2**31) if opening.seed is None else opening.seed
    made = await clerk.call(quizzing.make, run.path if run else None, opening.pretrained, opening.rounds, seed)
    return desk.rooms.open(made, opening.seconds).described()


@router.get("/api/quiz/{code}")
async def table(played: TheRound) -> Document:
    """The round and its table: who has how many right."""
    return played.table()


@router.post("/api/quiz/{code}/players", status_code=201)
async def join(played: TheRound, joining: Joining) -> Document:
    """Joins a round: {"player"} is the secret to send as `X-Player` from then on."""
    player = played.join(joining.name)
    return {**played.described(), **played.state(player), "player": player.secret}


@router.post("/api/quiz/{code}/next")
async def following(played: TheRound, player: ThePlayer) -> Document:
    """The picture that waits for the player's answer, as base64 of a PNG, and the seconds left; its clock runs."""
    return played.show(player)


@router.post("/api/quiz/{code}/answers")
async def answer(played: TheRound, player: ThePlayer, said: Answer) -> Document:
    """Takes an answer, and says whether the picture was forged. One per picture, in their order."""
    return played.answer(player, said.index, said.forged)


@router.post("/api/quiz/{code}/end", status_code=204)
async def end(played: TheRound, player: ThePlayer) -> None:
    """Ends the player's game before all pictures are answered."""
    played.end(player)


@router.get("/api/quiz/{code}/result")
async def result(played: TheRound, player: ThePlayer, clerk: TheClerk, desk: TheDesk) -> Document:
    """A finished game: the score as `gansmith quiz --json` says it, and every answered picture with its truth.

    The score against a run is kept in its quiz.jsonl once, as that of `gansmith quiz` is, but not with --read-only.
    """
    state = played.state(player)
    if not player.over:
        raise UserError("this game is not over: answer all pictures, or end it")
    if player.answers and player.score is None:
        kept = None if desk.read_only else played.run
        about = {**played.about, "player": player.name}
        player.score = await clerk.call(quizzing.score, played.key, player.answers, played.seed, kept, about)
    return {
        **played.described(),
        **state,
        "seed": played.seed,
        "score": player.score,
        "pictures": played.review(player),
    }


@router.websocket("/api/quiz/{code}/live")
async def watch(socket: WebSocket, code: str) -> None:
    """The table, whenever it has changed; a slow reader gets the newest one alone."""
    desk: Desk = socket.app.state.desk
    await socket.accept()
    gone = asyncio.create_task(_until_closed(socket))
    seen = None
    try:
        while not gone.done():
            played = desk.rooms.find(code)
            if played is None:
                await socket.close(4404, "there is no such round")
                break
            news = played.news()
            if news != seen:
                await socket.send_text(news)
                seen = news
            await asyncio.wait({gone}, timeout=PERIOD)
    except (WebSocketDisconnect, RuntimeError):  # it left while it was told something
        pass
    finally:
        gone.cancel()


async def _until_closed(socket: WebSocket) -> None:
    """Returns when the page has left; what it says meanwhile is not listened to."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
