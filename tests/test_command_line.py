"""Bad arguments are told in one line that names the right one."""

from pathlib import Path

import pytest

from fastpose_mtn.command_line import ELSEWHERE, ArgumentParser
from fastpose_mtn.commands import track
from fastpose_mtn.config import get_cfg
from fastpose_mtn.errors import InputError, did_you_mean_file, nearest
from fastpose_mtn.version import __version__

FLAGS = ("--input", "--output", "--weights", "--save-detections", "--no-video")


def parser(*, overrides=True):
    own = ArgumentParser("fastpose try", "Tries.", examples=["fastpose try a    says a", "fastpose try b"])
    for flag in FLAGS[:3]:
        own.add_argument(flag)
    for flag in FLAGS[3:]:
        own.add_argument(flag, action="store_true")
    if overrides:
        own.add_argument("sources", nargs="*", metavar="SOURCE")
        own.add_argument("options", nargs="*", metavar="KEY VALUE")
    return own


def refusal(*arguments, **kind):
    with pytest.raises(InputError) as error:
        parser(**kind).parse_args(arguments)
    return str(error.value)


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--video", "; here that is --input; fastpose try --help"),
        ("--indir=clips", "; here that is --input; fastpose try --help"),
        ("--outdir", "; here that is --output; fastpose try --help"),
        ("--checkpoint", "; here that is --weights; fastpose try --help"),
        ("--conf_thres", "; here that is TRACKER.MIN_SCORE VALUE, at the end; fastpose try --help"),
        ("--opts", "; here that is KEY VALUE, at the end;"),
        ("--save_detections", "; did you mean --save-detections? fastpose try --help"),
        ("--weigths", "; did you mean --weights? fastpose try --help"),
        ("--vidoe", "; did you mean --input? fastpose try --help"),
        ("--xyzzy", "unrecognized arguments: --xyzzy; fastpose try --help lists the arguments"),
    ],
)
def test_an_unknown_flag_gets_the_right_one_named(flag, told):
    assert told in refusal(flag)


def test_what_a_command_does_not_have_is_not_named():
    assert "TRACKER" not in refusal("--conf-thres", "1", overrides=False)
    assert refusal("--show") == "unrecognized arguments: --show; fastpose try --help lists the arguments"


def test_what_other_programs_call_it_leads_to_keys_that_exist():
    keys = get_cfg().keys_with_dots()
    for ours in ELSEWHERE.values():
        for name in ours:
            assert name.startswith("--") or name == "KEY VALUE" or name in keys, name


def test_words_and_flags_in_any_order():
    args = parser().parse_args(["a.mp4", "--no-video", "b.mp4", "--output", "out", "-1", "SEED", "-2"])
    assert (args.sources, args.no_video, args.output) == (["a.mp4", "b.mp4", "-1", "SEED", "-2"], True, "out")


def test_a_missing_or_malformed_value():
    assert (
        refusal("--output")
        == "argument --output: expected one argument; fastpose try --help lists the arguments"
    )


@pytest.mark.parametrize("words", [("--output", ""), ("--output=",)])
def test_an_empty_value_is_a_variable_that_is_not_set(words):
    """It would be the working directory."""
    assert refusal(*words) == (
        "--output: expected a value, got an empty one, as of a variable that is not set; fastpose try --help lists the arguments"
    )


def test_a_list_may_be_of_nothing():
    assert track.parse(["--formats", ""]).formats == track.parse(["--formats="]).formats == ""


def test_the_help_page_ends_with_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text.endswith("examples:\n  fastpose try a    says a\n  fastpose try b\n")


def test_every_command_tells_the_version(capsys):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"fastpose {__version__}\n"


def test_the_nearest_name_whatever_its_case():
    assert nearest("tracker.min_scor", ["TRACKER.MIN_SCORE", "TRACKER.NAME"]) == "TRACKER.MIN_SCORE"
    assert nearest("entirely other", ["TRACKER.MIN_SCORE"]) is None


def test_the_nearest_file(tmp_path):
    for name in ("clip_1.mp4", "clip.json"):
        (tmp_path / name).touch()
    assert did_you_mean_file(tmp_path / "clip1.mp4") == f"; did you mean {tmp_path / 'clip_1.mp4'}?"
    assert did_you_mean_file(tmp_path / "clip.jso", (".mp4",)) == ""
    assert did_you_mean_file(tmp_path / "peple", (), ["people"]) == "; did you mean people?"
    assert did_you_mean_file(Path("/nowhere/at/all.mp4")) == ""


def test_the_users_folder_stands_for_a_tilde_that_the_shell_left(monkeypatch, tmp_path):
    """Bash leaves it behind ``=``, and a folder of that name would be made."""
    monkeypatch.setenv("HOME", str(tmp_path))
    parser = ArgumentParser("fastpose test")
    parser.add_argument("--output")
    parser.add_argument("sources", nargs="*")
    args = parser.parse_args(["--output=~/results", "~/walk.mp4", "~", "a~b", "--", "-~"])
    assert (args.output, args.sources) == (
        f"{tmp_path}/results",
        [f"{tmp_path}/walk.mp4", str(tmp_path), "a~b", "-~"],
    )
