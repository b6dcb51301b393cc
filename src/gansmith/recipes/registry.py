"""The recipes by name: our own, each published system, and the user's."""

import difflib

from gansmith.errors import UserError
from gansmith.recipe import Recipe
from gansmith.recipes import (
    acgan,
    dcgan,
    dcgan_transpose,
    dcgan_upsample,
    deconv,
    house,
    infogan,
    lsgan,
    mlp,
    mlp_bn,
    own,
    r3gan,
    sngan,
    wgan_gp,
)
from gansmith.recipes.entries import Entry

_ENTRIES: dict[str, Entry] = {
    each.recipe.name: each
    for each in (
        house.ENTRY,
        dcgan_upsample.ENTRY,
        dcgan_transpose.ENTRY,
        deconv.ENTRY,
        mlp.ENTRY,
        mlp_bn.ENTRY,
        dcgan.ENTRY,
        infogan.ENTRY,
        lsgan.ENTRY,
        wgan_gp.ENTRY,
        acgan.ENTRY,
        sngan.ENTRY,
        r3gan.ENTRY,
    )
}

BUILT_IN = tuple(_ENTRIES)
"""The names of those that come with gansmith."""


def names() -> tuple[str, ...]:
    """The names of all recipes: those that come with gansmith, and those of the user that were loaded."""
    return (*BUILT_IN, *own.ENTRIES)


def entry(name: str) -> Entry:
    """The registered system. Raises UserError, with near names, for one that is not.

    Installed packages that bring recipes are loaded when a name is not known without them.
    """
    if name in _ENTRIES:
        return _ENTRIES[name]
    if name not in own.ENTRIES:
        own.load_installed()
    if name not in own.ENTRIES:
        near = difflib.get_close_matches(name, names(), n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}."
        likely = own.ENTRIES or difflib.get_close_matches(name, near, cutoff=0.6)
        needed = "" if likely else " One of your own needs its file: `recipes` FILE"
        raise UserError(f"no recipe is called {name!r}; {hint.removesuffix('.') if likely else hint}{needed}")
    return own.ENTRIES[name]


def get(name: str) -> Recipe:
    """The complete recipe. Raises UserError as :func:`entry` does."""
    return entry(name).recipe
