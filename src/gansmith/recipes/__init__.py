"""The recipes: our own, each published system and the user's by name, with source, value and networks.

A published system is one file, complete in itself: its values, its networks, and where it comes from. torch is imported
only when networks are built or counted, so that the list of recipes is there at once.
"""

from gansmith.recipe import SHOWN_BY
from gansmith.recipes.entries import Entry, Row, Summary
from gansmith.recipes.networks import condition_size as condition_size
from gansmith.recipes.networks import conditioned as conditioned
from gansmith.recipes.networks import discriminator, generator
from gansmith.recipes.networks import unfilled as unfilled
from gansmith.recipes.registry import BUILT_IN as BUILT_IN
from gansmith.recipes.registry import entry, get, names
from gansmith.recipes.sizes import counted as counted
from gansmith.recipes.sizes import html, step_gflop, summary
from gansmith.recipes.sizes import image_gflop as image_gflop
from gansmith.recipes.sizes import parameters as parameters

__all__ = ["Entry", "Row", "Summary", "discriminator", "entry", "generator", "get", "names", "step_gflop", "summary"]

SHOWN_BY[:] = [html]
