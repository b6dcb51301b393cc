"""A card's documents: they say what was measured, are read by other programs, and disclose no private image."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import gansmith as gs
from gansmith import recipes, runs
from gansmith.cards import attack, documents, release, usefulness
from gansmith.cards.classifier import Labelled
from gansmith.cards.contents import Card
from gansmith.cards.sections import sections
from gansmith.errors import UserError


@pytest.fixture(scope="module")
def minted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Card]:
    """The card of 100 minted digits, with few steps of few classifiers."""
    folder = tmp_path_factory.mktemp("card") / "minted"
    gs.mint("mnist", 100, folder, layout="tar", shard=60, workers=1)
    train, test = gs.data.load("mnist"), gs.data.load("mnist", split="test")
    assert train.labels is not None
    assert test.labels is not None
    own = folder.parent / "own.npz"
    pixels, unseen = train.take(np.arange(600))[:, 0], test.take(np.arange(400))[:, 0]
    np.savez(own, x_train=pixels, y_train=train.labels[:600], x_test=unseen, y_test=test.labels[:400])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usefulness, "STEPS", 5)
        patch.setattr(attack, "MOST", 200)
        return folder, gs.card(folder, samples=100, source=own)


def test_the_card_says_what_it_is_of(minted: tuple[Path, Card]) -> None:
    folder, card = minted
    assert json.loads((folder / "card.json").read_text()) == card.model_dump(mode="json")
    assert (card.total, card.measured, card.licence, card.labels) == (100, 100, "unknown", "asked")
    assert card.guarantee.startswith("none")
    train = gs.data.load("mnist")
    assert [each.asked for each in card.classes] == [count / 60_000 for count in train.class_counts]
    assert [each.labelled for each in card.classes] == pytest.approx([each.asked for each in card.classes], abs=0.01)
    assert card.duplicates.inside.count == 0
    assert card.attacks is not None
    assert card.attacks.members == 200
    assert card.usefulness is not None
    assert [each.count for each in card.usefulness.shares] == [60, 600]
    readme, page = ((folder / name).read_text() for name in ("README.md", "card.html"))
    for text in (readme, page):
        for words in (
            "Not for",
            "Privacy guarantee: none",
            "no guarantee of privacy",
            card.origin.digest,
            "false alarms",
        ):
            assert words in text
    front = readme.split("---")[1]
    assert 'license: "unknown"' in front
    assert "They are training images, and are not shown" in page, "only those of public data are"


def test_a_generators_card_is_of_what_it_would_mint(tmp_path: Path) -> None:
    plain = release.of_generator("mnist", 1500, seed=3)
    gs.mint("mnist", 1500, tmp_path / "set", seed=3, workers=1)
    minted = release.of_minted(tmp_path / "set", 1500)
    assert np.array_equal(plain.images, minted.images)
    assert np.array_equal(plain.labels, minted.labels)
    assert plain.shares == minted.shares


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the libraries beneath
def test_croissant_is_read_by_its_own_library(minted: tuple[Path, Card]) -> None:
    import mlcroissant  # late: it takes seconds

    found = mlcroissant.Dataset(jsonld=str(minted[0] / "croissant.json"))
    assert [each.name for each in found.metadata.distribution] == ["train-000000.tar", "train-000001.tar"]
    assert not found.metadata.ctx.issues.errors


def test_a_readme_of_other_hands_stays(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UserError, match="is not a card that gansmith wrote"):
        gs.card("mnist", tmp_path, samples=64)
    assert (tmp_path / "README.md").read_text() == "mine"
    with pytest.raises(UserError, match="`samples` 3"):
        gs.card("mnist", tmp_path / "x", samples=3)


def test_a_card_of_more_images_is_kept(minted: tuple[Path, Card]) -> None:
    folder, card = minted
    before = (folder / "card.json").read_bytes()
    with pytest.raises(UserError, match=r"`samples` 64: .* holds a card of 100 images, which is kept; give as many"):
        gs.card(folder, samples=64)
    documents.check_smaller(folder, card.origin.digest, 100)
    documents.check_smaller(folder, "of another generator", 64)
    assert (folder / "card.json").read_bytes() == before


def test_what_was_not_trained_on_is_said_and_commands_can_be_pasted(minted: tuple[Path, Card]) -> None:
    _, card = minted
    assert any("trained on mnist, and is held against own" in note for note in card.notes)
    origin = card.origin.model_copy(update={"data": "mnist; rm -rf ~", "name": "$(a) b"})
    rows = next(each for each in sections(card.model_copy(update={"origin": origin})) if "trained by" in each.facts)
    assert rows.facts["trained by"].startswith("gansmith train 'mnist; rm -rf ~' --recipe")


def test_the_discriminator_is_asked_without_labels_of_other_classes(tmp_path: Path) -> None:
    """Of two classes, while the real images have ten."""
    random = np.random.default_rng(0)
    few = {"images": random.integers(0, 256, (40, 28, 28), np.uint8), "labels": np.arange(40) % 2}
    np.savez(tmp_path / "two.npz", **few)
    run = gs.train(tmp_path / "two.npz", recipe="mlp", steps=2, batch_size=8, threads=1, conditional=True,
                   evaluate_every=0, signals_every=0, out=tmp_path / "runs")  # fmt: skip
    assert runs.name_of(tmp_path / "runs" / "last") == runs.name_of(run) == run.name
    sides = attack.Sides.of(gs.data.load("mnist"), gs.data.load("mnist", split="test"), 64)
    assert sides is not None
    few_sides = replace(sides, members=sides.members[:20], others=sides.others[:20])
    assert attack._critic(run, few_sides, None).shape == (40,)


@pytest.mark.parametrize("labelled", [True, False])
def test_the_discriminator_is_asked_of_all_kinds_of_the_own_class(labelled: bool) -> None:
    """Of all classes where an image's own is not known."""
    recipe = recipes.get("house").override(conditional="projection", classes=3, kinds=4)
    torch.manual_seed(0)
    network = recipes.discriminator(recipe).eval()
    torch.nn.init.normal_(network.projection.weight)
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28), np.uint8)
    found = attack._logits(network, recipe, images, np.arange(3) if labelled else None)
    inputs = torch.from_numpy(images) * (2 / 255) - 1
    with torch.no_grad():
        each = torch.stack([network(inputs, torch.full((3,), condition))[:, 0] for condition in range(12)], dim=1)
    own = each.view(3, 3, 4)[np.arange(3), np.arange(3)] if labelled else each
    assert np.allclose(found, own.max(dim=1).values, atol=1e-5)


