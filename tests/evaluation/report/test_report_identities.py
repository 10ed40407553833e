"""The report's identities: switches, similarities and two trackers compared, on people that are known."""

import base64
import re
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from test_report import Page
from test_report_events import LABELS, PREDICTION, sequence

from fastpose_mtn.commands.evaluate import main
from fastpose_mtn.data.posetrack.files import write_posetrack
from fastpose_mtn.evaluation.posetrack.evaluation import evaluate_posetrack
from fastpose_mtn.evaluation.report.events import SequenceEvents, Track, TrackSpan
from fastpose_mtn.evaluation.report.identities import Sighting, Switch, compare, switches_of
from fastpose_mtn.evaluation.report.identity_sections import OtherTracker
from fastpose_mtn.evaluation.report.report import report_html
from fastpose_mtn.evaluation.report.similarities import (
    BINS,
    DetectionFiles,
    SimilarityHistogram,
    match_embeddings,
    similarity_histogram,
)
from fastpose_mtn.evaluation.report.thumbnails import THUMBNAIL_WH, Thumbnails
from fastpose_mtn.evaluation.report.timeline import Lane, most_telling, timeline_chart
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import SavedDetections, SavedFrame, save

# Another tracker of the same people: it keeps person 1, and person 2, whom both miss in frame 2, comes back as 12.
OTHER = replace(
    PREDICTION,
    track_ids=np.where(
        PREDICTION.track_ids == 9,
        7,
        np.where((PREDICTION.track_ids == 8) & (PREDICTION.frame_index > 2), 12, PREDICTION.track_ids),
    ),
)


def events_of(prediction, labels=LABELS):
    result = evaluate_posetrack([labels], [prediction], warn=lambda text: None)
    return SequenceEvents.from_result(result.sequences[0])


def row_of(frame, track_id, people=PREDICTION):
    return int(np.flatnonzero((people.frame_index == frame) & (people.track_ids == track_id))[0])


def saved(embed=True, hidden=(), moved=0.0):
    """PREDICTION's people in another order, with somebody else among them, and a vector for each labelled person."""
    frames = []
    for number in range(6):
        rows = np.flatnonzero(PREDICTION.frame_index == number)[::-1]
        ids = PREDICTION.track_ids[rows].tolist()
        boxes = np.concatenate([PREDICTION.boxes_xyxy[rows] + moved, [[500.0, 300, 520, 340]]])
        joints = np.concatenate([PREDICTION.keypoints[rows], np.zeros((1, 15, 2))])
        seen = [0.1 if (number, track_id) in hidden else 0.9 for track_id in ids] + [0.9]
        keypoints = np.concatenate([joints, np.tile(np.array(seen)[:, None, None], (1, 15, 1))], axis=2)
        vectors = np.eye(4)[[{7: 0, 9: 0, 8: 1, 50: 2}[track_id] for track_id in ids] + [3]]
        people = PersonDetections(
            boxes.astype(np.float32), np.full(len(boxes), 0.9, np.float32), keypoints.astype(np.float32),
            vectors.astype(np.float32) if embed else None,
        )  # fmt: skip
        frames.append(SavedFrame(number, number / 30, (480, 640), people))
    return SavedDetections("walk", POSETRACK15, tuple(frames))


def write(path, content):
    save(path, content, source=content.source, skeleton=content.skeleton)
    return path


def test_a_switch_is_between_two_sightings():
    assert switches_of(events_of(PREDICTION)) == (
        Switch(1, Sighting(2, row_of(2, 7), 7), Sighting(3, row_of(3, 9), 9)),
    )
    assert switches_of(events_of(OTHER)) == (
        Switch(2, Sighting(1, row_of(1, 8, OTHER), 8), Sighting(3, row_of(3, 12, OTHER), 12)),
    )
    assert switches_of(events_of(LABELS)) == ()


def test_trackers_differ_where_one_alone_switches():
    comparison = compare(events_of(PREDICTION), events_of(OTHER))
    assert [(d.switch.person, d.first, d.other_before, d.other_after) for d in comparison.differences] == [
        (1, True, 7, 7),
        (2, False, 8, 8),
    ]
    assert (comparison.count(True), comparison.count(False), comparison.both) == (1, 1, 0)


