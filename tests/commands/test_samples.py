import cv2
import pytest

from fastpose_mtn.commands.samples import main, training_samples
from fastpose_mtn.config import get_cfg

SYNTHETIC = "synthetic://tiny?seeds=0-1&frames=4&size=128x96&people=2"
KEYS = ["INPUT.MIN_SIZE_TRAIN", "(96,)", "INPUT.AUG.ROTATION", "20.0", "INPUT.AUG.OCCLUSION", "1.0"]


def test_a_sheet_of_training_images(tmp_path, capsys):
    path = tmp_path / "new" / "sheet.png"
    main(
        [
            "--output",
            str(path),
            "--samples",
            "3",
            "--columns",
            "2",
            "--width",
            "128",
            "DATASETS.TRAIN",
            f"('{SYNTHETIC}',)",
            *KEYS,
        ]
    )
    assert cv2.imread(str(path)).shape == (192, 256, 3)
    assert capsys.readouterr().out.startswith(f"{path}: 3 samples, ")


def test_samples_are_those_of_the_run():
    cfg = get_cfg()
    cfg.merge_from_list(["DATASETS.TRAIN", f"('{SYNTHETIC}',)", *KEYS])
    first, again, other = (training_samples(cfg, 4, seed) for seed in (0, 0, 1))
    assert [s.file_name for s in first] == [s.file_name for s in again]
    assert all((a.image == b.image).all() for a, b in zip(first, again, strict=True))
    assert any((a.image != b.image).any() for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--output", "a.txt"], "--output: expected a name that ends in .jpg or .png, got 'a.txt'"),
        (["--output", "a.png"], "DATASETS.TRAIN names no dataset to show"),
        (["--output", "a.png", "--columns", "0"], "expected numbers above 0"),
    ],
)
def test_what_cannot_be_shown(arguments, text, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert text in capsys.readouterr().err
