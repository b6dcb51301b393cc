"""The report's section on quality: the curve of training with its best step, and the table of an evaluation."""

from collections.abc import Iterator, Sequence
from html import escape

from gansmith.errors import UserError
from gansmith.evaluation import online, wording
from gansmith.evaluation.report import FILE, GALLERY, Report
from gansmith.report.html import img
from gansmith.runs import Run

BAR = 100.0


def quality_page(run: Run) -> str:
    """HTML; empty where quality was neither measured while training nor evaluated."""
    return "\n".join([*_curve(run), *_evaluation(run)])


def _curve(run: Run) -> Iterator[str]:
    measured, told = run.quality(), online.protocol(run)
    if not measured or told is None:
        return
    step, distance = int(measured[-1]["step"]), float(measured[-1]["fd"])
    ended = f"At step {step:,} {distance:.3g}, {distance / told.floor:,.1f} times as far as real images are."
    image = img(run.path / "quality.png", f"Plot of {told.metric} over the steps. {ended}", css="plot")
    best = run.best()
    kept = "" if best is None else f"The best checkpoint is kept: step {best[0]:,} with {best[1]:.3g}. "
    better = online.better(run)
    if better is not None:
        kept += "It is notably better than the newest; <code>--best</code> takes it."
    read = (
        f"The Frechet distance of {told.samples:,} generated images from {escape(told.against)}: lower is better. "
        f"The dashed line is what as many real training images score, {told.floor:.3g}: none needs to be lower. "
        "It is measured with few images; only <code>gansmith evaluate</code> gives figures to compare."
    )
    figure = f"<figure>{image}</figure>" if image else ""
    yield (
        f'<div class="columns reading">{figure}\n<div><h3>While it trained</h3><p>{read}</p>'
        f"<p>{escape(ended)} {kept}</p></div></div>"
    )


def _evaluation(run: Run) -> Iterator[str]:
    try:
        report = Report.read(run.path / FILE)
    except UserError:
        return
    yield f'<h3>Evaluated</h3>\n<p class="quiet">{escape(wording.headline(report))}.</p>'
    yield f'<div class="scroll">{_table(wording.HEADERS, wording.rows(report))}</div>'
    if report.classes and len(report.classes) <= 40:
        yield _classes(report)
    yield from (f'<p class="quiet">{escape(note)}</p>' for note in report.notes)
    gallery = img(run.path / GALLERY, "Generated images, outlined, each beside the training images nearest to it")
    if gallery:
        told = "Outlined: generated; half of them are those closest to the training set. Beside each, the nearest real."
        yield f"<h3>Copied?</h3>\n<figure>{gallery}<figcaption>{told}</figcaption></figure>"
    yield f'<p class="quiet">Protocol: {escape(report.protocol.line)}</p>'


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(header)}</th>' for header in headers)
    body = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return f'<table class="figures">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>'


def _classes(report: Report) -> str:
    """Shares of the classes as bars: SVG, for the page allows no inline style."""
    most = max(max(each.real, each.generated) for each in report.classes) or 1.0
    rows = []
    for each in report.classes:
        bar, mark = BAR * each.generated / most, BAR * each.real / most
        drawn = (
            f'<svg class="bar" viewBox="0 0 104 10" role="img" aria-label="{each.generated:.1%} of generated images, '
            f'{each.real:.1%} of real ones"><rect width="{bar:.1f}" height="10"/>'
            f'<line x1="{mark:.1f}" x2="{mark:.1f}" y1="0" y2="10"/></svg>'
        )
        rows.append(
            f'<tr><th scope="row">{escape(each.name)}</th><td>{each.real:.1%}</td><td>{each.generated:.1%}</td>'
            f"<td>{drawn}</td></tr>"
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("class", "real", "generated", "the line marks real"))
    return (
        f'<details open><summary>Classes</summary>\n<div class="scroll"><table class="figures"><thead><tr>{head}</tr>'
        f"</thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody></table></div></details>"
    )
