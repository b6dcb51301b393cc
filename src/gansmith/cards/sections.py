"""A card in words: the sections that README.md and card.html both show."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gansmith.cards.attack import Attack, Attacks, Rate
from gansmith.cards.contents import Card
from gansmith.cards.duplicates import Copies
from gansmith.cards.usefulness import Score, Share
from gansmith.evaluation import wording
from gansmith.text import amount

FIDELITY = ("fd", "fd_train", "kid", "precision", "density", "recognised")
DIVERSITY = ("recall", "coverage", "class_entropy", "ndb", "modes", "kl")
MEMORISATION = ("closer", "authentic")
MEASURED = ("figure", "release", "95 % interval", "real images", "in words")


@dataclass(frozen=True)
class Table:
    """Headers, and rows of as many cells."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """One part of a card; what is empty is not shown."""

    anchor: str
    title: str
    lead: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    lists: dict[str, Sequence[str]] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    protocol: str = ""


def sections(card: Card) -> list[Section]:
    """All sections of a card, in order."""
    return [
        Section("use", "Use", lists={"Intended use": card.intended, "Not for": card.not_for}),
        _origin(card),
        _counts(card),
        _fidelity(card),
        _diversity(card),
        _usefulness(card),
        _memorisation(card),
        _attacks(card),
        Section("guarantee", "Guarantee", f"Privacy guarantee: {card.guarantee}."),
        *([Section("notes", "Notes", lists={"": card.notes})] if card.notes else []),
    ]


def _origin(card: Card) -> Section:
    origin = card.origin
    trained = f"gansmith train {shlex.quote(origin.data)} --recipe {shlex.quote(origin.recipe)}"
    trained += " --conditional" if card.labels == "asked" else ""
    trained += f" --steps {origin.steps}" if origin.steps is not None else ""
    trained += f" --seed {origin.seed}" if origin.seed is not None else ""
    rows = {
        "images": f"{card.total:,}, {'x'.join(map(str, card.shape))} (channels, height, width), 8 bits",
        "real data": card.source,
        "licence": card.licence
        if card.licence != "unknown"
        else "unknown: that of the real data decides; name it before publishing",
        "recipe": origin.recipe,
        "generator": f"sha256 {origin.digest}",
        "training seed": "" if origin.seed is None else str(origin.seed),
        "steps": "" if origin.steps is None else f"{origin.steps:,}",
        "trained by": f"{trained} (recipe fields that were changed are in the generator's hash)",
        "made by": card.command,
        "this card by": card.card_command,
        "files": card.layout or "none: the images of a seed, made when they are asked for",
        "left out": _left_out(card),
        "gansmith": card.gansmith,
    }
    return Section("origin", "Where it comes from", facts={name: value for name, value in rows.items() if value})


def _left_out(card: Card) -> str:
    if card.tried is None or not card.filters:
        return "nothing: no filter was used"
    filters = ", ".join(card.filters)
    return f"{card.tried - card.total:,} of {card.tried:,} made, by {filters}: what is left looks better than all"


def _counts(card: Card) -> Section:
    copies = card.duplicates
    rows = [
        _copies("equal to an earlier one", copies.inside),
        _copies("equal to a training image", copies.train),
    ]
    shares = [
        [each.name, *(_share(value) for value in (each.asked, each.labelled, each.read, each.real))]
        for each in card.classes[:100]
    ]
    labels = {
        "asked": "Labels are what the generator was asked for.",
        "pseudo": "Labels are pseudo-labels, as an encoder reads the images.",
        "none": "The images have no labels.",
    }[card.labels]
    tables = [Table(("exact copies", "images", "share", "real test images"), rows)]
    if shares:
        tables.append(Table(("class", "asked for", "labelled", "read by the encoder", "real, read"), shares))
    return Section("counts", "Counts and copies", labels, tables=tables, protocol=copies.protocol)


def _copies(name: str, copies: Copies) -> list[str]:
    return [name, f"{copies.count:,} of {copies.of:,}", f"{copies.share:.2%}", _share(copies.floor, 2)]


def _share(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}%}"


def _figures(card: Card, keys: Sequence[str]) -> Iterator[list[str]]:
    for figure, row in zip(card.report.figures, wording.rows(card.report), strict=True):
        if figure.key in keys:
            name, value, interval, floor, times, words = row
            yield [name, value, interval, floor, " ".join(filter(None, (words, f"({times} real)" if times else "")))]


def _fidelity(card: Card) -> Section:
    rows, protocol = list(_figures(card, FIDELITY)), card.report.protocol.line
    if card.two_sample is not None:
        apart = card.two_sample
        words = "AUC; 0.5: not told from unseen real images"
        rows.append(["two-sample classifier", _score(apart.score), _span(apart.score), _score(apart.floor), words])
        protocol += (
            f". Two-sample classifier: {apart.trained:,} images a side learned from, others tested; {apart.protocol}"
        )
    lead = (
        "Whether single images look real. The column of real images is the floor: what real images score in its place."
    )
    return Section("fidelity", "Fidelity", lead, tables=[Table(MEASURED, rows)], protocol=protocol)


def _diversity(card: Card) -> Section:
    near = card.duplicates.near_inside
    rows = list(_figures(card, DIVERSITY))
    rows.append(
        ["near copies within", f"{near.share:.2%}", "", _share(near.floor, 2), f"{near.count:,} of {near.of:,} images"]
    )
    lead = "Whether all kinds of real images occur."
    return Section("diversity", "Diversity", lead, tables=[Table(MEASURED, rows)], protocol=card.report.protocol.line)


def _usefulness(card: Card) -> Section:
    found = card.usefulness
    title = "Usefulness"
    if found is None:
        return Section("usefulness", title, "Not measured; see the notes.")
    rows = [
        [
            f"{each.share:.0%} of the real images ({each.count:,})",
            *(_accuracy(s) for s in (each.real, each.augmented, each.both)),
        ]
        for each in found.shares
    ]
    lead = (
        f"Accuracy on {found.tested:,} unseen real images of a small classifier. Plain augmentation (shifts, "
        f"turns, scaling) is "
        f"what synthetic images have to beat. The generator itself was trained on all real images, so the rows "
        f"with fewer show "
        f"what its release brings to who has few, not what could be made from few. Labels: {found.labels}."
    )
    facts = {
        "trained on synthetic, tested on real": f"{_accuracy(found.synthetic)} ({found.shown:,} images)",
        "trained on real, tested on synthetic": _accuracy(found.reverse),
        "floor": f"trained on all real images, tested on real: {_accuracy(found.shares[-1].real)}",
        "verdict": "; ".join(map(_verdict, found.shares)),
    }
    headers = ("trained on", "real alone", "real, augmented", "real + synthetic")
    return Section("usefulness", title, lead, facts, tables=[Table(headers, rows)], protocol=found.protocol)


def _verdict(each: Share) -> str:
    if each.both.low > each.augmented.high:
        words = "synthetic images help more than plain augmentation"
    elif each.both.high < each.augmented.low:
        words = "plain augmentation helps more than synthetic images"
    else:
        words = f"no difference from plain augmentation that {amount(len(each.both.values), 'seed')} could show"
    return f"with {each.share:.0%}, {words}"


def _memorisation(card: Card) -> Section:
    near = card.duplicates.near_train
    rows = list(_figures(card, MEMORISATION))
    rows.append(
        [
            "near copies of training images",
            f"{near.share:.2%}",
            "",
            _share(near.floor, 2),
            f"{near.count:,} of {near.of:,} images",
        ]
    )
    lead = (
        "An overfitting check, and no guarantee of privacy: a release that passes it can still tell who was "
        "trained on (Yao et "
        "al. 2025, “The DCR delusion”). What it can tell is asked by the attacks below."
    )
    protocol = f"{card.report.protocol.line}. {card.duplicates.protocol}"
    return Section("memorisation", "Memorisation", lead, tables=[Table(MEASURED, rows)], protocol=protocol)


def _attacks(card: Card) -> Section:
    found = card.attacks
    if found is None:
        return Section("attacks", "Attacks", "Not tried; see the notes.")
    headers = ("attack", "attacker has", "AUC", *(f"caught at {rate:.1%} false alarms" for rate in found.rates))
    rows = [
        [row.name, row.access, _with_floor(row.auc, row.floor), *(_caught(row, at) for at in range(len(found.rates)))]
        for row in found.rows
    ]
    lead = (
        "Membership inference: can an attacker tell images that the generator was trained on from others of the "
        "same kind? "
        "Guessing has AUC 0.5 and catches as many as it accuses wrongly. Low figures mean that these attacks "
        "failed, not that "
        "all would."
    )
    stand_in = (
        f"floor: {found.release_floor:,} training images that are not among the members stand in for the "
        f"release; it is not 0.5 "
        "where training and test images differ"
        if found.release_floor
        else "no floor"
    )
    share = found.members / found.population
    protocol = (
        f"{found.members:,} members, drawn from {found.population:,} training images ({share:.0%} of them), and "
        f"as many unseen "
        f"ones; the attacker has {found.release:,} published images and {found.reference:,} other unseen ones "
        f"to compare with, and "
        f"knows no generator's weights unless the table says so; {stand_in}; intervals: 95 % for all "
        f"{found.looks} figures together (Bonferroni), over records, the wider of bootstrap and Wilson; "
        f"sources: {'; '.join(dict.fromkeys(row.source for row in found.rows))}"
    )
    return Section(
        "attacks",
        "Attacks",
        lead,
        facts={"verdict": _told_apart(found)},
        lists={"": found.notes} if found.notes else {},
        tables=[Table(headers, rows)],
        protocol=protocol,
    )


def _told_apart(found: Attacks) -> str:
    """Which attacks succeed, in words."""
    succeed = [row for row in found.rows if row.succeeds]
    if not succeed:
        return "none of these attacks tells training images from others, beyond the floor and beyond a guess"
    public = any(row.key != "critic" for row in succeed)
    advice = "the release discloses them" if public else "keep the checkpoint to yourself"
    return f"training images are told from others ({'; '.join(row.name for row in succeed)}): {advice}"


def _caught(row: Attack, at: int) -> str:
    rate = row.caught[at]
    if rate is None:
        return "too few records"
    floor = row.floor_caught[at] if row.floor_caught else None
    text = f"{rate.value:.2%} ({rate.low:.2%} to {rate.high:.2%})"
    return text + ("" if floor is None else f"; floor {floor:.2%}")


def _with_floor(rate: Rate, floor: float | None) -> str:
    return f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})" + ("" if floor is None else f"; floor {floor:.3f}")


def _score(score: Score) -> str:
    return f"{score.value:.3f}"


def _span(score: Score) -> str:
    return f"{score.low:.3f} to {score.high:.3f}"


def _accuracy(score: Score) -> str:
    return f"{score.value:.1%} ({score.low:.1%} to {score.high:.1%})"
