"""Values of configuration keys: what stands for what, from YAML, a command line and Python."""

import numpy as np
import pytest

from fastpose_mtn.config import get_cfg
from fastpose_mtn.config.ranges import EXAMPLES, RANGES

LOST, RATE, STEPS = "TRACKER.MAX_LOST_SECONDS", "SOLVER.BASE_LR", "SOLVER.STEPS"


def at(cfg, key):
    for part in key.split("."):
        cfg = cfg[part]
    return cfg


def from_yaml(key, text, folder):
    *sections, name = key.split(".")
    lines = [f"{'  ' * i}{section}:" for i, section in enumerate(sections)]
    (folder / "a.yaml").write_text("\n".join([*lines, f"{'  ' * len(sections)}{name}: {text}"]) + "\n")
    cfg = get_cfg()
    cfg.merge_from_file(str(folder / "a.yaml"))
    return cfg


def from_command_line(key, text, folder):
    cfg = get_cfg()
    cfg.merge_from_list([key, text])
    return cfg


BOTH = pytest.mark.parametrize("given", [from_yaml, from_command_line])


@BOTH
@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        (LOST, "4", 4.0),
        (LOST, "1e1", 10.0),
        (RATE, "2e-2", 0.02),
        ("SOLVER.EMA", "0", 0.0),
        ("SOLVER.WEIGHT_DECAY_BIAS", "0", 0.0),
        ("SOLVER.MAX_ITER", "5.0", 5),
        ("SOLVER.MAX_ITER", "9e4", 90000),
        ("SEED", "-1", -1),
        (STEPS, "[6, 8]", (6, 8)),
        (STEPS, "(6, 8)", (6, 8)),
        (STEPS, "[6e4, 80000.0]", (60000, 80000)),
        ("INPUT.SIFP.SCALES", "[2, 1.5, 1e-1]", [2, 1.5, 0.1]),
        ("MODEL.ANCHOR_GENERATOR.SIZES", "[[32.0, 8.5], [64]]", [[32, 8.5], [64]]),
        ("MODEL.RPN.IN_FEATURES", "[p2, p3]", ["p2", "p3"]),
        ("DATASETS.TRAIN", "['json://a?images=b']", ("json://a?images=b",)),
        ("TEST.AUG.ENABLED", "true", True),
        ("TEST.AUG.ENABLED", "No", False),
        ("OUTPUT_DIR", "2026", "2026"),
        ("MODEL.WEIGHTS", "'007'", "007"),
        ("MODEL.WEIGHTS", "null", ""),
    ],
)
def test_a_value_becomes_of_the_keys_type(given, key, text, expected, tmp_path):
    if given is from_command_line and text == "null":
        text = "None"
    value = at(given(key, text, tmp_path), key)
    assert value == expected
    assert type(value) is type(expected)
    if isinstance(expected, (list, tuple)):
        assert [type(v) for v in value] == [type(v) for v in expected]


@BOTH
@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("SOLVER.MAX_ITER", "5.5", "SOLVER.MAX_ITER: expected a whole number such as 90000, got 5.5"),
        ("SOLVER.MAX_ITER", "True", "SOLVER.MAX_ITER: expected a whole number such as 90000, got True"),
        (LOST, "soon", f"{LOST}: expected a number such as 2.0, got soon"),
        (LOST, "[4]", rf"{LOST}: expected a number such as 2.0, got \[4\]"),
        (LOST, "None", f"{LOST}: expected a number such as 2.0, got nothing"),
        ("TEST.AUG.ENABLED", "1", "TEST.AUG.ENABLED: expected True or False, got 1"),
        (STEPS, "60000", rf'{STEPS}: expected a list, got 60000; write "\[60000\]"'),
        (STEPS, "[6, x]", rf"{STEPS}: expected a list of numbers such as \(60000, 80000\), got x in it"),
        ("MODEL.RPN.IN_FEATURES", "[2]", "MODEL.RPN.IN_FEATURES: expected a list of names .*, got 2 in it"),
        ("SOLVER", "3", "SOLVER: expected a mapping of keys, got 3"),
    ],
)
def test_another_value_is_refused_by_key(given, key, text, message, tmp_path):
    where = "a.yaml" if given is from_yaml else "command line"
    with pytest.raises(ValueError, match=f"{where}: {message}"):
        given(key, text, tmp_path)


