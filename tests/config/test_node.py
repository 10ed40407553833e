import pytest

from fastpose_mtn.config import get_cfg


def write(path, text):
    path.write_text(text)
    return str(path)


def test_each_call_gives_a_fresh_copy():
    first = get_cfg()
    first.SOLVER.MAX_ITER = 1
    first.MODEL.RPN.IOU_THRESHOLDS.append(0.9)
    assert get_cfg().SOLVER.MAX_ITER == 90000
    assert get_cfg().MODEL.RPN.IOU_THRESHOLDS == [0.3, 0.7]


def test_a_file_overrides_its_base_and_the_command_line_overrides_both(tmp_path):
    write(tmp_path / "base.yaml", "SOLVER:\n  MAX_ITER: 10\n  BASE_LR: 0.5\n")
    child = write(tmp_path / "child.yaml", "_BASE_: base.yaml\nSOLVER:\n  MAX_ITER: 20\n")
    cfg = get_cfg()
    cfg.merge_from_file(child)
    assert (cfg.SOLVER.MAX_ITER, cfg.SOLVER.BASE_LR) == (20, 0.5)
    cfg.merge_from_list(["SOLVER.MAX_ITER", "30", "MODEL.TIMM.NAME", "resnet18"])
    assert (cfg.SOLVER.MAX_ITER, cfg.SOLVER.BASE_LR, cfg.MODEL.TIMM.NAME) == (30, 0.5, "resnet18")


def test_an_unknown_key_names_the_file_and_the_nearest_key(tmp_path):
    path = write(tmp_path / "wrong.yaml", "MODEL:\n  RPN:\n    NMS_TRESH: 0.5\n")
    with pytest.raises(
        ValueError, match=r"wrong\.yaml: unknown configuration key MODEL\.RPN\.NMS_TRESH"
    ) as error:
        get_cfg().merge_from_file(path)
    assert "did you mean MODEL.RPN.NMS_THRESH?" in str(error.value)


def test_an_unknown_key_on_the_command_line():
    with pytest.raises(ValueError, match="did you mean SOLVER.MAX_ITER"):
        get_cfg().merge_from_list(["SOLVER.MAX_ITR", "3"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SOLVER: [1", "not a readable YAML"),
        ("- 1\n- 2\n", "expected a mapping"),
        ("SOLVER:\n  MAX_ITER: many\n", "SOLVER.MAX_ITER"),
        ("_BASE_: absent.yaml\n", "absent.yaml"),
        ("SOLVER: 3\n", "SOLVER"),
        ("", "expected a mapping"),
        ("X: !!python/object/apply:os.system ['true']\n", "not a readable YAML"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path, text, expected):
    path = write(tmp_path / "bad.yaml", text)
    with pytest.raises(ValueError, match="bad.yaml") as error:
        get_cfg().merge_from_file(path)
    assert expected in str(error.value)


def test_a_missing_file():
    with pytest.raises(ValueError, match="configuration file not found: nowhere.yaml"):
        get_cfg().merge_from_file("nowhere.yaml")


def test_a_lone_word_for_a_list_says_how_a_list_is_written():
    with pytest.raises(
        ValueError, match=r"DATASETS.TRAIN: expected a list, got json://a; write \"\['json://a'\]\""
    ):
        get_cfg().merge_from_list(["DATASETS.TRAIN", "json://a"])


def test_an_override_without_a_value():
    with pytest.raises(ValueError, match="'SOLVER.BASE_LR' has no value"):
        get_cfg().merge_from_list(["SOLVER.MAX_ITER", "3", "SOLVER.BASE_LR"])
