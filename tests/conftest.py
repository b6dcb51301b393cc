"""What all tests share: one thread per process, and a data cache of their own."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is first imported, so before anything else here
os.environ["MKL_NUM_THREADS"] = "1"

from collections.abc import Iterator

import pytest

from gansmith import recipe as values
from gansmith.recipes import own


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's cache is neither read nor written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANSMITH_CACHE", str(tmp_path_factory.mktemp("cache")))
        from gansmith import data

        data.load("mnist")  # decoded here, so that no test waits for it or sees its progress
        data.load("mnist", split="test")
        yield


@pytest.fixture(autouse=True)
def nothing_own_stays() -> Iterator[None]:
    """Recipes and their parts that a test registers are unknown to the next one."""
    tables = [values.OWN, own.ENTRIES, own._loaded]
    before = [dict(table) for table in tables]
    yield
    for table, then in zip(tables, before, strict=True):
        table.clear()
        table.update(then)  # type: ignore[arg-type]