@BOTH
@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("MODEL.TOPDOWN.UPSAMPLER_DIM", "0", "1 or more, got 0"),
        ("MODEL.ROI_HEADS.NMS_THRESH_TEST", "1.5", "0 to 1, got 1.5"),
        ("MODEL.ROI_HEADS.SCORE_THRESH_TEST", "-0.1", "0 to 1, got -0.1"),
        ("MODEL.MSPN.COARSE_WEIGHT", "-1", "0 or more, got -1.0"),
        ("MODEL.POSEDET.OKS_REFINE", "2", "0 to 1, got 2.0"),
        ("MODEL.MDPN.OHKM_FROM_STEP", "-2", "-1 or more, got -2"),
        ("MODEL.RPN.BBOX_REG_WEIGHTS", "[1, 1, 0, 1]", r"4 numbers, each above 0, got \[1, 1, 0, 1\]"),
        ("MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION", "[22]", r"2 numbers, each 1 or more, got \[22\]"),
        ("MODEL.ROI_REID_HEAD.CONV_DIMS", "[8, 0]", r"numbers, each 1 or more, got \[8, 0\]"),
        ("MODEL.ROI_REID_HEAD.CONV_DILATIONS", "[0]", r"numbers, each 1 or more, got \[0\]"),
        ("SOLVER.WEIGHT_DECAY_NORM", "-1", "0 or more, got -1.0"),
        ("TEST.POSE_NMS.ETA", "0", "a number above 0, got 0.0"),
        ("MODEL.TOPDOWN.ENSEMBLE", "[2]", r"a list of names such as \['other.safetensors'\], got 2 in it"),
        ("MODEL.MDPN.VOTE_WEIGHTS", "[1, x]", r"a list of numbers such as \[1.0\], got x in it"),
        ("SOLVER.MAX_ITER", f"1{400 * '0'}", "a whole number such as 90000, got 10000"),
        (RATE, "1e999", "a number such as 0.02, got "),
    ],
)
def test_what_no_number_of_a_key_can_be_is_refused(given, key, text, message, tmp_path):
    with pytest.raises(ValueError, match=f"{key}: expected {message}"):
        given(key, text, tmp_path)


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_numbers_are_finite(number):
    for key, message in ((RATE, "a number such as 0.02"), ("INPUT.SIFP.SCALES", "a list of numbers such as")):
        value = float(number) if key == RATE else [1.0, float(number)]
        with pytest.raises(ValueError, match=f"{key}: expected {message}.*, got {number}"):
            get_cfg().merge_from_other_cfg(mapping(key, value))


def mapping(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def test_ranges_are_of_keys_whose_defaults_are_in_them():
    cfg = get_cfg()
    for key, numbers in RANGES.items():
        value = at(cfg, key)
        numbers.check(key, value)
        lowest = numbers.least if not numbers.above else numbers.least + 1e-9
        assert numbers.has(lowest)
        assert not numbers.has(numbers.least - 1e-9)
        assert numbers.has(numbers.most) or numbers.most == float("inf")
    for key, example in EXAMPLES.items():
        assert at(cfg, key) == type(at(cfg, key))()
        assert type(example) is type(at(cfg, key))


@pytest.mark.parametrize(("key", "message"), [(LOST, "a number such as 2.0, got nothing"),
                                              ("DATASETS.TRAIN", r'a list, got nothing; write "\[\]"')])  # fmt: skip
def test_nothing_on_the_command_line_is_told(key, message):
    with pytest.raises(ValueError, match=f"{key}: expected {message}"):
        get_cfg().merge_from_list([key, ""])


def test_python_values():
    cfg = get_cfg()
    cfg.merge_from_list([LOST, np.float32(4), "SOLVER.MAX_ITER", np.int64(3), "OUTPUT_DIR", "(1)"])
    assert (cfg.TRACKER.MAX_LOST_SECONDS, cfg.SOLVER.MAX_ITER, cfg.OUTPUT_DIR) == (4.0, 3, "(1)")
    assert type(cfg.SOLVER.MAX_ITER) is int
    cfg.TRACKER.MAX_LOST_SECONDS = 3  # an assignment is no reason to refuse fractions later
    cfg.merge_from_list([LOST, "0.5"])
    assert cfg.TRACKER.MAX_LOST_SECONDS == 0.5


def test_what_follows_a_whole_number_may_have_a_fraction(tmp_path):
    """The command line on top of a file that has a whole number for a number."""
    for key in (LOST, "SOLVER.WEIGHT_DECAY_BIAS"):
        cfg = from_yaml(key, "0", tmp_path)
        cfg.merge_from_list([key, "0.25"])
        assert at(cfg, key) == 0.25
    cfg.merge_from_list(["SOLVER.WEIGHT_DECAY_BIAS", "None"])
    assert cfg.SOLVER.WEIGHT_DECAY_BIAS is None


def test_a_merged_configuration_stays_as_it_is():
    other, cfg = get_cfg(), get_cfg()
    other["TRACKER"]["MAX_LOST_SECONDS"] = 4
    cfg.merge_from_other_cfg(other)
    cfg.MODEL.RPN.IOU_THRESHOLDS.append(0.9)
    assert type(other.TRACKER.MAX_LOST_SECONDS) is int
    assert other.MODEL.RPN.IOU_THRESHOLDS == [0.3, 0.7]
    assert type(cfg.TRACKER.MAX_LOST_SECONDS) is float


def test_a_section_without_keys_is_none(tmp_path):
    (tmp_path / "base.yaml").write_text("SOLVER:\n  MAX_ITER: 7\n")
    (tmp_path / "a.yaml").write_text("_BASE_: base.yaml\nSOLVER:\n  # MAX_ITER: 8\nTEST:\n")
    cfg = get_cfg()
    cfg.merge_from_file(str(tmp_path / "a.yaml"))
    assert cfg.SOLVER.MAX_ITER == 7
    assert cfg.TEST == get_cfg().TEST


def test_a_name_below_a_mapping_of_any_names():
    cfg = get_cfg()
    cfg.merge_from_list(["MODEL.TIMM.ARGS.stem_width", "32", "MODEL.TIMM.ARGS.stem_width", "16.5"])
    assert cfg.MODEL.TIMM.ARGS == {"stem_width": 16.5}
    with pytest.raises(ValueError, match=r"command line: unknown configuration key MODEL.TIMM.ARGS.a.b"):
        cfg.merge_from_list(["MODEL.TIMM.ARGS.a.b", "1"])
    with pytest.raises(ValueError, match=r"expected a value such as 90000, got a mapping"):
        cfg.merge_from_other_cfg({"SOLVER": {"MAX_ITER": {}}})
