"""The command line itself: the table of verbs, and what becomes of errors: one line and exit code 2, or a traceback."""

import errno
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from types import FunctionType
from typing import Any, NamedTuple

from cyclopts import App, CycloptsError, Group, Parameter, Token, UnknownOptionError, UnusedCliTokensError, convert

from gansmith.cli import output
from gansmith.errors import PeerError, UserError, WaitingWarning, out_of_memory
from gansmith.processes import gentle_end

__all__ = ["VERBS", "build", "main"]

TRAIN, LOOK, MEASURE, EXPLORE, SHARE, MORE = (
    Group(name, sort_key=index) for index, name in enumerate(("Train", "Look", "Measure", "Explore", "Share", "More"))
)


class Verb(NamedTuple):
    """A command: what is typed, the function that does it, where --help lists it, and what it says there."""

    name: str
    place: str
    group: Group
    help: str


ENCODER = "Train or show an encoder, the network that measures images."
VERBS = (
    Verb("train", "train:train", TRAIN, "Train a GAN on images."),
    Verb("studio", "studio:studio", TRAIN, "Open the workshop as a page in the browser."),
    Verb("sweep", "sweep:sweep", TRAIN, "Train at several values of a field, and compare what comes of them."),
    Verb("recipes", "listing:recipes", TRAIN, "List the recipes that can be trained, or show one."),
    Verb("new-recipe", "new_recipe:new_recipe", TRAIN, "Write a commented file of a recipe of your own, which trains."),
    Verb("data", "listing:data", TRAIN, "Show a data set: its images, classes and problems."),
    Verb("data shard", "shard:shard", TRAIN, "Write a data set as shards, to train on from any disk or address."),
    Verb("sample", "sample:sample", LOOK, "Make images with a trained generator."),
    Verb("runs", "listing:runs", LOOK, "List your training runs."),
    Verb("evaluate", "evaluate:evaluate", MEASURE, "Measure how good and how varied generated images are."),
    Verb("compare", "evaluate:compare", MEASURE, "Compare runs; only differences greater than the noise count."),
    Verb("doctor", "doctor:doctor", MEASURE, "Find out what is wrong with a run, and what to try."),
    Verb("quiz", "quiz:quiz", MEASURE, "Real or forged? See whether you can tell."),
    Verb("morph", "explore:morph", EXPLORE, "Turn one image into another, as a strip or an animation."),
    Verb("mix", "explore:mix", EXPLORE, 'Do arithmetic on images, such as "12 - 40 + 7".'),
    Verb("directions", "explore:directions", EXPLORE, "Find the directions in latent space that change images most."),
    Verb("find", "search:find", EXPLORE, "Find images of a class or an appearance, such as a thick 7."),
    Verb("invert", "search:invert", EXPLORE, "Find the noise that makes your own picture."),
    Verb("complete", "complete:complete", EXPLORE, "Fill in the unknown part of a picture, or enlarge a small one."),
    Verb("neighbours", "search:neighbours", EXPLORE, "Show images beside the training images nearest to them."),
    Verb("truncate", "explore:truncate", EXPLORE, "Trade variety for quality, and measure the trade."),
    Verb("mint", "mint:mint", SHARE, "Write a data set of generated images, in shards."),
    Verb("export", "export:export", SHARE, "Take a generator out: as an ONNX file, a PyTorch program or a web page."),
    Verb("card", "card:card", SHARE, "Write a data set's card: quality, usefulness, and attacks on its privacy."),
    Verb("report", "listing:report", SHARE, "Write a run's report: one HTML file that needs no network."),
    Verb("push", "push:push", SHARE, "Push a generator to the Hugging Face hub, with a card of its figures."),
    Verb("encoder train", "encoder:train", MORE, "Train an encoder on labelled images and test it on others."),
    Verb("encoder show", "encoder:show_encoder", MORE, "List the encoders that come with gansmith, or show one."),
    Verb("info", "listing:info", MORE, "Show versions, device, precision, threads and folders."),
)

SHARED = ("train", "evaluate", "sample", "mint")
ALIKE = 3.0  # seconds, after which torchrun has ended a process whose first one failed alike
"""The verbs that several processes share."""


def _version() -> str:
    from gansmith._version import __version__

    return __version__


