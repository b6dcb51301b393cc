"""`gansmith push`: a generator goes to the hub."""

from dataclasses import asdict

from gansmith.cli.options import Generator, Json, Recipes, Switch
from gansmith.cli.output import program, show

__all__ = ["push"]


def push(run: Generator, name: str, /, *, private: Switch = False, own: Recipes = None, json: Json = False) -> None:
    """Push a generator to the Hugging Face hub, with a card of its figures; hf://USER/NAME then names it everywhere.

    Log in first: `hf auth login`, or HF_TOKEN. Evaluate first, too: the card says what was measured.

    Args:
        name: user/name on the hub; it is made if it is not there.
        private: hide it from others, where it is made.
    """
    from gansmith.cli.doctor import flag_of
    from gansmith.runs import fetching

    fetching.parts(name)
    fetching.library()
    from gansmith.hub import push

    pushed = push(run, name, private=private)
    flag = flag_of(pushed.files)
    said = f"{pushed.figures} figures on its card" if pushed.figures else "not evaluated, so its card has no figures"
    show(
        {name: value for name, value in asdict(pushed).items() if name != "files"},
        f"pushed: {pushed.url} ({said})\n\ngo on with\n  {program()} sample hf://{pushed.name}{flag} -n 64",
        json=json,
    )
