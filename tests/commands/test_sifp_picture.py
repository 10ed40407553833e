import cv2
import numpy as np
import pytest
from labelled_images import labelled

from fastpose_mtn.commands.sifp_picture import main, sifp_picture
from fastpose_mtn.data.transforms.sifp import SIFP

GREEN, RED = (60, 220, 90), (235, 70, 60)


def test_who_trains_is_green_and_who_does_not_is_red():
    grey = np.full((60, 100, 3), 128, np.uint8)
    sifp = SIFP(short_side=60, max_side=100, factors=(1.0,), valid_range=(16.0, 60.0))
    green = sifp_picture(labelled(grey, [[10, 10, 40, 50]]), sifp, width=800)
    red = sifp_picture(labelled(grey, [[10, 10, 20, 20]]), sifp, width=800)
    assert green.shape[1] == red.shape[1] == 800
    assert (green == GREEN).all(axis=2).any()
    assert not (green == RED).all(axis=2).any()
    assert (red == RED).all(axis=2).any()
    assert not (red == GREEN).all(axis=2).any()


def test_the_command_writes_a_picture(tmp_path, capsys):
    path = tmp_path / "sifp.png"
    main([str(path), "--width", "400"])
    assert cv2.imread(str(path)).shape[1] == 400
    assert capsys.readouterr().out == f"{path}\n"
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path / "sifp.txt")])
    assert stop.value.code == 2
    assert "FILE: expected a name that ends in .jpg or .png, got 'sifp.txt'" in capsys.readouterr().err
