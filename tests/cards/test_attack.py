"""The attack catches a generator that copies, and accuses none that has never seen the members."""

import numpy as np
import pytest

from gansmith import data
from gansmith.cards.attack import Attacks, Exposed, Sides, attack
from gansmith.encoders import encoder as encoders
from gansmith.metrics import membership
from gansmith.metrics.confidence import Interval


@pytest.fixture(scope="module")
def sides() -> Sides:
    found = Sides.of(data.load("mnist"), data.load("mnist", split="test"), 400, most=400)
    assert found is not None
    return found


def attacked(sides: Sides, published: np.ndarray) -> tuple[Attacks, Exposed]:
    return attack(sides, published, encoders.builtin("mnist"))


def noisy(images: np.ndarray, level: float, seed: int = 0) -> np.ndarray:
    """Copies that are not exact: with noise on every pixel."""
    drawn = np.random.default_rng(seed).normal(0, level, images.shape)
    return np.clip(np.rint(images + drawn), 0, 255).astype(np.uint8)


def test_sides_are_equal_and_share_no_record(sides: Sides) -> None:
    assert len(sides.members) == len(sides.others) == 400
    assert not set(sides.others) & set(sides.reference)
    assert not set(sides.members) & set(sides.stand_in)


def test_a_generator_that_copies_is_caught_by_every_attack(sides: Sides) -> None:
    """The positive control: noisy copies of the members."""
    found, exposed = attacked(sides, noisy(sides.train.take(sides.members), 10))
    assert {row.key for row in found.rows} == {"pixels", "features", "density"}
    for row in found.rows[:2]:
        assert row.auc.low > 0.95, row
        assert row.caught[0] is not None
        assert row.caught[0].low > 0.6, row
        assert row.floor is not None
        assert row.floor < 0.6
    assert found.rows[2].auc.low > 0.55, found.rows[2]
    apart = np.abs(exposed.members.astype(int) - exposed.published).mean(axis=(1, 2, 3))
    assert len(apart) == 10, "1 % of 400 would be 4"
    assert all(row.succeeds for row in found.rows)
    assert apart.max() < 12, "beside each exposed record stands its copy"


def test_one_that_copies_a_few_is_caught_where_false_alarms_are_rare(sides: Sides) -> None:
    """An average hides it: 20 of 400 members among images that training has never seen."""
    members, fresh = sides.train.take(sides.members[:20]), sides.train.take(sides.stand_in[:380])
    found, exposed = attacked(sides, np.concatenate([noisy(members, 10), fresh]))
    pixels = found.rows[0]
    assert pixels.auc.value < 0.6
    assert pixels.caught[0] is not None
    assert pixels.caught[0].value >= 0.05
    assert pixels.caught[0].low > 0.02, "twice what a guess catches"
    assert pixels.succeeds, "though its average does not"
    known = {image.tobytes() for image in members}
    assert all(image.tobytes() in known for image in exposed.members)


def test_one_that_never_saw_the_members_is_not_accused(sides: Sides) -> None:
    """The negative control: other training images as the release; what is left is what the splits differ by."""
    found, _ = attacked(sides, noisy(sides.train.take(sides.stand_in), 10))
    for row in found.rows:
        assert 0.42 < row.auc.value < 0.58, row
        assert row.caught[0] is not None
        assert row.caught[0].value < 0.05
        assert not row.succeeds


def test_too_few_records_give_no_rate(sides: Sides) -> None:
    found, _ = attacked(sides, sides.train.take(sides.stand_in))
    assert found.rows[0].caught[0] is not None
    assert found.rows[0].caught[1] is None, "0.1 % of 400 is less than one record"
    assert Sides.of(sides.train, None, 400) is None


def test_many_attacks_accuse_together_no_more_often_than_one() -> None:
    random = np.random.default_rng(0)
    highest = random.normal(size=(20_000, 9)).max(axis=1)
    alone = Interval(0.0, -1.959964, 1.959964)
    assert (highest > alone.high).mean() > 0.15, "of nine that know nothing, one often looks as if it did"
    assert (highest > alone.among(9).high).mean() < 0.03
    inside, outside = random.normal(size=(2, 400))
    one, nine = (membership.told(inside, outside, looks=looks) for looks in (1, 9))
    assert nine.auc.low < one.auc.low
    assert one.caught[0] is not None
    assert nine.caught[0] is not None
    assert nine.caught[0].high > one.caught[0].high


def test_the_rates_are_those_of_the_definition() -> None:
    random = np.random.default_rng(0)
    inside, outside = random.normal(1, 1, 2000), random.normal(0, 1, 2000)
    found = membership.told(inside, outside)
    assert found.auc.value == pytest.approx(np.mean(inside[:, None] > outside), abs=1e-12)
    assert found.auc.low < 0.7602 < found.auc.high, "the normal distribution function at 1 / sqrt 2"
    for rate in (0.01, 0.001, 0.0107):  # the last of no whole number of the others
        caught = membership.share_above(inside, outside, rate)
        accused = [t for t in np.sort(outside) if (outside > t).mean() <= rate]
        assert caught == (inside > accused[0]).mean()
    same = membership.told(np.zeros(1000), np.zeros(1000))
    assert same.auc.value == 0.5
    assert same.caught[0] is not None
    assert same.caught[0].value == 0.0
    assert same.caught[0].high > 0.0
