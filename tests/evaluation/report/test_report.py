"""The report: the numbers of metrics.json, in one whole and self-contained page."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from test_report_events import LABELS, PREDICTION, sequence

from fastpose_mtn.commands.evaluate import main
from fastpose_mtn.data.posetrack.files import write_posetrack
from fastpose_mtn.evaluation.posetrack.evaluation import evaluate_posetrack
from fastpose_mtn.evaluation.report.events import SequenceEvents
from fastpose_mtn.evaluation.report.frames import draw_frame
from fastpose_mtn.evaluation.report.page import STYLE, number
from fastpose_mtn.evaluation.report.report import find_images, report_html, write_report
from fastpose_mtn.evaluation.report.timeline import NUM_COLOURS, _tick_step

VOID = {"meta", "img", "link", "br", "rect", "path", "use", "clippath"}


class Page(HTMLParser):
    """Reads a page, checks that its elements close, and collects what tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.rows, self.ids, self.text = [], [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_startendtag(self, tag, attrs):
        self._note(tag, attrs)

    def handle_starttag(self, tag, attrs):
        self._note(tag, attrs)
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and self.open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data

    def _note(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        if "id" in attrs:
            self.ids.append(attrs["id"])

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def result():
    other = replace(PREDICTION, name="run", keypoints=PREDICTION.keypoints + 4.0)
    return evaluate_posetrack([LABELS, replace(LABELS, name="run")], [PREDICTION, other])


def test_names_in_scripts_that_matplotlibs_font_lacks_are_text_without_a_warning(recwarn):
    pair = [replace(one, name="東京") for one in (LABELS, PREDICTION)]
    page = Page(report_html(evaluate_posetrack([pair[0]], [pair[1]])))
    assert sum("東京" in text for text in page.text) > 1
    assert not [w for w in recwarn if "Glyph" in str(w.message)]


@pytest.fixture(scope="module")
def text(result):
    return report_html(result)


def test_the_page_is_whole_and_needs_nothing_else(text):
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert len(page.ids) == len(set(page.ids))
    for _, attrs in page.elements:
        for name in ("src", "href", "xlink:href"):
            address = attrs.get(name) or ""
            assert address == "" or address.startswith(("#", "data:image/jpeg;base64,"))
            if address.startswith("#"):
                assert address[1:] in page.ids
    for reference in re.findall(r"url\(([^)]*)\)", text):
        assert reference.lstrip("#") in page.ids
    assert not page.all("script")
    assert page.all("html") == [{"lang": "en"}]
    assert any("viewport" in attrs.get("name", "") for attrs in page.all("meta"))


def test_pictures_and_charts_have_names_for_those_who_cannot_see_them(text):
    page = Page(text)
    assert len(page.all("img")) == 8  # a switch and a worst frame of each sequence, twice
    assert all(attrs["alt"] for attrs in page.all("img"))
    assert len(page.all("svg")) == 5  # joints: scores, errors; sequences; two timelines
    assert all(attrs["aria-label"] and attrs["role"] == "img" for attrs in page.all("svg"))


def test_numbers_are_those_of_metrics_json(result, text):
    metrics, rows = result.to_json(), Page(text).rows
    keys = ("ap", "ap_precision", "ap_recall", "mota", "motp", "precision", "recall")
    for joint in metrics["ap"]:
        assert [joint.replace("_", " "), *(number(metrics[key][joint]) for key in keys)] in rows
    for name, of_sequence in metrics["sequences"].items():
        [row] = [row for row in rows if row[0] == name]
        assert row[1:8] == [number(of_sequence[key]["total"]) for key in keys]
    for key, tile in (("ap", "mean AP"), ("mota", "MOTA"), ("motp", "MOTP")):
        assert f"<dt>{tile}</dt><dd>{number(metrics[key]['total'])}<" in text
    for key in ("idf1", "hota"):
        assert f"<dt>{key.upper()}</dt><dd>{number(metrics[key])}<" in text
    assert f"<dt>identity switches</dt><dd>{metrics['num_switches']}<" in text


def test_errors_are_counted_by_kind(text):
    # Two sequences of what test_report_events counts by hand.
    rows = Page(text).rows
    assert ["total", "300", "268", "30", "2", "60", "30"] in rows
    assert ["left wrist", "20", "16", "2", "2", "4", "2"] in rows
    assert "missed: 30 (25 %)" in text
    assert "switched identity: 30 (25 %)" in text
    assert "false: 60 (49 %)" in text
    assert "15 false, 1 shifted" not in text  # kinds keep their order
    assert "1 shifted, 15 false joints" in text


def test_timelines_say_who_was_found_as_whom(text):
    for words in (
        "person 1, frames 0 to 2: found as 7", "person 1, frames 3 to 4: found as 9",
        "person 1, frame 3: 15 joints switch identity", "person 2, frame 2: missed",
        "nobody (50), frames 0 to 1: false",
    ):  # fmt: skip
        assert text.count(f"<title>{words}</title>") == 2


def test_colours_come_from_the_page_and_each_is_defined_twice(text):
    style = text[text.index("<style>") : text.index("</style>")]
    for variable in set(re.findall(r"var\(--([a-z0-9]+)\)", text)):
        assert style.count(f"--{variable}: #") == 2, variable  # light and dark
    charts = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert not [c for chart in charts for c in re.findall(r"#[0-9a-f]{6}\b", chart)]


def test_the_same_result_gives_the_same_bytes(result, text):
    assert report_html(result) == text


def test_images_are_drawn_under_the_people(tmp_path, result, text):
    assert "plain ground" in text
    folder = tmp_path / "images"
    for name in ("walk", "run"):
        (folder / name).mkdir(parents=True)
        for frame in range(6):
            assert cv2.imwrite(str(folder / name / f"{frame:06d}.jpg"), np.full((480, 640, 3), 200, np.uint8))
    drawn = report_html(result, folder)
    assert "plain ground" not in drawn
    assert len(Page(drawn).all("img")) == 8
    assert Page(drawn).all("img")[0]["src"] != Page(text).all("img")[0]["src"]
    (folder / "walk" / "000001.jpg").write_bytes(b"no image")
    assert "plain ground" in report_html(result, folder)


def test_an_image_outside_the_folder_is_not_read(tmp_path):
    folder = tmp_path / "data" / "images"
    folder.mkdir(parents=True)
    assert cv2.imwrite(str(tmp_path / "secret.jpg"), np.full((480, 640, 3), 200, np.uint8))
    for name in ("../../secret.jpg", str(tmp_path / "secret.jpg")):
        labels = replace(LABELS, frames=tuple(replace(f, name=name) for f in LABELS.frames))
        result = evaluate_posetrack([labels], [PREDICTION], warn=lambda text: None)
        assert "plain ground" in report_html(result, folder)


def test_names_are_text_not_markup():
    name = "<img src=x onerror=alert(1)>&\"'$x$"
    labels, prediction = replace(LABELS, name=name), replace(PREDICTION, name=name)
    text = report_html(evaluate_posetrack([labels], [prediction]), title=name)
    assert "<img src=x" not in text
    assert name in Page(text).text


def test_a_perfect_prediction():
    text = report_html(evaluate_posetrack([LABELS], [LABELS]))
    assert "No frame has an error." in text
    assert "150 of 150 labelled joints were found in their place." in text
    assert not Page(text).all("img")


def test_a_joint_that_is_nowhere_labelled_has_a_dash():
    has_joint = LABELS.has_joint.copy()
    has_joint[:, 0] = False  # nose
    labels = replace(LABELS, has_joint=has_joint)
    rows = Page(
        report_html(
            evaluate_posetrack(
                [labels], [replace(PREDICTION, has_joint=PREDICTION.has_joint & ~np.isin(np.arange(15), [0]))]
            )
        )
    ).rows
    [row] = [row for row in rows if row[0] == "nose" and len(row) == 8]
    assert row[4] == "–"


def test_nobody_predicted_nobody_labelled():
    for labels, prediction in ((LABELS, sequence([], 0)), (LABELS, sequence([])), (sequence([]), PREDICTION)):
        page = Page(report_html(evaluate_posetrack([labels], [prediction], warn=lambda text: None)))
        assert "mean AP" in page.text


def test_warnings_are_told(result):
    text = report_html(replace(result, warnings=("a < b is odd",)))
    assert "<li>a &lt; b is odd</li>" in text


def test_many_sequences_fill_two_columns(result):
    one = result.sequences[0]
    many = replace(result, sequences=tuple(replace(one, name=f"s{i:02d}") for i in range(20)))
    page = Page(report_html(many))
    assert len(page.all("svg")) == 2 + 2 + 20
    assert len([d for d in page.all("details") if "open" in d]) == 4


def test_write_report(tmp_path, result, text):
    write_report(tmp_path / "report.html", result)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == text
    with pytest.raises(ValueError, match="tracking was not evaluated"):
        write_report(tmp_path / "x.html", evaluate_posetrack([LABELS], [PREDICTION], tracking=False))
    assert not (tmp_path / "x.html").exists()


def test_the_command_writes_it_beside_the_metrics(tmp_path, capsys):
    for folder, content in (("annotations", LABELS), ("results", PREDICTION)):
        (tmp_path / folder).mkdir()
        write_posetrack(tmp_path / folder / "walk.json", content)
    gt, pred, out = (str(tmp_path / folder) for folder in ("annotations", "results", "out"))
    main(["--gt", gt, "--pred", pred, "--output", out, "--quiet"])
    assert "report.html" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"<dt>MOTA</dt><dd>{number(metrics['mota']['total'])}<" in text
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["metrics.json", "report.html"]
    with pytest.raises(SystemExit) as stop:
        main(["--gt", gt, "--pred", pred, "--output", out, "--images", str(tmp_path / "none")])
    assert stop.value.code == 2
    assert "none: expected a folder of images, got none of that name" in capsys.readouterr().err


@pytest.mark.parametrize("size_hw", [(100_000, 1), (1, 100_000), (0, 0), (1e9, 1e9)])
def test_frames_of_any_shape_are_drawn_in_pictures_of_bounded_size(size_hw):
    labels = replace(LABELS, frames=tuple(replace(f, size_hw=size_hw) for f in LABELS.frames))
    events = SequenceEvents.from_result(
        evaluate_posetrack([labels], [PREDICTION], warn=lambda text: None).sequences[0]
    )
    for address in draw_frame(events, 1, {7: 0}, None)[:2]:
        content = base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))
        height, width = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape[:2]
        assert 1 <= width <= 640
        assert 1 <= height <= 800


