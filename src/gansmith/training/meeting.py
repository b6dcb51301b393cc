"""How the processes of a launch meet: at one store, all of them, within a time; or a line that says what is wrong.

torch's own rendezvous believes whoever answers at MASTER_PORT, waits for it without end, and prints C++ frames when it
gives up. Here every wait is bounded, and each process learns whether what answers is process 0 of the same launch.
"""

import os
import socket
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from torch._C._distributed_c10d import PrefixStore, TCPStore

from gansmith.errors import PeerError, UserError, WaitingWarning
from gansmith.text import amount

SECONDS = "GANSMITH_PEER_SECONDS"  # after which a silent process is given up
PATIENCE = 600.0  # in a training, if not set
MEETING = 300.0  # in which all have to come, if not set
ANSWER = 15.0  # in which whoever listens at the port has to answer, and a name to be known
GREETING = 5.0  # that torch is given for that, which takes up to twice as long, or for ever where nothing is answered
WORD = 20.0  # after which those that wait say so
POLL = 0.05

Result = TypeVar("Result")


@dataclass(frozen=True)
class Launch:
    """What this process was told of the launch that it belongs to."""

    rank: int
    processes: int
    host: str
    port: int
    kept: bool
    """Whether torchrun keeps the store, for all its restarts; else process 0 does."""
    patience: float = PATIENCE
    """Seconds after which a silent process is given up."""
    meeting: float = MEETING
    """Seconds in which all have to come."""

    @property
    def where(self) -> str:
        """The address to meet at."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def error(self, what: str) -> UserError:
        """What ends this process: process 0 says it as it is, the others say who they are."""
        return PeerError(f"process {self.rank} of {self.processes}: {what}") if self.rank else UserError(what)


def launched() -> bool:
    """Whether torchrun, or what sets the same variables, started this process."""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))


def read() -> Launch | None:
    """The launch that the environment tells of; None for one process alone.

    Raises PeerError, which each process says for itself, where a variable is missing or cannot be.
    """
    if not {"RANK", "WORLD_SIZE"} <= os.environ.keys():
        return None
    processes = whole("WORLD_SIZE", 1, 1_000_000)
    rank = whole("RANK", 0, processes - 1)
    if processes == 1:
        return None
    host = os.environ.get("MASTER_ADDR", "").strip()
    if not host:
        raise PeerError(f"MASTER_ADDR is not set; set it to the address of process 0's machine in all {processes}")
    return Launch(
        rank,
        processes,
        host,
        whole("MASTER_PORT", 1, 65_535),
        kept=os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        patience=_seconds(PATIENCE),
        meeting=_seconds(MEETING),
    )


def whole(name: str, low: int, high: int) -> int:
    """The whole number from ``low`` to ``high`` that a variable of the environment holds. Raises PeerError."""
    given = os.environ.get(name, "")
    try:
        number = int(given)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        what = "0" if high == 0 else f"a whole number from {low} to {high}"
        raise PeerError(f"{name} {given or '(not set)'}: set {what}, as torchrun does")
    return number


def _seconds(default: float) -> float:
    given = os.environ.get(SECONDS, str(default))
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 1e6:
        raise PeerError(f"{SECONDS} {given}: give a number of seconds above 0, such as {PATIENCE:g}")
    return seconds


def meet(launch: Launch) -> Any:
    """The store of this launch, when all its processes have come to it.

    Raises UserError in process 0, PeerError in the others, in words that name the address and what to change.
    """
    _find(launch)
    store = _within(ANSWER, lambda: _open(launch))
    if store is None and launch.rank == 0:
        raise launch.error(f"MASTER_ADDR {launch.host}: does not lead to this machine, which has process 0; correct it")
    if store is None:
        raise launch.error(f"what answers at {launch.where} is not process 0; set another MASTER_PORT for all")
    store.set_timeout(timedelta(seconds=launch.patience))
    own = PrefixStore(_attempt(launch), store)
    try:
        met = _within(
            launch.meeting + 2 * ANSWER, lambda: _gather(launch, own) if launch.rank == 0 else _come(launch, own)
        )
    except RuntimeError:
        met = None
    if met is None:
        raise launch.error(f"the connection to {launch.where} broke before all had met")
    return met


def _within(seconds: float, make: Callable[[], Result]) -> Result | None:
    """What ``make`` returns; None where it takes longer, as behind a line that is cut. A signal is heard meanwhile."""
    made: list[Result] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            made.append(make())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    return made[0] if made else None


def _find(launch: Launch) -> None:
    """Returns when somebody listens at the address, or, in a process 0 that keeps the store, when nobody does."""
    begun, told = time.monotonic(), False
    if launch.rank == 0 and not launch.kept:
        _known(launch)
        _free(launch)
        return
    while True:
        passed = time.monotonic() - begun
        try:
            socket.create_connection((launch.host, launch.port), timeout=5).close()
            return
        except socket.gaierror:
            if passed > ANSWER:  # a cluster may need a moment to publish a name
                _known(launch)
        except OSError:
            pass
        if passed > launch.meeting:
            raise launch.error(f"nobody answered at {launch.where} in {launch.meeting:g} s; start process 0 there")
        told = told or _say_who(launch, passed, f"process {launch.rank} waits for process 0 at {launch.where}")
        time.sleep(0.5)


def _known(launch: Launch) -> None:
    """Raises UserError or PeerError where the address is a name that nobody knows."""
    try:
        socket.getaddrinfo(launch.host, launch.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise launch.error(
            f"MASTER_ADDR {launch.host}: is not known here; give the name or address of process 0's machine"
        ) from None


def _free(launch: Launch) -> None:
    """Raises UserError where process 0 cannot listen at the port."""
    both = socket.has_dualstack_ipv6()
    try:
        family = socket.AF_INET6 if both else socket.AF_INET
        socket.create_server(("", launch.port), family=family, dualstack_ipv6=both).close()
    except OSError as error:
        raise launch.error(
            f"port {launch.port} cannot be opened ({os.strerror(error.errno or 0)}): another program has it, or an "
            f"earlier start is not over; set another MASTER_PORT for all {launch.processes} processes"
        ) from None


def _open(launch: Launch) -> Any:
    """A connection to the store, kept by this process where it is the one to; None where there is none."""
    try:
        return TCPStore(
            launch.host,
            launch.port,
            is_master=launch.rank == 0 and not launch.kept,
            timeout=timedelta(seconds=GREETING),
            wait_for_workers=False,
            multi_tenant=True,
        )
    except (RuntimeError, ValueError):
        return None


def _attempt(launch: Launch) -> str:
    """The name of this attempt in the launch's store.

    torchrun keeps one store for a launch and all its restarts, unless it is told not to: what is left of an attempt
    that was stopped then stands under that one's name. Where each attempt has a store of its own the count is left out:
    a torchrun that took another's place counts anew.
    """
    count = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if launch.kept else "alone"
    return f"gansmith {count}"


def _gather(launch: Launch, store: Any) -> Any:
    """In process 0: opens a round, waits until the others have come to it, and closes it."""
    others = launch.processes - 1
    number = store.add("rounds", 1)
    own = PrefixStore(f"round {number}", store)
    store.set("open", f"{number} of {launch.processes}")
    begun, told = time.monotonic(), False
    while own.add("came", 0) < others:
        if own.check(["refused"]):
            raise UserError(own.get("refused").decode())
        passed = time.monotonic() - begun
        if passed > launch.meeting:
            store.set("open", "")
            message = f"{_missing(launch, own)} did not come to {launch.where} in {launch.meeting:g} s"
            message += f"; start all {launch.processes} with the same MASTER_ADDR and MASTER_PORT"
            own.set("refused", message)
            raise UserError(message)
        told = told or _say_who(launch, passed, f"process 0 waits at {launch.where} for {_missing(launch, own)}")
        time.sleep(POLL)
    store.set("open", "")
    own.set("met", "")
    return own


def _missing(launch: Launch, own: Any) -> str:
    """Who has not come, in words."""
    gone = [str(rank) for rank in range(1, launch.processes) if not own.check([f"came {rank}"])]
    names = f"{', '.join(gone[:5])} and {len(gone) - 5} more" if len(gone) > 6 else " and ".join(gone)
    return f"{'process' if len(gone) == 1 else 'processes'} {names} of {launch.processes}"


def _come(launch: Launch, store: Any) -> Any:
    """In the others: comes to the round that process 0 has opened, and returns when all have.

    A store that an earlier attempt used may still show the round in which that ended; process 0 then opens another.
    """
    begun, joined, own = time.monotonic(), "", store
    while True:
        opened = store.get("open").decode() if store.check(["open"]) else ""
        if opened not in ("", joined):
            joined, own = opened, _join_round(launch, store, opened)
        if joined and own.check(["met"]):
            return own
        if joined and own.check(["refused"]):
            raise PeerError(own.get("refused").decode(), aloud=False)  # process 0 says it
        passed = time.monotonic() - begun
        if not joined and not launch.kept and passed > ANSWER:
            raise launch.error(
                f"what answers at {launch.where} belongs to another start; set another MASTER_PORT for all"
            )
        if passed > launch.meeting + ANSWER:
            raise launch.error(f"process 0 did not come to {launch.where} in {launch.meeting:g} s")
        time.sleep(POLL)


def _join_round(launch: Launch, store: Any, opened: str) -> Any:
    """Says in a round that this process has come.

    Raises PeerError where this is no process of it, which torchrun sees to where it keeps the store.
    """
    number, _, processes = opened.partition(" of ")
    own, wrong = PrefixStore(f"round {number}", store), ""
    first = own.add(f"came {launch.rank}", 1) == 1
    if not launch.kept and processes != str(launch.processes):
        wrong = f"WORLD_SIZE is {processes} in process 0 and {launch.processes} in process {launch.rank}"
    elif not launch.kept and not first:
        wrong = f"two processes have RANK {launch.rank}"
    if wrong:
        message = f"{wrong}; give {amount(int(processes), 'process')} RANK 0 to {int(processes) - 1}"
        own.set("refused", message)
        raise PeerError(message)
    own.add("came", 1)
    return own


def _say_who(launch: Launch, passed: float, waits: str) -> bool:
    """Warns once, in the first two processes, who waits for whom; returns whether that was due."""
    if passed > WORD and launch.rank < 2:
        warnings.warn(f"{waits}, up to {launch.meeting:g} s", WaitingWarning, stacklevel=1)
    return passed > WORD
