"""How a class is named: exactly, as people type it, or by a number that means one thing."""

import unicodedata
from typing import Any

import numpy as np
import pytest

from gansmith.data.types import class_names, class_of

TWELVE = tuple(map(str, range(1, 13)))


@pytest.mark.parametrize(
    ("classes", "given", "meant"),
    [
        (TWELVE, 1, "1"),
        (TWELVE, "12", "12"),
        (TWELVE, np.int64(11), "11"),
        (TWELVE, 0, None),
        (TWELVE, 13, None),
        (("01", "02", "10"), 2, "02"),
        (("007", "008"), "7", "007"),
        (("-5", "5"), -5, "-5"),
        (("10", "cat", "0"), 0, "0"),
        (("2", "cat"), 1, None),
        (("cat", "dog"), 1, "dog"),
        (("cat", "dog"), "1", "dog"),
        (("cat", "dog"), 2, None),
        (("tabby, cat", "dog"), "tabby,cat", "tabby, cat"),
        (("Cat", "cat", " cat"), "cat", "cat"),
        (("Cat", "cat"), " Cat ", "Cat"),
        (("Cat", "CAT"), "cat", None),
        (("Café", "x"), unicodedata.normalize("NFD", "café"), "Café"),
        ((unicodedata.normalize("NFD", "Zoë"), "x"), "Zoë", unicodedata.normalize("NFD", "Zoë")),
        (("STRASSE", "x"), "straße", "STRASSE"),
        (("x²", "2"), 2, "2"),
    ],
)
def test_a_number_or_a_name_means_one_class(classes: tuple[str, ...], given: Any, meant: str | None) -> None:
    for name in (given, str(given)):
        if meant is None:
            with pytest.raises(ValueError, match="no class is called"):
                class_of(name, classes)
        else:
            assert classes[class_of(name, classes)] == meant


@pytest.mark.parametrize(
    ("text", "classes", "names"),
    [
        ("tabby, cat", ("tabby, cat", "dog, big"), ["tabby, cat"]),
        ("dog, big,tabby, cat", ("tabby, cat", "dog, big"), ["dog, big", "tabby, cat"]),
        ("cat,dog", ("cat", "dog"), ["cat", "dog"]),
        ("a,b,c", ("a", "a,b", "a,b,c"), ["a,b,c"]),
        ("3, 7", (), ["3", "7"]),
        ("DOG,BIG,1", ("tabby, cat", "dog, big"), ["DOG,BIG", "1"]),
    ],
)
def test_lists_of_names_with_commas_in_them(text: str, classes: tuple[str, ...], names: list[str]) -> None:
    assert class_names(text, classes) == names
