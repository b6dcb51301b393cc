"""Rounds of the quiz, in memory: pictures, the key that never leaves before an answer, and who plays.

All of it is used on the server's event loop alone, and so needs no locks. Rounds are bounded in number and age.
"""

import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gansmith.errors import UserError

MOST_ROUNDS, MOST_PLAYERS = 32, 100
LONGEST_NAME = 24
LIFE = 2 * 3600.0
"""Seconds after which a round that nobody played or watched is forgotten."""
GRACE = 1.0
"""Seconds that an answer may take to come here after the clock has run out."""
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Of codes: nothing that is taken for something else, and no words."""
CODE = 4


@dataclass(eq=False)
class Player:
    """Somebody who plays a round."""

    name: str
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    """Known to the player's own browser alone."""
    answers: list[bool] = field(default_factory=list)
    """True for forged."""
    spent: float = 0.0
    """Seconds of thinking over the pictures that were answered."""
    begun: float | None = None
    """When the picture that waits for an answer was shown."""
    over: bool = False
    score: dict[str, Any] | None = None


@dataclass(eq=False)
class Round:
    """Pictures that any number of players see in the same order."""

    code: str
    generator: str
    """The forger's name."""
    real: str
    """Where the real pictures come from."""
    pictures: tuple[str, ...]
    """Base64 of PNGs."""
    key: tuple[bool, ...]
    """Whether each is forged."""
    seed: int
    seconds: int | None
    """Of thinking for all pictures together; None for no clock."""
    run: Path | None = None
    """The folder of the forger's run, where scores are kept; None for a pretrained generator."""
    about: dict[str, Any] = field(default_factory=dict)
    """What a kept score says of the quiz."""
    players: dict[str, Player] = field(default_factory=dict)
    touched: float = field(default_factory=time.monotonic)
    version: int = 0
    """Counts changes of the table."""
    _told: tuple[int, str] = (-1, "")
    """The table as JSON, and of which version."""

    def join(self, name: str) -> Player:
        """A new player. Raises UserError for a name that is too long, unprintable or taken, and where it is full."""
        if len(self.players) >= MOST_PLAYERS:
            raise UserError(f"round {self.code} is full: {MOST_PLAYERS} play it")
        taken = {each.name.casefold() for each in self.players.values()}
        name = " ".join(name.split())
        if not name:
            name = next(f"Player {n}" for n in range(1, MOST_PLAYERS + 2) if f"player {n}" not in taken)
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise UserError(f"choose a name of at most {LONGEST_NAME} letters")
        if name.casefold() in taken:
            raise UserError(f"somebody is called {name} already; choose another name")
        player = Player(name)
        self.players[player.secret] = player
        self._changed()
        return player

    def state(self, player: Player) -> dict[str, Any]:
        """How far a player is, without anything that is not answered."""
        self._expire(player)
        return {
            "name": player.name,
            "answered": len(player.answers),
            "right": self._right(player),
            "spent": round(player.spent, 1),
            "over": player.over,
        }

    def show(self, player: Player) -> dict[str, Any]:
        """The picture that waits for an answer; its clock runs from the first time it is shown."""
        self._expire(player)
        if player.over:
            return {**self.state(player), "picture": None, "left": 0.0, "marks": []}
        now = time.monotonic()
        if player.begun is None:
            player.begun = now
        left = None if self.seconds is None else round(max(0.0, self.seconds - player.spent - now + player.begun), 2)
        marks = [said == was for said, was in zip(player.answers, self.key, strict=False)]
        return {**self.state(player), "picture": self.pictures[len(player.answers)], "left": left, "marks": marks}

    def answer(self, player: Player, index: int, forged: bool) -> dict[str, Any]:
        """Takes the answer to the picture that is shown, and says what it was; {"late": true} after the clock.

        Raises UserError where another picture is meant, none is shown, or the game is over.
        """
        self._expire(player)
        if player.over and self.seconds is not None and index == len(player.answers) < len(self.key):
            return {**self.state(player), "late": True}
        if player.over:
            raise UserError("this game is over")
        if player.begun is None or index != len(player.answers):
            raise UserError(f"picture {index + 1} does not wait for an answer; ask for the next one")
        now = time.monotonic()
        player.spent += now - player.begun
        if self.seconds is not None:
            player.spent = min(player.spent, float(self.seconds))
        player.begun = None
        player.answers.append(forged)
        player.over = len(player.answers) == len(self.key)
        self._changed()
        was = self.key[index]
        return {**self.state(player), "late": False, "forged": was, "correct": was == forged}

    def end(self, player: Player) -> None:
        """Ends a player's game; what was answered is scored."""
        if not player.over:
            player.over, player.begun = True, None
            self._changed()

    def table(self) -> dict[str, Any]:
        """What all see: everybody's score, best first; faster first where these are equal."""
        rows = [self.state(player) for player in self.players.values()]
        rows.sort(key=lambda row: (-row["right"], row["answered"], row["spent"], row["name"].casefold()))
        return {**self.described(), "players": rows}

    def news(self) -> str:
        """The table as JSON, made once a change, however many watch."""
        for player in self.players.values():
            self._expire(player)
        if self._told[0] != self.version:
            self._told = (self.version, json.dumps(self.table()))
        return self._told[1]

    def described(self) -> dict[str, Any]:
        """What the round is."""
        return {
            "code": self.code,
            "generator": self.generator,
            "real": self.real,
            "rounds": len(self.key),
            "seconds": self.seconds,
        }

    def review(self, player: Player) -> list[dict[str, Any]]:
        """The pictures that were answered, with what they were and what was said."""
        rows = zip(self.pictures, self.key, player.answers, strict=False)
        return [{"picture": picture, "forged": was, "said": said} for picture, was, said in rows]

    def _right(self, player: Player) -> int:
        return sum(said == was for said, was in zip(player.answers, self.key, strict=False))

    def _expire(self, player: Player) -> None:
        """Ends the game of a player whose clock has run out, whether or not their browser says so."""
        if self.seconds is None or player.over or player.begun is None:
            return
        if player.spent + time.monotonic() - player.begun > self.seconds + GRACE:
            player.spent = float(self.seconds)
            self.end(player)

    def _changed(self) -> None:
        self.version += 1
        self.touched = time.monotonic()


class Rooms:
    """The rounds of a studio."""

    def __init__(self) -> None:
        self._rounds: dict[str, Round] = {}

    def open(self, made: dict[str, Any], seconds: int | None) -> Round:
        """A new round of what :func:`gansmith.studio.quizzing.make` made; the one left alone longest gives way."""
        self._forget()
        while len(self._rounds) >= MOST_ROUNDS:
            del self._rounds[min(self._rounds.values(), key=lambda each: each.touched).code]
        code = next(code for code in iter(_code, "") if code not in self._rounds)
        self._rounds[code] = Round(code=code, seconds=seconds, **made)
        return self._rounds[code]

    def find(self, code: str) -> Round | None:
        """The round of a code, in capitals or not; None where there is none any more."""
        self._forget()
        found = self._rounds.get(code.upper())
        if found is not None:
            found.touched = time.monotonic()
        return found

    def _forget(self) -> None:
        before = time.monotonic() - LIFE
        for code in [code for code, each in self._rounds.items() if each.touched < before]:
            del self._rounds[code]


def _code() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(CODE))
