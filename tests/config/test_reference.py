"""docs/configuration.md says what every key means, and is up to date."""

import operator
from pathlib import Path

import pytest

from fastpose_mtn.checkpoints.loading import PACKAGED
from fastpose_mtn.commands.keys import main
from fastpose_mtn.config import get_cfg
from fastpose_mtn.config.reference import comments_by_key, markdown, reference

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.fixture(scope="module")
def keys():
    return reference(get_cfg())


def test_every_key_has_a_meaning(keys):
    assert {key.name for key in keys} == set(get_cfg().keys_with_dots())
    assert [key.name for key in keys if key.default is not None and not key.meaning] == []


def test_all_weights_of_the_package_are_named(keys):
    meaning = next(key.meaning for key in keys if key.name == "MODEL.WEIGHTS")
    assert [name for name in PACKAGED if name != "demo" and name not in meaning] == []


def test_a_default_can_be_given_as_it_is_written(keys):
    for key in keys:
        if key.default in (None, '""', "None"):
            continue
        cfg = get_cfg()
        before = operator.attrgetter(key.name)(cfg)
        cfg.merge_from_list([key.name, key.default])
        given = operator.attrgetter(key.name)(cfg)
        assert given == (pytest.approx(before, rel=1e-5) if isinstance(before, float) else before), key.name


def test_the_page_is_what_the_command_prints(keys):
    assert PAGE.read_text(encoding="utf-8") == markdown(keys), (
        "fastpose keys --markdown > docs/configuration.md"
    )


def test_the_page_has_a_row_for_every_key(keys):
    section, rows = "", set()
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith("| `"):
            name = line.split("`")[1]
            rows.add(name if section == "At the top" else f"{section}.{name}")
    assert rows == {key.name for key in keys if key.default is not None}


def test_comments_above_and_beside():
    source = (
        "# not this one\n\n"
        "def f(c):\n"
        "    # above,\n"
        "    # in two lines;\n"
        "    c.A = Node()  # beside\n"
        "    c.A.B = (\n"
        "        '# none'  # within\n"
        "    )\n"
        "    c.A.C, x = 1, 2  # of no key\n"
        "    c.A.B = 3  # later\n"
        "    c.A.D = 4\n"
    )
    assert comments_by_key(source) == {"A": "above, in two lines; beside", "A.B": "within", "A.D": ""}


def test_the_command_lists_keys_by_words(capsys):
    main(["tracker.", "LOST", "video"])
    assert capsys.readouterr().out == (
        "TRACKER.MAX_LOST_SECONDS 2.0  # of video, for which a lost person can be found again\n"
    )
    main(["--markdown"])
    assert capsys.readouterr().out == PAGE.read_text(encoding="utf-8")


def test_a_word_that_no_key_has(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["TRACKER.MIN_SCOER"])
    assert stop.value.code == 2
    assert (
        "no configuration key has TRACKER.MIN_SCOER; did you mean TRACKER.MIN_SCORE?"
        in capsys.readouterr().err
    )
