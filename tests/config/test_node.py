import pytest

from fastpose_mtn.config import get_cfg
from fastpose_mtn.modeling.backbone import build_backbone


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


def test_a_mapping_of_any_names_replaces_the_bases(tmp_path):
    """Another backbone on a configuration whose backbone has arguments of its own."""
    write(tmp_path / "base.yaml", "MODEL: {TIMM: {NAME: resnet18, ARGS: {stem_type: deep, stem_width: 16}}}")
    middle = write(tmp_path / "middle.yaml", "_BASE_: base.yaml\nMODEL: {TIMM: {NAME: resnet50}}")
    empty = write(tmp_path / "empty.yaml", "_BASE_: middle.yaml\nMODEL: {TIMM: {ARGS: {}}}")
    other = write(
        tmp_path / "other.yaml", "_BASE_: [middle.yaml]\nMODEL: {TIMM: {ARGS: {drop_path_rate: 0.1}}}"
    )
    cfg = get_cfg()
    for path, expected in (
        (middle, {"stem_type": "deep", "stem_width": 16}),
        (other, {"drop_path_rate": 0.1}),  # of the file merged before nothing is left, either
        (empty, {}),
        (middle, {"stem_type": "deep", "stem_width": 16}),
    ):
        cfg.merge_from_file(path)
        assert expected == cfg.MODEL.TIMM.ARGS
        assert cfg.MODEL.TIMM.NAME == "resnet50"
    cfg.merge_from_other_cfg(get_cfg())
    assert cfg.MODEL.TIMM.ARGS == {}
    build_backbone(cfg)


def test_a_mapping_of_any_names_on_the_command_line():
    cfg = get_cfg()
    key = "MODEL.TIMM.ARGS"
    for text, expected in (
        ("{channels: [8, 8, 16, 16]}", {"channels": [8, 8, 16, 16]}),
        ("{'stem_type': 'deep'}", {"stem_type": "deep"}),
        ({"stem_width": 16}, {"stem_width": 16}),
        ("{}", {}),
    ):
        cfg.merge_from_list([key, text])
        assert expected == cfg.MODEL.TIMM.ARGS
    cfg.merge_from_list([key, "{stem_width: 16}", f"{key}.stem_width", "32"])
    assert cfg.MODEL.TIMM.ARGS == {"stem_width": 32}
    for wrong in ("deep", "[1]", "{", "3"):
        with pytest.raises(
            ValueError, match=r'command line: MODEL.TIMM.ARGS: expected a mapping such as "{name: v'
        ):
            cfg.merge_from_list([key, wrong])
    with pytest.raises(
        ValueError, match=r"MODEL.TIMM.ARGS: stem_width stands there already .* got \{stem_width: 8,"
    ):
        cfg.merge_from_list([key, "{stem_width: 8, stem_width: 9}"])


def test_files_that_are_their_own_base(tmp_path):
    write(tmp_path / "a.yaml", "_BASE_: b.yaml")
    b = write(tmp_path / "b.yaml", "_BASE_: a.yaml")
    with pytest.raises(ValueError, match=r"a.yaml: _BASE_: .*b.yaml is based on this file itself"):
        get_cfg().merge_from_file(b)