def test_ids_of_their_own_are_no_difference():
    same = compare(
        events_of(PREDICTION), events_of(replace(PREDICTION, track_ids=PREDICTION.track_ids + 100))
    )
    assert same.differences == ()
    assert same.both == 1


def test_a_switch_a_frame_later_is_the_same_one():
    """The second tracker does not find person 1 in frame 3, where the first one switches."""
    kept = ~((PREDICTION.frame_index == 3) & (PREDICTION.track_ids == 9))
    arrays = {k: v[kept] for k, v in vars(PREDICTION).items() if isinstance(v, np.ndarray) and k[0] != "_"}
    comparison = compare(events_of(PREDICTION), events_of(replace(PREDICTION, **arrays)))
    assert (comparison.differences, comparison.both) == ((), 1)


def test_trackers_of_different_videos_are_not_compared():
    other = evaluate_posetrack([replace(LABELS, name="run")], [replace(PREDICTION, name="run")])
    with pytest.raises(
        ValueError, match="same sequence; expected walk of 6 labelled frames from both, got run"
    ):
        compare(events_of(PREDICTION), SequenceEvents.from_result(other.sequences[0]))
    with pytest.raises(ValueError, match="the same sequences; expected walk of iou too, got run"):
        report_html(
            evaluate_posetrack([LABELS], [PREDICTION]), other=OtherTracker(("occlusion_aware", "iou"), other)
        )


def test_embeddings_are_found_by_the_boxes():
    events = events_of(PREDICTION)
    embeddings = match_embeddings(events, saved(hidden={(0, 8)}), "f")
    people = {7: 0, 9: 0, 8: 1, 50: 2}
    assert embeddings.vectors.argmax(axis=1).tolist() == [people[i] for i in PREDICTION.track_ids.tolist()]
    assert np.flatnonzero(~embeddings.valid).tolist() == [row_of(0, 8)]  # too few joints to be compared
    assert embeddings.similarity(row_of(2, 7), row_of(3, 9)) == 1.0
    assert embeddings.similarity(row_of(2, 7), row_of(3, 8)) == pytest.approx(0.0, abs=1e-3)
    assert np.isnan(embeddings.similarity(row_of(0, 7), row_of(0, 8)))


def test_embeddings_of_zeros_are_not_compared():
    """They would be equal, and most alike, whoever they are of."""
    content = saved()
    content.frames[0].detections.embeddings[:] = 0
    embeddings = match_embeddings(events_of(PREDICTION), content, "f")
    assert PREDICTION.frame_index[~embeddings.valid].tolist() == [0] * int(
        (PREDICTION.frame_index == 0).sum()
    )
    assert np.isnan(embeddings.similarity(row_of(0, 7), row_of(1, 7)))


def test_pairs_are_counted_by_person():
    """Person 1 is found in 6 frames and person 2 in 5: 15 + 10 pairs, and 30 of both; nobody's vector counts not."""
    events = events_of(PREDICTION)
    histogram = similarity_histogram(events, match_embeddings(events, saved(), "f"))
    assert (histogram.same[-1], histogram.same.sum()) == (25, 25)
    assert (histogram.different[0], histogram.different.sum()) == (30, 30)
    assert histogram.rank_probability == 1.0


def test_rank_probability_counts_equals_half():
    same, different = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    same[[5, 9]], different[[5, 7]] = 1, 1
    # of 4 pairs: 9 is above 5 and 7, 5 equals 5 and is below 7
    assert SimilarityHistogram(same, different).rank_probability == pytest.approx(2.5 / 4)
    assert np.isnan(SimilarityHistogram.none().rank_probability)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (saved(embed=False), "f: embeddings: expected those of a network with identities"),
        (
            replace(saved(), frames=saved().frames[:3]),
            r"got none for images/walk/000003\.jpg; are they of another",
        ),
        (saved(moved=50.0), "got boxes of 0 of 13; are they of another video or another run"),
    ],
)
def test_detections_of_something_else_are_told(content, expected):
    with pytest.raises(ValueError, match=expected):
        match_embeddings(events_of(PREDICTION), content, "f")


