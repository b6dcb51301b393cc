"""Several processes that train one pair of networks, as torchrun starts them: gloo between CPUs, nccl between GPUs.

Each process holds every P-th row of a batch. A player's gradients are laid end to end and added up in one all-reduce;
no network is wrapped. All that is decided by a clock or a signal is decided for all together, once a step.
"""

import atexit
import hashlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from gansmith._version import __version__
from gansmith.errors import PeerError, UserError
from gansmith.nn import shares
from gansmith.nn.batch_norm import share_batch_norm
from gansmith.nn.rows import Rows
from gansmith.recipe import Recipe
from gansmith.text import amount
from gansmith.training import meeting, optim

ROLL_CALL = 1.5  # seconds in which those that are left say so


class Trained(Protocol):
    """What :meth:`Group.share_state` sends: a training state."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    average: nn.Module | None
    step: int
    length: int


@dataclass(eq=False)
class Group:
    """The processes that train together, seen from one of them."""

    rank: int = 0
    processes: int = 1
    stopped_by: tuple[int, int] | None = None
    """The signal that ended the training, and the process that it reached."""
    sent: int = 0
    """Bytes that this process gave to all-reduces of gradients."""
    waited: float = 0.0
    """Seconds that it spent in them, on a CPU."""
    unsound: Tensor | None = field(default=None, repr=False)
    """(processes, 2): who first had a loss, or a gradient, that is not finite: 1 the discriminator, 2 the generator."""
    agents: list[str] = field(default_factory=list, repr=False)
    """The torchruns that started the processes, by names that no two have; empty where nobody asked."""
    _store: Any = field(default=None, repr=False)
    _generators: dict[torch.device, torch.Generator] = field(default_factory=dict, repr=False)
    _buffers: dict[tuple[int, torch.dtype, torch.device], Tensor] = field(default_factory=dict, repr=False)

    @property
    def shared(self) -> bool:
        """Whether there is more than one process."""
        return self.processes > 1

    # ---- rows of a batch ---------------------------------------------------------------------

    def check(self, recipe: Recipe, *, own_step: bool = False) -> None:
        """Raises UserError where a recipe cannot be trained by so many processes."""
        if not self.shared:
            return
        if own_step:
            raise UserError(
                f"recipe {recipe.name} has a step of its own, which does not add up gradients; train it alone"
            )
        share = recipe.penalty.share if recipe.penalty.kind != "none" else 1.0
        packs = math.ceil(share * recipe.batch_size / recipe.pack)
        if packs < self.processes:
            what = "batches" if share == 1 else "penalties"
            of = amount(packs, "image" if recipe.pack == 1 else "pack")
            raise UserError(
                f"{self.processes} processes share {what} of {of}, and some would have none; start at most "
                f"{packs}, or raise `batch_size`"
            )

    def rows(self, total: int, seed: int, device: torch.device, *, pack: int = 1) -> Rows | None:
        """The rows of a batch of ``total`` held here, with random numbers from ``seed``; None for whole batches."""
        if not self.shared:
            return None
        generator = self._generators.setdefault(device, torch.Generator(device))
        generator.manual_seed(seed)
        return Rows(self.rank, self.processes, total, generator, self.add, pack)

    def own(self, total: int, *, pack: int = 1) -> Callable[[NDArray[np.int64]], NDArray[np.int64]] | None:
        """A function that picks, of the indices of batches of ``total`` in a row, those of the rows held here."""
        if not self.shared:
            return None
        return lambda indices: indices.reshape(-1, total // pack, pack)[:, self.rank :: self.processes].ravel()

    # ---- numbers -----------------------------------------------------------------------------

    def add(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, with derivatives of every order."""
        summed: Tensor = _Sum.apply(tensor, self)  # type: ignore[no-untyped-call]
        return summed

    def add_in_place(self, tensor: Tensor) -> None:
        """Replaces a tensor by its sum over all processes; no gradient passes."""
        with self._reaching():
            distributed.all_reduce(tensor)

    def add_gradients(self, networks: Sequence[nn.Module], numbers: Sequence[Tensor], player: int = 3) -> list[Tensor]:
        """Replaces the networks' gradients by their sums, in one all-reduce; returns those of scalars ``numbers``.

        Which processes bring values that are not finite is kept for :meth:`blame`, under the number of the ``player``.
        """
        gradients = [p.grad for network in networks for p in network.parameters() if p.grad is not None]
        flat = [gradient.permute(0, 2, 3, 1) if _last(gradient) else gradient for gradient in gradients]
        pieces = [*(piece.reshape(-1) for piece in flat), *(number.detach().reshape(1) for number in numbers)]
        sizes = [piece.numel() for piece in pieces]
        whole = self._buffer(pieces, sum(sizes) + 2 * self.processes)
        *parts, told = torch.split(whole, [*sizes, 2 * self.processes])
        torch._foreach_copy_(parts, pieces)
        told.zero_()
        scalars = sum(sizes[len(flat) :])
        local = whole[: -2 * self.processes]
        for column, part in enumerate((local[-scalars:], local[:-scalars])):
            told[2 * self.rank + column] = player * ~part.sum().isfinite()
        begun = time.perf_counter()
        self.add_in_place(whole)
        self.waited += time.perf_counter() - begun
        self.sent += whole.numel() * whole.element_size()
        said = told.view(self.processes, 2).clone()
        self.unsound = said if self.unsound is None else self.unsound.where(self.unsound.any(), said)
        torch._foreach_copy_(flat, [part.view(piece.shape) for part, piece in zip(parts, flat, strict=False)])
        return [part[0].clone() for part in parts[len(flat) :]]

    def _buffer(self, pieces: Sequence[Tensor], count: int) -> Tensor:
        """Memory for so many numbers, kept from step to step: that of some MB is costly to ask the system for."""
        kind = torch.float64 if any(piece.dtype == torch.float64 for piece in pieces) else torch.float32
        like = (count, kind, pieces[0].device)
        if like not in self._buffers:
            self._buffers[like] = torch.empty(count, dtype=kind, device=pieces[0].device)
        return self._buffers[like]

    def share_state(self, state: Trained) -> None:
        """Gives every process the networks, optimisers and step of process 0, and lets batch norm see whole batches.

        Batch norm of a network takes its mean and variance over the rows of all processes.
        """
        self.unsound = None
        if not self.shared:
            return
        networks = [state.generator, state.discriminator, *([] if state.average is None else [state.average])]
        device = next(state.generator.parameters()).device
        clock = torch.tensor([state.step, state.length], dtype=torch.int64)
        with self._reaching():
            distributed.broadcast(clock, 0)
            for network in networks:
                for value in network.state_dict().values():
                    self._broadcast(value)
            for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
                self._share_optimizer(optimizer, device)
        state.step, state.length = (int(number) for number in clock)
        for network in networks:
            share_batch_norm(network)

    def _share_optimizer(self, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
        """Sends the running means and counts that process 0 has, if there are any."""
        (group,) = optimizer.param_groups
        have = optim.state_of(optimizer)
        many = torch.tensor(len(have))
        distributed.broadcast(many, 0)
        if not int(many):
            return
        kinds = ("step", "exp_avg", "exp_avg_sq") if isinstance(optimizer, torch.optim.Adam) else ("step", "square_avg")
        told = {}
        for index, parameter in enumerate(group["params"]):
            for kind in kinds:
                counts = kind == "step"  # of one type in all processes, whatever torch's default is
                like = torch.zeros((), dtype=torch.float32, device=device) if counts else torch.zeros_like(parameter)
                told[f"{index}.{kind}"] = have.get(f"{index}.{kind}", like).detach().to(like.dtype)
                self._broadcast(told[f"{index}.{kind}"])
        optim.restore(optimizer, told)

    def _broadcast(self, value: Tensor) -> None:
        flat = value.permute(0, 2, 3, 1) if _last(value) else value
        dense = flat.contiguous()
        distributed.broadcast(dense, 0)
        flat.copy_(dense)

    # ---- words and decisions -----------------------------------------------------------------

    def exchange(self, said: bytes) -> list[bytes]:
        """What every process says, by rank."""
        if not self.shared:
            return [said]
        sizes = torch.zeros(self.processes, dtype=torch.int64)
        sizes[self.rank] = len(said)
        self.add_in_place(sizes)
        mine = torch.zeros(int(sizes.max()), dtype=torch.uint8)
        if said:
            mine[: len(said)] = torch.frombuffer(bytearray(said), dtype=torch.uint8)
        every = [torch.empty_like(mine) for _ in range(self.processes)]
        with self._reaching():
            distributed.all_gather(every, mine)
        return [bytes(tensor.numpy()[: int(size)]) for tensor, size in zip(every, sizes, strict=True)]

    def agree(self, signal: int, over: bool, length: int) -> tuple[bool, bool, int]:
        """Decides together: (whether a signal reached any process, process 0's ``over``, process 0's ``length``)."""
        first = self.rank == 0
        told = [signal * self.processes + self.rank if signal else -1, int(over and first), length if first else 0]
        numbers = torch.tensor(told, dtype=torch.int64)
        with self._reaching():
            distributed.all_reduce(numbers, distributed.ReduceOp.MAX)
        code, ended, agreed = numbers.tolist()
        if code >= 0:
            self.stopped_by = divmod(code, self.processes)
        return code >= 0, bool(ended), agreed

    def blame(self) -> str:
        """In words, which processes had a loss or gradient that is not finite; "" where none had, or every one."""
        if self.unsound is None or not self.unsound.any():
            return ""
        losses, gradients = self.unsound.long().T.tolist()
        what, players = ("loss", losses) if any(losses) else ("gradient", gradients)
        ranks = [str(rank) for rank, player in enumerate(players) if player]
        whose = ("", "the discriminator's", "the generator's", "a player's")[max(players)]
        said = f"{whose} {what} is not finite in process {' and '.join(ranks)} of {self.processes}"
        return said if len(ranks) < self.processes else ""

    def compare(self, what: str, value: str) -> None:
        """Raises UserError in every process when not all have the same."""
        every = self.exchange(value.encode())
        for rank, other in enumerate(every):
            if other != every[0]:
                shown = f": {other.decode()} there, {every[0].decode()} in process 0" if len(other) < 40 else ""
                raise UserError(f"process {rank} has another {what}{shown}; start all {self.processes} alike")

    # ---- ends --------------------------------------------------------------------------------

    @contextmanager
    def leaving_with_reason(self) -> Iterator[None]:
        """What ends this process by an exception is left for the others to say."""
        try:
            yield
        except PeerError:
            raise
        except BaseException as error:
            if self._store is not None:
                with suppress(Exception):
                    self._store.set(f"left {self.rank}", " ".join(str(error).split()) or type(error).__name__)
            raise

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turns the failure of a collective into the name of the process that is gone."""
        try:
            yield
        except RuntimeError as error:
            raise self._missing(error) from None

    def _missing(self, error: RuntimeError) -> PeerError:
        """Calls the roll, and says who did not answer."""
        told: list[PeerError] = []
        thread = threading.Thread(target=lambda: told.append(self._roll_called(error)), daemon=True)
        thread.start()
        thread.join(ROLL_CALL + meeting.ANSWER)  # behind a line that is cut the store never answers
        unreachable = f"process {self.rank} of {self.processes} is cut off from the others"
        return told[0] if told else PeerError(unreachable, aloud=True)

    def _roll_called(self, error: RuntimeError) -> PeerError:
        """Calls the roll through the store, which torchrun keeps outside of the processes."""
        lost, reasons, lowest = [], {}, self.rank
        with suppress(Exception):
            self._store.set(f"here {self.rank}", "1")
            time.sleep(ROLL_CALL)
            for rank in range(self.processes):
                if self._store.check([f"left {rank}"]):
                    reasons[rank] = self._store.get(f"left {rank}").decode()
                elif self._store.check([f"here {rank}"]):
                    lowest = min(lowest, rank)
                else:
                    lost.append(rank)
        aloud = self.rank == lowest and 0 not in reasons  # which has said it already
        if lost:
            names = " and ".join(map(str, lost))
            return PeerError(f"process {names} of {self.processes} died or cannot be reached", aloud=aloud)
        if reasons:
            rank, reason = next(iter(reasons.items()))
            return PeerError(f"process {rank} of {self.processes} stopped: {reason}", aloud=aloud)
        what = (str(error).strip().splitlines() or ["no reason given"])[0]
        return PeerError(f"the connection between the {self.processes} processes broke ({what})", aloud=aloud)


ALONE = Group()


class _Sum(torch.autograd.Function):
    """A sum over processes; the gradient of a sum of losses by what each put in is the sum of gradients."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Group) -> Tensor:
        ctx.group = group
        summed = tensor.detach().clone(memory_format=torch.contiguous_format)
        group.add_in_place(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Sum.apply(gradient, ctx.group), None  # type: ignore[no-untyped-call]


def _last(tensor: Tensor) -> bool:
    return tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


@cache
def join() -> Group:
    """The processes that torchrun started with this one, met; :data:`ALONE` where there are none.

    Raises UserError when they do not all come within a time, or when what they were told cannot be.
    """
    launch = meeting.read()
    if launch is None:
        return ALONE
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank())
    store = _start(launch)
    atexit.register(_part)
    return Group(launch.rank, launch.processes, _store=distributed.distributed_c10d.PrefixStore("said", store))


def _start(launch: meeting.Launch) -> Any:
    """Makes the process group, and returns the store that its processes share."""
    if distributed.is_initialized():  # by a program around this one
        return distributed.distributed_c10d._get_default_store()
    store = meeting.meet(launch)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    patience = timedelta(seconds=launch.patience)
    try:
        distributed.init_process_group(
            backend, store=store, rank=launch.rank, world_size=launch.processes, timeout=patience
        )
    except (RuntimeError, ValueError) as error:
        what = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise launch.error(
            f"the processes met at {launch.where} but cannot reach each other ({what}); set GLOO_SOCKET_IFNAME, or "
            "NCCL_SOCKET_IFNAME, to the network that their machines share"
        ) from None
    return store


@contextmanager
def together(*said: object) -> Iterator[Group]:
    """Inside, the processes of a launch share the work of generators, encoders and neighbours, each running the same.

    Args:
        said: what this process was told; all must be told the same.

    Raises UserError, in every process, where versions or what was told differ; PeerError where one is gone.
    """
    group = join()
    if not group.shared:
        yield group
        return
    with group.leaving_with_reason(), shares.sharing(shares.Share(group.rank, group.processes, group.exchange)):
        group.compare("gansmith", __version__)
        group.compare("torch", torch.__version__)
        group.compare("command", hashlib.sha256(repr(said).encode()).hexdigest())
        yield group
        group.exchange(b"")


def device_of(group: Group, device: str) -> str:
    """The device of a process: of several on a machine with GPUs, each has its own."""
    own = group.shared and device in {"auto", "cuda"} and torch.cuda.is_available()
    return f"cuda:{local_rank()}" if own else device


def _part() -> None:
    with suppress(Exception):
        distributed.destroy_process_group()


def local_rank() -> int:
    """Which of the processes of this machine this is."""
    return meeting.whole("LOCAL_RANK", 0, 1_000_000) if "LOCAL_RANK" in os.environ else 0
