"""What all tests share: one thread per process, and a data cache of their own."""

import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is first imported, so before anything else here
os.environ["MKL_NUM_THREADS"] = "1"

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from gansmith import recipe as values
from gansmith import render
from gansmith.recipes import own

THOROUGH = (
    "test_benchmarks.py::test_a_tiny_benchmark_has_everything",
    "test_benchmarks.py::test_growth_and_targets_are_tabled",
    "test_benchmarks.py::test_recipes_are_trained_once_measured_and_tabled",
    "test_benchmarks.py::test_tables_go_between_the_markers_and_hold_the_numbers",
    "test_documents.py::test_what_a_document_says_works[docs/conditional.md]",
    "test_documents.py::test_what_a_document_says_works[docs/own.md]",
    "test_documents.py::test_what_a_document_says_works[docs/sweep.md]",
    "test_documents.py::test_what_a_document_says_works[docs/explore.md]",
    "test_documents.py::test_what_a_document_says_works[docs/evaluate.md]",
    "test_papers.py::test_the_verbs_take_them[infogan]",
    "test_given_training.py::test_else_it_asks_for_the_same_images",
    "test_studio_training.py::test_a_remedy_trains_the_same_anew_but_for_what_it_changes",
    "test_together.py::test_a_signal_to_one_stops_both_and_one_process_goes_on",
    "test_loop.py::test_colour_data_train_in_colour",
    "test_evaluation.py::test_modes_of_stacked_digits",
    "test_sense.py::test_the_first_lines_say_what_is_augmented",
    "test_examination.py::test_measuring_signals_changes_no_bit_of_training[dcgan-upsample]",
    "test_examination.py::test_measuring_signals_changes_no_bit_of_training[deconv]",
    "test_exports.py::test_onnx_makes_the_same_images_at_any_batch_size[dcgan-transpose]",
    "test_exports.py::test_onnx_makes_the_same_images_at_any_batch_size[mlp-bn]",
    "test_exports.py::test_onnx_makes_the_same_images_at_any_batch_size[mlp]",
    "test_kept.py::test_a_quick_look_does_not_replace_a_careful_evaluation",
    "test_notebooks.py::test_a_notebook_runs_and_shows_pictures_and_tables[evaluation]",
    "test_notebooks.py::test_a_notebook_runs_and_shows_pictures_and_tables[lessons]",
    "test_notebooks.py::test_a_notebook_runs_and_shows_pictures_and_tables[own_data]",
    "test_notebooks.py::test_a_notebook_runs_and_shows_pictures_and_tables[own_recipe]",
    "test_papers.py::test_the_verbs_take_them[acgan]",
    "test_real.py::test_a_stored_comparison_is_of_the_images_that_are_there",
    "test_shards.py::test_shards_are_read_from_a_server[whole files alone]",
    "test_studio_api.py::test_the_api_fuzzed_never_fails",
    "test_studio_pages.py::test_axe_finds_nothing_and_nothing_overflows[look1]",
    "test_studio_pages.py::test_axe_finds_nothing_and_nothing_overflows[look2]",
    "test_trackers.py::test_mlflow_reads_back",
    "test_sweeping.py::test_a_training_that_fails_is_named_and_the_others_go_on",
    "test_together.py::test_what_is_not_finite_in_one_process_stops_all[3-gradient-(0 * real).square().sum().sqrt()]",
    "test_papers.py::test_the_verbs_take_them[sngan]",
    "test_together.py::test_a_line_that_is_cut_and_mended_leaves_the_same_bytes",
    "test_together.py::test_a_node_that_dies_is_replaced_and_the_run_ends_in_the_same_bytes[False]",
    "test_together.py::test_a_node_that_dies_is_replaced_and_the_run_ends_in_the_same_bytes[True]",
)
"""Slow tests that `make test-all` runs too. Of most, one of the same kind is always run; a document's commands are also
those of a room's own tests."""

LONG = (
    "studio/test_studio_training.py",
    "studio/test_studio_explore.py",
    "test_documents.py",
    "runs/test_resume.py",
    "cards/test_card.py",
    "experiment/test_together.py",
    "test_notebooks.py",
    "evaluation/test_evaluation.py",
    "training/test_parallel.py",
    "studio/test_studio_pages.py",
    "studio/test_studio_quiz.py",
    "training/test_conditional.py",
    "latent/test_invert.py",
    "cli/test_cli.py",
    "recipes/test_own_recipes.py",
    "test_benchmarks.py",
    "training/test_house.py",
    "minting/test_minting.py",
    "frozen/test_golden.py",
    "exports/test_exports.py",
    "latent/test_finding.py",
    "experiment/test_sweeping.py",
    "experiment/test_shared_work.py",
    "doctor/test_examination.py",
)
"""The longest files, which start first, so that at the end no process works alone."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --thorough` leaves nothing out."""
    parser.addoption("--thorough", action="store_true", help="run the slow variants too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the slow variants out, unless they are asked for, and puts the longest files first."""
    if not config.getoption("--thorough"):
        slow = [item for item in items if item.nodeid.endswith(THOROUGH)]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.nodeid.endswith(THOROUGH)]
    rank = {f"tests/{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(LONG)))


PAINT = render.figure_png


def blank(figure: Any) -> bytes:
    """A plot of a figure's size with nothing on it."""
    width, height = (int(side * figure.dpi) for side in figure.get_size_inches())
    return render.png(Image.new("RGB", (width, height), "white"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Plots are composed and left blank: painting four takes longer than a tiny training. `painted` tests see them."""
    painted = item.get_closest_marker("painted") is not None or item.nodeid.startswith("tests/frozen/")
    painted = painted or item.config.getoption("--thorough")
    render.figure_png = render.plots.figure_png = PAINT if painted else blank
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # whatever the test before has set


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's cache is neither read nor written; the processes that share the tests share one of their own."""
    here = tmp_path_factory.getbasetemp()
    shared = here.parent if "PYTEST_XDIST_WORKER" in os.environ else here
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANSMITH_CACHE", str(shared / "cache"))
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