def test_what_helps_is_told_from_what_does_not() -> None:
    """Real images as the synthetic ones help; with shuffled labels they harm."""
    train, test = gs.data.load("mnist"), gs.data.load("mnist", split="test")
    assert train.labels is not None
    assert test.labels is not None
    rows = [np.arange(60), np.arange(1000, 2000)]
    few, more = (Labelled(train.take(each), train.labels[each]) for each in rows)
    unseen = Labelled(test.take(np.arange(1000)), test.labels[:1000])
    wrong = Labelled(more.images, np.random.default_rng(0).permutation(more.labels))
    good, bad = (usefulness.usefulness(few, unseen, side, 10, labels="", steps=40, seeds=2) for side in (more, wrong))
    assert good.synthetic.value > 0.6 > 0.3 > bad.synthetic.value
    assert good.shares[-1].both.value > good.shares[-1].real.value
    assert bad.shares[-1].both.value < good.shares[-1].both.value - 0.1


def test_two_samples_of_the_same_kind_are_not_told_apart() -> None:
    train, test = gs.data.load("mnist"), gs.data.load("mnist", split="test")
    rows, others = (np.random.default_rng(0).permutation(len(side)) for side in (train, test))
    real, same, unseen = train.take(rows[:600]), train.take(rows[600:1200]), test.take(others[:600])
    turned = np.ascontiguousarray(same[:, :, ::-1])
    alike, other = (usefulness.two_sample(unseen, side, real, steps=40, seeds=2) for side in (same, turned))
    assert alike.score.value < 0.65
    assert other.score.value > 0.75
    assert alike.floor.value < 0.65
