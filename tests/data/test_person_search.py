"""Who is searched for where in CUHK-SYSU and PRW."""

import numpy as np
import pytest
from person_search_files import write_cuhk_sysu, write_prw
from scipy.io import savemat

from fastpose_mtn.data.person_search import cuhk_sysu_queries, prw_queries


@pytest.fixture
def cuhk(tmp_path):
    return write_cuhk_sysu(tmp_path)


@pytest.fixture
def prw(tmp_path):
    return write_prw(tmp_path)


def test_cuhk_sysu_queries(cuhk):
    first, second = cuhk_sysu_queries(cuhk, 100)
    assert first.image_id == "s1.jpg"
    assert first.box.tolist() == [10, 20, 40, 80]
    assert first.gallery == ("s2.jpg", "s3.jpg")  # named twice, searched once
    assert {k: v.tolist() for k, v in first.matches.items()} == {"s2.jpg": [5, 6, 45, 86]}
    assert second.gallery == ("s4.jpg", "s2.jpg")
    everything = cuhk_sysu_queries(cuhk, None)
    assert everything[0].gallery == ("s2.jpg", "s3.jpg", "s4.jpg", "s5.jpg")  # all but its own
    assert everything[1].gallery == ("s4.jpg", "s2.jpg", "s1.jpg", "s5.jpg")


def test_cuhk_sysu_errors(cuhk):
    with pytest.raises(
        ValueError, match="gallery_size: expected one of 50, 100, 500, 1000, 2000, 4000 or None"
    ):
        cuhk_sysu_queries(cuhk, 60)
    with pytest.raises(ValueError, match=r"TestG500\.mat: no such file"):
        cuhk_sysu_queries(cuhk, 500)
    path = cuhk / "annotation" / "test" / "train_test" / "TestG50.mat"
    savemat(path, {"TestG50": np.zeros((1, 2), dtype=[("Query", object)])})
    with pytest.raises(ValueError, match=r"TestG50\.mat: TestG50\[0\]: expected Query and Gallery"):
        cuhk_sysu_queries(cuhk, 50)
    savemat(path, {"other": 1})
    with pytest.raises(ValueError, match=r"TestG50\.mat: expected a MATLAB file with the variable TestG50"):
        cuhk_sysu_queries(cuhk, 50)
    path.write_bytes(b"not MATLAB at all" * 20)
    with pytest.raises(ValueError, match=r"TestG50\.mat: not a MATLAB file"):
        cuhk_sysu_queries(cuhk, 50)


def test_prw_queries(prw):
    first, second = prw_queries(prw)
    assert first.image_id == "c1s1_000001.jpg"
    assert first.box.tolist() == [10, 0, 40, 57]
    assert first.gallery == ("c1s1_000002.jpg", "c2s1_000001.jpg", "c2s1_000002.jpg")
    assert {k: v.tolist() for k, v in first.matches.items()} == {
        "c1s1_000002.jpg": [12, 5, 42, 65],
        "c2s1_000001.jpg": [50, 50, 70, 90],  # 50 + 20.5, cut to a whole number
    }
    assert second.matches == {}
    across = prw_queries(prw, across_cameras=True)
    assert across[0].gallery == ("c2s1_000001.jpg", "c2s1_000002.jpg")
    assert set(across[0].matches) == {"c2s1_000001.jpg"}
    assert across[1].gallery == ("c1s1_000001.jpg", "c1s1_000002.jpg")


def test_prw_errors(prw):
    savemat(prw / "annotations" / "c1s1_000002.jpg.mat", {"box_new": np.zeros((2, 4))})
    with pytest.raises(ValueError, match=r"c1s1_000002\.jpg\.mat: expected a table box_new"):
        prw_queries(prw)
    savemat(prw / "annotations" / "c1s1_000002.jpg.mat", {"box_new": np.zeros((2, 5))})
    (prw / "query_info.txt").write_text("7 10 3 30 60 c1s1_000001\n8 nonsense\n")
    with pytest.raises(
        ValueError, match=r"query_info\.txt: line 2: expected identity, x, y, width, height and frame"
    ):
        prw_queries(prw)
    (prw / "annotations" / "c1s1_000002.jpg.mat").unlink()
    with pytest.raises(ValueError, match=r"c1s1_000002\.jpg\.mat: no such file"):
        prw_queries(prw)
