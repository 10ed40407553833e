import json

import numpy as np
import pytest
from convert_cuhk_sysu import convert_cuhk_sysu, main
from matlab_files import NOTHING, cells, draw, structs
from scipy.io import savemat

from fastpose_mtn.data.catalog import build_dataset


def boxes(*many):
    return structs(*({"idlocate": np.array([box], np.uint16), "ishard": np.uint8(0)} for box in many))


def scene(name, box):
    return {"imname": name, "idlocate": np.array([box], np.int32) if box else NOTHING, "ishard": np.uint8(0)}


def write(root, images, pool, train, test):
    split = root / "annotation" / "test" / "train_test"
    split.mkdir(parents=True)
    rows = [{"imname": name, "nAppear": len(many), "box": boxes(*many)} for name, *many in images]
    savemat(root / "annotation" / "Images.mat", {"Img": structs(*rows)})
    savemat(root / "annotation" / "pool.mat", {"pool": cells(*pool)})
    people = [
        structs({"idname": name, "nAppear": len(seen), "scene": structs(*(scene(*s) for s in seen))})
        for name, *seen in train
    ]
    savemat(split / "Train.mat", {"Train": cells(*people)})
    rows = [
        {
            "Query": structs({**scene(*query), "idname": name}),
            "Gallery": structs(*(scene(*s) for s in gallery)),
        }
        for name, query, *gallery in test
    ]
    savemat(split / "TestG50.mat", {"TestG50": structs(*rows)})
    draw(root / "Image" / "SSM", *(image[0] for image in images))


@pytest.fixture
def cuhk(tmp_path):
    root = tmp_path / "cuhk_sysu"
    write(
        root,
        images=[
            ("s1.jpg", [10, 20, 30, 60], [100, 20, 30, 60]),
            ("s2.jpg", [5, 6, 40, 80], [0, 0, 0, 10]),
            ("s3.jpg", [1, 2, 30, 60]),
            ("s4.jpg", [7, 8, 30, 60]),
        ],
        pool=["s3.jpg", "s4.jpg"],
        train=[
            ("p7", ("s1.jpg", [10, 20, 30, 60]), ("s2.jpg", [5, 6, 40, 79])),
            ("p9", ("s2.jpg", [200, 6, 40, 80])),
        ],
        test=[("p2", ("s3.jpg", [1, 2, 30, 60]), ("s4.jpg", [7, 8, 30, 60]), ("s1.jpg", None))],
    )
    return root


def people(path):
    content = json.loads(path.read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    return sorted((names[a["image_id"]], a["bbox"], a["person_id"]) for a in content["annotations"])


def test_who_is_written_where(cuhk):
    (train, train_summary), (test, test_summary) = convert_cuhk_sysu(cuhk)
    assert people(train) == [
        ("s1.jpg", [10, 20, 30, 60], 1),
        ("s1.jpg", [100, 20, 30, 60], -1),  # nobody knows who this is
        ("s2.jpg", [5, 6, 40, 80], 1),  # a pixel lower than Train.mat says
        ("s2.jpg", [200, 6, 40, 80], 2),  # in Train.mat alone
    ]
    assert people(test) == [("s3.jpg", [1, 2, 30, 60], 1), ("s4.jpg", [7, 8, 30, 60], 1)]
    assert "2 images, 4 people, 0 ignored boxes, 2 identities" in train_summary
    assert "1 sightings whose box Images.mat lacks, added, first" in train_summary
    assert "1 boxes without area, left out, first s2.jpg" in train_summary
    assert test_summary == "2 images, 2 people, 0 ignored boxes, 1 identities"


def test_the_training_reads_it(cuhk, monkeypatch):
    monkeypatch.setenv("FASTPOSE_DATASETS", str(cuhk.parent))
    main([])
    dataset = build_dataset("cuhk_sysu_train", training=True, filter_empty=True)
    assert dataset.tasks == {"boxes", "identities"}
    assert dataset.num_identities == 2
    assert dataset[0].targets.identities.tolist() == [0, -1]
    assert dataset[0].targets.ignore.tolist() == [False, False]


def test_missing_images(cuhk, capsys):
    (cuhk / "Image" / "SSM" / "s4.jpg").write_bytes(b"")
    with pytest.raises(SystemExit):
        main(["--root", str(cuhk)])
    assert "s4.jpg: expected an image" in capsys.readouterr().err
    main(["--root", str(cuhk), "--skip-missing"])
    assert "1 images that cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        ("pool.mat", {"pool": 3}, "expected pool to be a list of image names, got an array"),
        ("pool.mat", {"pool": cells("s9.jpg")}, "1 images that Images.mat lacks, first s9.jpg"),
        ("Images.mat", {"Img": structs({"imname": "a"})}, r"Img\(1\): expected imname and box"),
        (
            "test/train_test/Train.mat",
            {"Train": cells(structs({"idname": "p"}))},
            r"Train\(1\): expected idname and scene",
        ),
        (
            "test/train_test/TestG50.mat",
            {"TestG50": structs({"Query": NOTHING})},
            r"TestG50\(1\): expected Query and",
        ),
        (
            "test/train_test/TestG50.mat",
            {"TestG100": 1},
            "expected a MATLAB file with the variable TestG50, got TestG100",
        ),
    ],
)
def test_files_that_are_something_else(cuhk, file, content, text):
    savemat(cuhk / "annotation" / file, content)
    with pytest.raises(ValueError, match=text):
        convert_cuhk_sysu(cuhk)
