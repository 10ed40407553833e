"""``report.html``: what a PoseTrack evaluation found, to look at, in one file that needs nothing else.

Scores are those of ``metrics.json``, to the digit shown. The kinds of errors, timelines and frames are
MOT's own verdicts on every joint; ``report.events`` says how they are told apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fastpose_mtn.evaluation.posetrack.protocol import NAMES_AND_TOTAL
from fastpose_mtn.evaluation.posetrack.results import PoseTrackMetrics, PoseTrackResult
from fastpose_mtn.evaluation.report.charts import ERROR_KINDS, error_chart, score_chart
from fastpose_mtn.evaluation.report.events import (
    JointErrors,
    SequenceEvents,
    identity_colours,
    worst_frames,
)
from fastpose_mtn.evaluation.report.frames import draw_frame
from fastpose_mtn.evaluation.report.identity_sections import (
    OtherTracker,
    difference_section,
    similarity_section,
    timelines,
)
from fastpose_mtn.evaluation.report.page import escape, fold, legend, number, page, table, tile
from fastpose_mtn.evaluation.report.similarities import DetectionFiles, read_similarities
from fastpose_mtn.evaluation.report.thumbnails import Thumbnails
from fastpose_mtn.files import write_text
from fastpose_mtn.skeletons import POSETRACK15

WORST_FRAMES = 8

# From head to foot, left beside right: the order in which a body is read, not that of the files.
_SHOWN_JOINTS = ("head_top", "nose", "neck", *POSETRACK15.joints[3:])
_SCORES = (
    ("ap", "AP"), ("ap_precision", "AP precision"), ("ap_recall", "AP recall"),
    ("mota", "MOTA"), ("motp", "MOTP"), ("precision", "precision"), ("recall", "recall"),
)  # fmt: skip
_KIND_TEXT = {"missed": "missed", "shifted": "shifted", "false": "false", "switched": "switched identity"}


def write_report(
    path: str | Path,
    result: PoseTrackResult,
    images: str | Path | None = None,
    title: str = "PoseTrack evaluation",
    *,
    detections: DetectionFiles | None = None,
    other: OtherTracker | None = None,
) -> None:
    """Writes the report, whole or not at all.

    Args:
        path: the HTML file.
        result: of an evaluation with tracking.
        images: folder in which the frames' images are looked for; people are drawn on a plain ground
            where they are not found.
        title: of the page.
        detections: that the result was tracked from, for the similarities of their embeddings.
        other: what another tracker made of the same people, for where the two differ.

    Raises:
        InputError: the detections are required and cannot be used.
        ValueError: tracking was not evaluated, or the other tracker's sequences are not the same.
        OSError: the file cannot be written.
    """
    write_text(Path(path), report_html(result, images, title, detections=detections, other=other))


def report_html(
    result: PoseTrackResult,
    images: str | Path | None = None,
    title: str = "PoseTrack evaluation",
    *,
    detections: DetectionFiles | None = None,
    other: OtherTracker | None = None,
) -> str:
    """The report as text; for the arguments see ``write_report``."""
    metrics, by_name = result.metrics, {sequence.name: sequence.metrics for sequence in result.sequences}
    events = [SequenceEvents.from_result(sequence) for sequence in result.sequences]
    ordered = sorted(events, key=lambda e: _sort_key(by_name[e.name], e.name))
    errors = sum((e.by_joint() for e in events), JointErrors.none())
    folder = None if images is None else Path(images)
    similarities = read_similarities(ordered, detections or DetectionFiles({}, required=False))
    thumbnails = Thumbnails(folder)
    body = [
        _header(title, metrics, events, None if other is None else other.names),
        "<main>",
        _in_short(metrics, by_name, events, errors),
        _by_joint(metrics, errors),
        _by_sequence(by_name, ordered),
        timelines(by_name, ordered, similarities, thumbnails),
        similarity_section(ordered, similarities),
        "" if other is None else difference_section(ordered, other, thumbnails),
        _frames(events, folder),
        _warnings(result.warnings),
        "</main>",
        _footer(),
    ]
    return page(title, "\n".join(body))


def find_images(gt: str | Path) -> Path | None:
    """The folder of images beside a folder of annotations, as PoseTrack and ``data.synthetic`` lay them out.

    ``images`` next to ``annotations``, or one folder up from ``annotations/val``; None where there is none.
    """
    gt = Path(gt).resolve()
    return next((f for base in (gt, *list(gt.parents)[:2]) if (f := base / "images").is_dir()), None)


def _header(
    title: str, metrics: PoseTrackMetrics, events: Sequence[SequenceEvents], compared: tuple[str, str] | None
) -> str:
    people = sum(len(np.unique(e.ground_truth.track_ids[e.counted.any(axis=1)])) for e in events)
    plural = "" if len(events) == 1 else "s"
    size = (
        f"{number(len(events))} sequence{plural}, {number(metrics.num_frames)} frames, "
        f"{number(metrics.num_labeled_frames)} of them with labels, {number(people)} people"
    )
    tiles = [
        tile("mean AP", number(metrics.total("ap")), "joints found, in %", "ap"),
        tile("MOTA", number(metrics.total("mota")), "joints tracked, in %", "mota"),
        tile("MOTP", number(metrics.total("motp")), "how near, in %"),
    ]
    for key, name, note in (
        ("idf1", "IDF1", "identities kept, in %"),
        ("hota", "HOTA", "found and linked, in %"),
    ):
        tiles.append(tile(name, number(metrics.total(key)), note))
    of_people = "" if metrics.boxes is None else number(metrics.boxes.total("num_switches"))
    switches = f"of joints; of people by boxes {of_people}"
    tiles.append(tile("identity switches", number(int(metrics.total("num_switches"))), switches))
    links = "".join(
        f'<a href="#{anchor}">{text}</a>'
        for anchor, text in (
            ("joints", "Joints"), ("sequences", "Sequences"), ("timelines", "Timelines"), ("similarities", "Similarities"),
            *([("differences", escape(" and ".join(compared)))] if compared else []), ("frames", "Worst frames"),
        )
    )  # fmt: skip
    return (
        f'<header><h1>{escape(title)}</h1><p class="muted">{size}</p>'
        f'<dl class="tiles">{"".join(tiles)}</dl><nav aria-label="Parts of the report">{links}</nav></header>'
    )


def _in_short(
    metrics: PoseTrackMetrics,
    by_name: Mapping[str, PoseTrackMetrics],
    events: Sequence[SequenceEvents],
    errors: JointErrors,
) -> str:
    counts = {kind: int(getattr(errors, kind).sum()) for kind in ERROR_KINDS}
    total, labelled = sum(counts.values()), int(errors.labelled.sum())
    facts = [
        f"{number(int(errors.found.sum()))} of {number(labelled)} labelled joints were found in their place."
        if labelled
        else "No joint is labelled in a counted frame."
    ]
    joints = sorted((v, j) for j in _SHOWN_JOINTS if math.isfinite(v := _score(metrics, "mota", j)))
    if len(joints) > 1:
        (low, weak), (high, strong) = joints[0], joints[-1]
        facts.append(
            f"Weakest joint: {_words(weak)}, MOTA {number(low)}. Strongest: {_words(strong)}, {number(high)}."
        )
    ranked = sorted((v, e.name) for e in events if math.isfinite(v := by_name[e.name].total("mota")))
    if len(ranked) > 1:
        facts.append(
            f"Hardest sequence: {ranked[0][1]}, MOTA {number(ranked[0][0])}. Easiest: {ranked[-1][1]}, {number(ranked[-1][0])}."
        )
    share = "".join(
        f'<span style="flex:{counts[kind]} 0 0;background:var(--{kind})"></span>'
        for kind in ERROR_KINDS
        if counts[kind]
    )
    spoken = ", ".join(
        f"{number(counts[k])} {_KIND_TEXT[k]} ({_percent(counts[k], total)})" for k in ERROR_KINDS
    )
    return (
        '<h2>What goes wrong</h2><section class="card">'
        + (
            f'<div class="share" role="img" aria-label="Errors by kind: {spoken}">{share}</div>'
            if total
            else ""
        )
        + legend(
            (f"{_KIND_TEXT[k]}: {number(counts[k])} ({_percent(counts[k], total)})", k, "square")
            for k in ERROR_KINDS
        )
        + f'<ul class="facts">{"".join(f"<li>{escape(fact)}</li>" for fact in facts)}</ul></section>'
    )


def _by_joint(metrics: PoseTrackMetrics, errors: JointErrors) -> str:
    rows = [
        (_words(j), _score(metrics, "ap", j), _score(metrics, "mota", j)) for j in (*_SHOWN_JOINTS, "total")
    ]
    order = [POSETRACK15.index(joint) for joint in _SHOWN_JOINTS]
    scores = score_chart(
        rows, "AP and MOTA of each joint; the numbers are in the table below", emphasise_last=True
    )
    kinds = error_chart(
        [_words(j) for j in _SHOWN_JOINTS],
        errors.take(order),
        "Errors of each joint by kind; the numbers are in the table below",
    )
    score_table = table(
        "Scores of each joint, percent", ["joint", *(text for _, text in _SCORES)],
        [[_words(j), *(number(_score(metrics, key, j)) for key, _ in _SCORES)] for j in (*_SHOWN_JOINTS, "total")],
        total=True,
    )  # fmt: skip
    kinds_shown = ("labelled", "found", *ERROR_KINDS)
    sums = [_KIND_TEXT.get(kind, kind) for kind in kinds_shown]
    error_rows = [
        [_words(j), *(number(int(getattr(errors, kind)[i])) for kind in kinds_shown)]
        for j, i in zip(_SHOWN_JOINTS, order, strict=True)
    ]
    error_rows.append(["total", *(number(int(getattr(errors, kind).sum())) for kind in kinds_shown)])
    return (
        '<h2 id="joints">Joints</h2><div class="grid">'
        f'<section class="card"><h3>AP and MOTA</h3>{_score_legend()}{scores}</section>'
        f'<section class="card"><h3>Errors</h3>{_kind_legend()}{kinds}</section></div>'
        f'<section class="card">{fold("The numbers of each joint", score_table)}'
        f"{fold('The errors of each joint', table('Joints counted', ['joint', *sums], error_rows, total=True))}</section>"
    )


def _by_sequence(by_name: Mapping[str, PoseTrackMetrics], events: Sequence[SequenceEvents]) -> str:
    rows = [(e.name, by_name[e.name].total("ap"), by_name[e.name].total("mota")) for e in events]
    few = len(rows) <= 14
    halves = [rows] if few else [rows[: (len(rows) + 1) // 2], rows[(len(rows) + 1) // 2 :]]
    lowest = min([score for row in rows for score in row[1:] if math.isfinite(score)], default=0.0)
    label = "AP and MOTA of each sequence, lowest MOTA first; the numbers are in the table below"
    charts = "".join(
        f'<section class="card">{_score_legend()}{score_chart(half, label, lowest)}</section>'
        for half in halves
        if half
    )
    table_rows = []
    for e in events:
        counts = e.by_joint()
        scores = [number(by_name[e.name].total(key)) for key, _ in _SCORES]
        table_rows.append(
            [e.name, *scores, *(number(int(getattr(counts, kind).sum())) for kind in ERROR_KINDS)]
        )
    columns = ["sequence", *(text for _, text in _SCORES), *(_KIND_TEXT[kind] for kind in ERROR_KINDS)]
    numbers = table("Scores of each sequence in percent, and its joints with errors", columns, table_rows)
    table_card = numbers if few else fold("The numbers of each sequence", numbers)
    return (
        '<h2 id="sequences">Sequences</h2><p class="muted">Lowest MOTA first.</p>'
        f'<div class="grid">{charts}</div><section class="card">{table_card}</section>'
    )


def _frames(events: list[SequenceEvents], images: Path | None) -> str:
    worst = worst_frames(events, WORST_FRAMES)
    cards, plain = [], 0
    for e, frame, counts in worst:
        left, right, found = draw_frame(e, frame, identity_colours(e), images)
        plain += not found
        tally = ", ".join(f"{int(getattr(counts, k))} {k}" for k in ERROR_KINDS if int(getattr(counts, k)))
        name = e.ground_truth.frames[frame].name
        what = f"{e.name}, frame {frame}"
        file = f"<small>{escape(name)}</small>" if name else ""
        cards.append(
            f'<section class="card frame"><h3>{escape(what)}{file}</h3><p class="muted">{escape(tally)} joints</p><div class="pair">'
            f'<figure><img src="{left}" alt="{escape(f"Labelled people of {what}")}"><figcaption>labelled</figcaption></figure>'
            f'<figure><img src="{right}" alt="{escape(f"Predicted people of {what}")}"><figcaption>predicted</figcaption></figure>'
            "</div></section>"
        )
    if not cards:
        return '<h2 id="frames">Worst frames</h2><p>No frame has an error.</p>'
    key = legend([
        ("missed", "missed", "ring"), ("shifted: where it belongs, and how far off it is", "shifted", "ring"),
        ("false", "false", "cross"), ("switched identity", "switched", "triangle"),
    ])  # fmt: skip
    note = "" if not plain else " Where the frame's image was not found, people are drawn on a plain ground."
    return (
        '<h2 id="frames">Worst frames</h2><p class="muted">Those with most wrong joints, two of a sequence at most. A person has '
        f"the colour of the predicted identity; grey is a person that nobody found.{note}</p>{key}{''.join(cards)}"
    )


def _warnings(texts: Sequence[str]) -> str:
    if not texts:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<h2>Oddities of the files</h2><section class="card"><ul class="facts">{items}</ul></section>'


def _footer() -> str:
    return (
        "<footer><p>AP and MOTA are PoseTrack's, as poseval computes them: a joint is found within half a head of its "
        "place, MOTA leaves out each sequence's last labelled frame, and the total is the mean over joints. "
        "<strong>Missed</strong>: nobody was found there. <strong>Shifted</strong>: the person was found and the joint "
        "lies too far off, which MOTA counts as one missed and one false joint. <strong>False</strong>: found where "
        "nothing is labelled. <strong>Switched</strong>: found in place, under another identity than before. These are "
        "counted in the frames that MOTA counts; what poseval adds for frames in which nobody is labelled, or nobody "
        "predicted, is in MOTA, precision and recall only.</p></footer>"
    )


def _score_legend() -> str:
    return legend([("AP", "ap", "dot"), ("MOTA", "mota", "diamond")])


def _kind_legend() -> str:
    return legend((_KIND_TEXT[kind], kind, "square") for kind in ERROR_KINDS)


def _score(metrics: PoseTrackMetrics, figure: str, joint: str) -> float:
    """A share of one joint, or in total."""
    return float(metrics.joint_figure(figure)[NAMES_AND_TOTAL.index(joint)])


def _sort_key(metrics: PoseTrackMetrics, sequence: str) -> tuple[bool, float, str]:
    mota = metrics.total("mota")
    return (not math.isfinite(mota), mota if math.isfinite(mota) else 0.0, sequence)


def _words(joint: str) -> str:
    return joint.replace("_", " ")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"