def test_find_images(tmp_path):
    annotations = tmp_path / "annotations" / "val"
    annotations.mkdir(parents=True)
    assert find_images(annotations) is None
    (tmp_path / "images").mkdir()
    assert find_images(annotations) == (tmp_path / "images").resolve()
    assert find_images(annotations.parent) == (tmp_path / "images").resolve()


@pytest.mark.parametrize(
    ("value", "text"), [(float("nan"), "–"), (None, "–"), (12.345, "12.3"), (-1.25, "−1.2"), (1234, "1,234")]
)
def test_numbers_for_people(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("length", "step"), [(1, 1), (6, 1), (7, 2), (60, 10), (61, 20), (900, 200)])
def test_at_most_six_ticks_at_round_frames(length, step):
    assert _tick_step(length) == step


def _contrast(a, b):
    """WCAG 2's contrast ratio of two colours."""

    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_contrast():
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    for scheme in re.findall(r":root \{(.*?)\}", STYLE, flags=re.DOTALL):
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", scheme))
        for name in ("ink", "muted", "ap", "mota", *(f"id{i}" for i in range(NUM_COLOURS))):
            assert _contrast(colours[name], colours["card"]) >= 4.5, name  # text
        for name in ("missed", "shifted", "false", "switched"):
            assert _contrast(colours[name], colours["card"]) >= 3.0, name  # shapes
        for name in ("ink", "muted", "ap"):
            assert _contrast(colours[name], colours["page"]) >= 4.5, name
