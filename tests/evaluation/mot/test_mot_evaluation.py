"""MOTChallenge's figures are TrackEval's: on stored cases, and, where it is installed, on as many as one likes.

``python tests/evaluation/mot/test_mot_evaluation.py`` writes the stored cases anew (``pip install trackeval``).
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from fastpose_mtn.evaluation.mot.evaluation import add, evaluate_sequence
from fastpose_mtn.evaluation.mot.files import MotBoxes, read_ground_truth, read_results

GOLDEN = Path(__file__).parent / "golden" / "trackeval.json"
BENCHMARKS = ("MOT15", "MOT17", "MOT20")
CLASSES = [1, 1, 1, 1, 2, 3, 6, 7, 8, 12]


def write_sequence(root: Path, seed: int, benchmark: str, most: int = 40) -> tuple[str, int]:
    """People who walk, vanish and are labelled as what does not count; a tracker that misses, errs and swaps ids.

    Some frames have no labels, some no results, some neither. Returns the sequence's name and number of frames.
    """
    rng = np.random.default_rng(seed)
    frames, people = int(rng.integers(1, most)), int(rng.integers(1, most // 2))
    place, size = rng.uniform(0, 400, (people, 2)), rng.uniform(20, 120, (people, 2))
    speed, classes, track = rng.normal(0, 6, (people, 2)), rng.choice(CLASSES, people), np.arange(people) + 1
    truth, found = [], []
    for frame in range(1, frames + 1):
        place += speed + rng.normal(0, 2, place.shape)
        labelled, tracked = rng.random() < 0.92, rng.random() < 0.9
        taken = set()
        for i in range(people):
            kind = classes[i] if benchmark != "MOT15" else -1
            if labelled and rng.random() < 0.85:
                box = np.round([*place[i], *size[i]], 1)
                truth.append([frame, i + 1, *box, int(rng.random() < 0.93), kind, 0.5])
            if rng.random() < 0.05:
                track[i] = rng.integers(1, 2 * people)
            if tracked and rng.random() < 0.75 and track[i] not in taken:
                taken.add(track[i])
                box = np.round(
                    [*place[i] + rng.normal(0, size[i] * 0.12), *size[i] * rng.uniform(0.8, 1.2)], 1
                )
                found.append([frame, track[i], *box, 0.9, -1, -1, -1])
    name = f"sequence-{seed}"
    for path, rows in (
        (root / "gt" / name / "gt" / "gt.txt", truth),
        (root / "results" / "ours" / f"{name}.txt", found),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return name, frames


def oracle(root: Path, benchmark: str, lengths: dict[str, int]) -> dict[str, dict[str, float]]:
    """TrackEval's figures of each sequence, and of all."""
    import trackeval

    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(root / "gt"),
            "TRACKERS_FOLDER": str(root / "results"),
            "TRACKERS_TO_EVAL": ["ours"],
            "TRACKER_SUB_FOLDER": "",
            "BENCHMARK": benchmark,
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": dict(lengths),
            "PRINT_CONFIG": False,
        }
    )
    quiet = {"PRINT_CONFIG": False}
    kinds = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(quiet), trackeval.metrics.Identity(quiet)]
    each = {}
    for name in lengths:
        data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("ours", name), "pedestrian")
        each[name] = [kind.eval_sequence(data) for kind in kinds]
    each["all"] = [
        kind.combine_sequences({name: each[name][i] for name in lengths}) for i, kind in enumerate(kinds)
    ]
    return {name: _named(*results) for name, results in each.items()}


def _named(hota: dict, clear: dict, identity: dict) -> dict[str, float]:
    figures = {key: 100 * float(np.mean(hota[key])) for key in ("HOTA", "DetA", "AssA", "LocA")}
    figures |= {key: 100 * clear[key] for key in ("MOTA", "MOTP")}
    figures |= {key: 100 * identity[key] for key in ("IDF1", "IDP", "IDR")}
    figures |= {"Recall": 100 * clear["CLR_Re"], "Precision": 100 * clear["CLR_Pr"]}
    figures |= {"FP": clear["CLR_FP"], "FN": clear["CLR_FN"]}
    return figures | {key: clear[key] for key in ("IDSW", "Frag", "MT", "PT", "ML")}


def assert_equal(root: Path, benchmark: str, lengths: dict[str, int], figures: dict[str, dict]) -> None:
    sums = {
        name: evaluate_sequence(
            read_ground_truth(root / "gt" / name / "gt" / "gt.txt"),
            read_results(root / "results" / "ours" / f"{name}.txt"),
            benchmark=benchmark,
            frames=frames,
        )
        for name, frames in lengths.items()
    }
    sums["all"] = add(sums.values())
    for name, expected in figures.items():
        ours = sums[name].figures()
        assert {key: ours[key] for key in expected} == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_every_figure_is_trackevals(benchmark: str, tmp_path: Path) -> None:
    case = json.loads(GOLDEN.read_text())[benchmark]
    for name, text in case["files"].items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert case["figures"]["all"]["IDSW"] >= 10
    assert_equal(tmp_path, benchmark, case["lengths"], case["figures"])


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_so_is_every_figure_of_new_sequences(benchmark: str, tmp_path: Path) -> None:
    pytest.importorskip("trackeval", reason="the oracle; pip install trackeval, which brings opencv-python")
    lengths = dict(write_sequence(tmp_path, seed, benchmark) for seed in range(100, 130))
    assert_equal(tmp_path, benchmark, lengths, oracle(tmp_path, benchmark, lengths))


def boxes(rows: list[list[float]]) -> MotBoxes:
    """Rows of frame, id, x1, y1, x2, y2."""
    table = np.array(rows, float).reshape(-1, 6)
    return MotBoxes(
        path=Path("boxes"),
        frame=table[:, 0].astype(np.int64),
        ids=table[:, 1].astype(np.int64),
        boxes=table[:, 2:],
        counts=np.ones(len(table), bool),
        classes=None,
    )


def test_a_track_is_carried_on_from_the_frame_before_only() -> None:
    """Nearer boxes win after a frame without the track, as TrackEval has it and motmetrics does not."""
    person = [[1, 1, 0, 0, 10, 10], [2, 1, 0, 0, 10, 10], [3, 1, 0, 0, 10, 10]]
    without = [[1, 7, 0, 0, 10, 10], [2, 9, 50, 0, 60, 10], [3, 7, 0, 0, 10, 6], [3, 8, 0, 0, 10, 9]]
    sums = evaluate_sequence(boxes(person), boxes(without), benchmark="MOT15", frames=3)
    assert (sums.matches, sums.switches, sums.fragmentations) == (2, 1, 1)
    kept = [without[0], [2, 7, 0, 0, 10, 10], *without[2:]]
    sums = evaluate_sequence(boxes(person), boxes(kept), benchmark="MOT15", frames=3)
    assert (sums.matches, sums.switches, sums.fragmentations) == (3, 0, 0)


def write_golden() -> None:
    cases = {}
    for benchmark in BENCHMARKS:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            lengths = dict(write_sequence(root, seed, benchmark, most=16) for seed in range(12))
            cases[benchmark] = {
                "lengths": lengths,
                "figures": {
                    name: {key: float(value) for key, value in row.items()}
                    for name, row in oracle(root, benchmark, lengths).items()
                },
                "files": {str(p.relative_to(root)): p.read_text() for p in sorted(root.rglob("*.txt"))},
            }
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    write_golden()