def build() -> App:
    """The app with every verb of the table; a verb's module is imported when it is called."""
    top = App(
        default_parameter=Parameter(converter=_converted),
        name="gansmith",
        help="Learn to forge images from a small data set.\n\nStart with: gansmith train --minutes 2",
        help_format="plaintext",
        version=_version,
        group_commands=MORE,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    encoder = App(name="encoder", help=ENCODER, group=MORE, group_commands=Group("Commands"), sort_key=len(VERBS))
    families = {"encoder": encoder}
    for index, verb in enumerate(VERBS):
        *family, name = verb.name.split()
        parent, group = (families[family[0]], None) if family else (top, verb.group)
        if f"{name} " in {each.name[: len(name) + 1] for each in VERBS}:  # a verb that has verbs below it
            families[name] = _family(verb, index)
            top.command(families[name])
        else:
            parent.command(f"gansmith.cli.{verb.place}", name=name, help=verb.help, group=group, sort_key=index)
    top.command(encoder)
    return top


def _family(verb: Verb, index: int) -> App:
    """A verb that is called by its own name, and has others below it."""
    module, _, function = verb.place.partition(":")
    commands = Group("Commands")
    app = App(name=verb.name, help=verb.help, group=verb.group, group_commands=commands, sort_key=index)
    app.default(getattr(import_module(f"gansmith.cli.{module}"), function))
    return app


def _converted(kind: Any, tokens: Sequence[Token]) -> Any:
    """A flag's value, as Cyclopts converts it; but "1.5" is no whole number, where Cyclopts takes it for 2."""
    if kind is int:
        for token in tokens:
            if "." in token.value:
                raise ValueError
    return convert(kind, tokens)


def _share_cores() -> None:
    """Threads that wait for each other soon sleep, unless the user's environment says otherwise.

    OpenMP's default is to spin, and where another program wants a core, all of them then wait for the thread that has
    none: two trainings at once ran 14 times slower each. It is read when torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # some microseconds: the next layer is often that near


def _hush_peers() -> None:
    """Of several processes each says in a line what went wrong; the C++ frames that PyTorch adds are for who asks."""
    if os.environ.get("WORLD_SIZE", "1") != "1":
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code: 0, 2 for what the user can mend, 130 when interrupted.

    Any other error is a bug and is raised; with GANSMITH_DEBUG set, so is one that the user can mend.
    """
    output.prepare()
    _share_cores()
    _hush_peers()
    warnings.showwarning = _warner()
    app = build()
    try:
        _refuse_torchrun(app.parse_commands(argv)[0])
        for part in app.parse_commands(argv)[1]:
            if isinstance(part.default_command, FunctionType):
                part.help = None  # the help of a verb itself is its docstring; the table's is for the list of verbs
        with gentle_end():
            code = app(argv, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        return _refuse(error.__cause__ if isinstance(error.__cause__, UserError) else error)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        output.discard_output()
        return 0
    except KeyboardInterrupt as stop:
        return _say(str(stop) or "interrupted", 130)
    except Exception as error:
        return _refuse(error)
    return code if isinstance(code, int) else 0


def _refuse_torchrun(commands: Sequence[str]) -> None:
    """Raises UserError where several processes were started for a verb that is for one."""
    several = all(os.environ.get(name) for name in ("RANK", "MASTER_ADDR")) and os.environ.get("WORLD_SIZE", "1") != "1"
    if several and commands and commands[0] not in SHARED:
        shared = f"{', '.join(SHARED[:-1])} and {SHARED[-1]}"
        raise UserError(f"{' '.join(commands)}: is for one process; start it without torchrun, which is for {shared}")


def _refuse(error: BaseException) -> int:
    """Says in one line what the user can mend, and returns exit code 2; raises everything else."""
    message = _mendable(error)
    if message is None or (os.environ.get("GANSMITH_DEBUG") and not isinstance(error, CycloptsError)):
        raise error
    if isinstance(error, OSError):
        output.discard_output()
    if details := getattr(error, "details", ""):  # of a user's own file: where in it
        output.say(details.rstrip(), aside=True)
    if isinstance(error, PeerError):
        return _say(message, 2, aloud=True) if error.aloud else 2
    if not output.speaks() and not _met():
        time.sleep(ALIKE)
        return _say(f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']}: {message}", 2, aloud=True)
    return _say(message, 2)


def _met() -> bool:
    """Whether the processes of this launch know of each other, and so of what ends one of them."""
    parallel = sys.modules.get("gansmith.training.parallel")  # it imports torch, which many verbs do without
    return parallel is not None and parallel.join.cache_info().currsize > 0


def _mendable(error: BaseException) -> str | None:
    """The message about something that the user can mend; None for a bug."""
    if isinstance(error, CycloptsError):
        return _reworded(error)
    if isinstance(error, UserError):
        return with_flags(str(error))
    if out_of_memory(error):
        return "not enough memory; take smaller images, batches or networks, or fewer samples"
    if isinstance(error, OSError):
        if error.filename:
            return f"{error.filename}: {error.strerror}"
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE}:
            return str(error.strerror)
    return None


def _warner() -> Callable[..., None]:
    """Says each warning once in a command: what is read twice is damaged once."""
    said = set[str]()

    def warn(message: Warning | str, *_: object) -> None:
        if str(message) not in said:
            said.add(str(message))
            _say(f"warning: {message}", 0, aloud=isinstance(message, WaitingWarning))

    return warn


def _say(message: str, code: int, *, aloud: bool = False) -> int:
    with suppress(OSError):
        if not output.speaks() and not aloud:
            return code
        output.say(f"gansmith: {' '.join(message.split())}", aside=True)
    return code


def with_flags(message: str) -> str:
    """A message of the library in the words of the command line: the parameter `sanity_steps` is --sanity-steps."""
    return re.sub(r"`([a-z][a-z_]*)`", lambda match: "--" + match[1].strip("_").replace("_", "-"), message)


def _reworded(error: CycloptsError) -> str:
    """A parse error in one line; for an unknown flag such as --lr of a training, the recipe's flags that end so."""
    error.verbose = False
    message = " ".join(str(error).split())
    if isinstance(error, UnusedCliTokensError):
        return f"too many arguments: {' '.join(error.unused_tokens or [])}"
    if not isinstance(error, UnknownOptionError):
        return re.sub(r'unable to convert (".*?") into int(\|None)?', r"\1 is no whole number", message)
    from gansmith.recipe import meant

    near = ["--" + name.replace("_", "-") for name in meant((error.token.keyword or error.token.value).lstrip("-"))]
    if near and {"train", "sweep"} & set(error.command_chain or ()):
        return f"{message.partition(' Did you mean')[0]} Did you mean {' or '.join(near)}?"
    return message if "Did you mean" in message else f"{message} --help lists all."