def test_a_thumbnail_shows_the_person(tmp_path):
    image = np.zeros((480, 640, 3), np.uint8)
    x1, y1, x2, y2 = PREDICTION.boxes_xyxy[row_of(3, 9)].astype(int)
    image[y1:y2, x1:x2] = (0, 255, 0)
    (tmp_path / "walk").mkdir()
    cv2.imwrite(str(tmp_path / "walk" / "000003.png"), image)
    frames = tuple(replace(f, name=f.name.replace("jpg", "png")) for f in LABELS.frames)
    events = events_of(PREDICTION, replace(LABELS, frames=frames))
    thumbnails = Thumbnails(tmp_path)
    picture = decoded(thumbnails.draw(events, row_of(3, 9), (255, 0, 0)))
    assert picture.shape == (*THUMBNAIL_WH[::-1], 3)
    green = picture[..., 1] > 128
    # 100 x 160 px and 0.12 * 160 of room on each side: 198.4 px high, and 3:4 of it wide
    assert green.mean() == pytest.approx(100 * 160 / (198.4 * 148.8), abs=0.02)
    assert green[72, 54]
    assert thumbnails.plain == 0
    thumbnails.draw(events, row_of(2, 7), (255, 0, 0))
    assert thumbnails.plain == 1


def decoded(address):
    content = base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def test_the_report_has_switches_similarities_and_differences(tmp_path):
    result, other = (evaluate_posetrack([LABELS], [p]) for p in (PREDICTION, OTHER))
    files = DetectionFiles.found([write(tmp_path / "walk.detections.npz", saved())], required=True)
    text = report_html(result, detections=files, other=OtherTracker(("occlusion_aware", "iou"), other))
    page = Page(text)
    alts = [attrs["alt"] for attrs in page.all("img")]
    assert alts[:2] == [
        "Person 1 before switch 1 of walk, found as 7", "Person 1 after switch 1 of walk, found as 9",
    ]  # fmt: skip
    assert "person 1: 7 → 9<small>frame 2 → 3, similarity 1.00</small>" in text
    assert "same person, 25 pairs" in text
    assert "more alike than two of different people in 100.0 % of cases" in text
    assert "Switches of occlusion_aware alone: 1, of iou alone: 1, of both: 0." in text
    assert "frame 1 → 3; occlusion_aware keeps 8" in text
    assert len(page.all("svg")) == 3 + 1 + 1 + 1  # as without; the histogram; both trackers' timelines
    anchors = [attrs["href"] for attrs in page.all("a")]
    assert "#differences" in anchors
    assert {a[1:] for a in anchors} <= set(page.ids)


def test_without_detections_the_report_says_how_to_have_them(tmp_path):
    result = evaluate_posetrack([LABELS], [PREDICTION])
    assert "--save-detections" in report_html(result)
    file = write(tmp_path / "walk.detections.npz", saved(embed=False))
    text = report_html(result, detections=DetectionFiles.found([file], required=False))
    assert "There are none, because of" in text
    assert "expected those of a network with identities" in text


def test_alphaposes_results_are_no_detections_of_a_report(tmp_path):
    npz, json = tmp_path / "walk.detections.npz", tmp_path / "run.alphapose.json"
    for required in (True, False):
        assert DetectionFiles.found([json, npz], required=required).files == {"walk": npz}


def test_nobody_and_one_frame_are_compared():
    one = sequence([(0, 1, 200.0, {})], 1)
    for labels, prediction in (
        (LABELS, sequence([])), (sequence([]), PREDICTION), (LABELS, sequence([], 0)), (one, one)
    ):  # fmt: skip
        result = evaluate_posetrack([labels], [prediction], warn=lambda text: None)
        text = report_html(result, other=OtherTracker(("a", "b"), result))
        assert "Nowhere do they differ." in text
        assert not re.search(r">nan|NaN", text)


