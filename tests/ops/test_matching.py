import torch

from fastpose_mtn.ops.matching import IGNORED, NEGATIVE, POSITIVE, match_boxes, sample_balanced

RPN = {"thresholds": [0.3, 0.7], "labels": [0, -1, 1], "allow_low_quality": True}
ROI = {"thresholds": [0.5], "labels": [0, 1], "allow_low_quality": False}
PERSON = [0, 0, 10, 10]


def t(*rows):
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def match(candidates, people, ignore, rules):
    index, label = match_boxes(t(*candidates), t(*people), torch.tensor(ignore, dtype=torch.bool), **rules)
    return index.tolist(), label.tolist()


def test_thresholds_by_hand():
    # IoU 1, 0.5, 0.2, 0
    candidates = [PERSON, [0, 0, 10, 5], [0, 0, 10, 2], [50, 50, 60, 60]]
    assert match(candidates, [PERSON], [False], RPN) == (
        [0, 0, 0, 0],
        [POSITIVE, IGNORED, NEGATIVE, NEGATIVE],
    )
    assert match(candidates, [PERSON], [False], ROI)[1] == [POSITIVE, POSITIVE, NEGATIVE, NEGATIVE]


def test_a_limit_belongs_to_the_upper_interval():
    assert match([[0, 0, 10, 7]], [PERSON], [False], {**RPN, "allow_low_quality": False})[1] == [POSITIVE]


def test_best_candidates_are_positive_however_poor_ties_included():
    candidates = [[0, 0, 10, 2], [0, 8, 10, 10], [0, 0, 10, 1]]  # IoU 0.2, 0.2, 0.1
    assert match(candidates, [PERSON], [False], RPN)[1] == [POSITIVE, POSITIVE, NEGATIVE]


def test_a_person_whom_no_candidate_touches_makes_none_positive():
    outside = [200, 200, 210, 210]
    assert match([PERSON, [30, 0, 40, 10]], [outside], [False], RPN)[1] == [NEGATIVE, NEGATIVE]
    assert match([PERSON, [30, 0, 40, 10]], [outside, PERSON], [False, False], RPN) == (
        [1, 0],
        [POSITIVE, NEGATIVE],
    )


def test_nobody_makes_everything_negative():
    assert match([PERSON], [], [], RPN) == ([0], [NEGATIVE])


def test_index_counts_ignored_people():
    index, label = match([[20, 0, 30, 10]], [PERSON, [20, 0, 30, 10]], [True, False], ROI)
    assert (index, label) == ([1], [POSITIVE])


def test_candidate_on_an_ignored_person_is_dropped():
    # the second is negative: too little of it lies in the ignored box
    candidates = [PERSON, [9, 0, 19, 10]]
    for rules in (RPN, ROI):
        assert match(candidates, [PERSON], [True], rules)[1] == [IGNORED, NEGATIVE]


def test_candidate_half_inside_an_ignored_region_is_no_negative():
    crowd = [0, 0, 100, 100]
    candidates = [[95, 0, 105, 10], [96, 0, 106, 10]]  # 0.5 and 0.4 of each inside; IoU 0.005
    assert match(candidates, [crowd], [True], ROI)[1] == [IGNORED, NEGATIVE]


def test_valid_person_within_an_ignored_region_still_trains():
    crowd = [0, 0, 100, 100]
    index, label = match([PERSON], [crowd, PERSON], [True, False], ROI)
    assert (index, label) == ([1], [POSITIVE])


def test_candidate_that_fits_an_ignored_person_better_is_dropped():
    ignored, valid, candidate = [0, 0, 10, 10], [0, 2, 10, 12], [0, 0.5, 10, 10.5]
    # IoU 9.5/10.5 with the ignored, 8.5/11.5 with the valid one
    assert match([candidate], [ignored, valid], [True, False], ROI)[1] == [IGNORED]
    assert match([candidate], [ignored, valid], [False, False], ROI) == ([0], [POSITIVE])


def test_sample_respects_fraction_and_fills_with_negatives():
    label = torch.tensor([POSITIVE] * 10 + [NEGATIVE] * 100 + [IGNORED] * 50)
    positive, negative = sample_balanced(label, 16, 0.25)
    assert len(positive) == 4
    assert len(negative) == 12
    assert (label[positive] == POSITIVE).all()
    assert (label[negative] == NEGATIVE).all()


def test_sample_of_too_few():
    positive, negative = sample_balanced(torch.tensor([POSITIVE, NEGATIVE, IGNORED]), 16, 0.5)
    assert positive.tolist() == [0]
    assert negative.tolist() == [1]


def test_sample_is_random():
    torch.manual_seed(0)
    label = torch.full((1000,), NEGATIVE)
    assert sample_balanced(label, 10, 0.5)[1].tolist() != sample_balanced(label, 10, 0.5)[1].tolist()