def test_of_a_thousand_tracks_the_most_telling_are_shown():
    people = [(f, i, 30.0 * i, {}) for f in range(3) for i in range(1000)]
    labels = sequence(people, 3)
    ids = np.where(
        (labels.track_ids >= 990) & (labels.frame_index > 0), labels.track_ids + 1000, labels.track_ids
    )
    text = report_html(evaluate_posetrack([labels], [replace(labels, track_ids=ids)], warn=lambda text: None))
    timeline = next(svg for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL) if "Timeline of" in svg)
    assert "40 of 1,000 rows are shown" in text
    assert ">person 0<" in timeline
    assert all(f">person {i}<" in timeline for i in range(990, 1000))  # they switch
    assert len(text) < 3_000_000


def test_most_telling_tracks():
    def track(number, switches, last, labelled=True):
        spans = [TrackSpan(i, i, number, True) for i in range(switches)]
        return Track(number, labelled, (*spans, TrackSpan(switches, last, number)))

    tracks = [track(0, 0, 5), track(1, 2, 2), track(2, 0, 9), track(3, 0, 99, labelled=False)]
    assert [t.track_id for t in most_telling(tracks, 2)] == [1, 2]
    assert most_telling(tracks, 9) == tracks


def test_numbers_on_a_timeline_do_not_overlap():
    spans = tuple(TrackSpan(i, i, i, i > 0) for i in range(100))
    lane = Lane(Track(1, True, spans), "person 1", {i: i for i in range(100)}, {i: i for i in range(1, 100)})
    places = [
        (float(x), count) for x, count in re.findall(r'<text x="([\d.]+)"[^>]*font-weight[^>]*>(\d+)<', timeline_chart([lane], 100, "x"))
    ]  # fmt: skip
    assert len(places) > 10
    for (x, count), (after, _) in pairwise(places):
        assert after - x >= 6 * len(count)


@pytest.fixture
def folders(tmp_path):
    for folder, content in (("annotations", LABELS), ("results", PREDICTION)):
        (tmp_path / folder).mkdir()
        write_posetrack(tmp_path / folder / "walk.json", content)
    return ["--gt", f"{tmp_path}/annotations", "--pred", f"{tmp_path}/results", "--quiet"]


def test_the_command_finds_detections_beside_the_results(tmp_path, folders):
    write(tmp_path / "results" / "walk.detections.npz", saved())
    main([*folders, "--output", f"{tmp_path}/out"])
    assert "same person, 25 pairs" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "content", "expected"),
    [
        (["--output", "out", "--detections", "no"], saved(), "no: no such file or folder"),
        (["--output", "out", "--detections", "run.detections.npz"], saved(), "expected walk.detections.npz"),
        (
            ["--output", "out", "--detections", "walk.detections.npz"],
            saved(embed=False),
            "embeddings: expected",
        ),
        (
            ["--output", "out", "--detections", "walk.alphapose.json"],
            saved(),
            "AlphaPose's results have none",
        ),
        (["--detections", "walk.detections.npz"], saved(), "is for report.html; add --output DIR"),
        (["--format", "mot", "--detections", "x"], saved(), "--detections: is of PoseTrack's evaluation"),
    ],
)
def test_bad_detections_are_one_line(tmp_path, monkeypatch, capsys, folders, arguments, content, expected):
    monkeypatch.chdir(tmp_path)
    for name in ("walk", "run"):
        write(tmp_path / f"{name}.detections.npz", content)
    (tmp_path / "walk.alphapose.json").write_text("[]")
    with pytest.raises(SystemExit) as ended:
        main([*folders, *arguments])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith("error: ")
    assert expected in error
    assert error.count("\n") == 1


def test_detections_that_are_not_there_are_told_before_any_work(tmp_path, capsys, folders):
    with pytest.raises(SystemExit):
        main([*folders, "--output", f"{tmp_path}/out", "--detections", f"{tmp_path}/no"])
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "out" / "metrics.json").exists()
