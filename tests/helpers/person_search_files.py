"""The files of CUHK-SYSU's and PRW's search protocols, of a few images."""

import numpy as np
from scipy.io import savemat


def struct(**fields):
    """A 1 x 1 MATLAB structure."""
    out = np.zeros((1, 1), dtype=[(name, object) for name in fields])
    for name, value in fields.items():
        out[0, 0][name] = value
    return out


def gallery(*rows):
    """Rows of image name and x, y, w, h or nothing, as CUHK-SYSU's Gallery."""
    out = np.zeros((1, len(rows)), dtype=[("imname", object), ("idlocate", object), ("ishard", object)])
    for i, (name, box) in enumerate(rows):
        out[0, i]["imname"] = name
        out[0, i]["idlocate"] = np.array([box], np.int32) if box else np.zeros((1, 0))
        out[0, i]["ishard"] = 0
    return out


def write_cuhk_sysu(root):
    folder = root / "annotation" / "test" / "train_test"
    folder.mkdir(parents=True)
    records = [
        ("s1.jpg", [10, 20, 30, 60], gallery(("s2.jpg", [5, 6, 40, 80]), ("s3.jpg", None), ("s2.jpg", None))),
        ("s3.jpg", [1, 2, 30, 60], gallery(("s4.jpg", [7, 8, 30, 60]), ("s2.jpg", None))),
    ]
    for size in (50, 100):
        protocol = np.zeros((1, len(records)), dtype=[("Query", object), ("Gallery", object)])
        for i, (name, box, searched) in enumerate(records):
            protocol[0, i]["Query"] = struct(
                imname=name, idlocate=np.array([box], np.int32), idname=f"p{i}", ishard=0
            )
            protocol[0, i]["Gallery"] = searched
        savemat(folder / f"TestG{size}.mat", {f"TestG{size}": protocol})
    pool = np.array([[f"s{i}.jpg"] for i in range(1, 6)], dtype=object)
    savemat(root / "annotation" / "pool.mat", {"pool": pool})
    return root


def write_prw(root):
    (root / "annotations").mkdir()
    tables = {
        "c1s1_000001": [[7, 10.6, -3, 30, 60], [-2, 200, 20, 30, 60]],
        "c1s1_000002": [[7, 12, 5, 30, 60]],
        "c2s1_000001": [[7, 50, 50, 20.5, 40], [8, 90, 50, 20, 40]],
        "c2s1_000002": [[-2, 90, 50, 20, 40]],
    }
    for key, (frame, rows) in zip(
        ("box_new", "anno_file", "anno_previous", "box_new"), tables.items(), strict=True
    ):
        savemat(root / "annotations" / f"{frame}.jpg.mat", {key: np.array(rows, float)})
    frames = np.array([[frame] for frame in tables], dtype=object)
    savemat(root / "frame_test.mat", {"img_index_test": frames})
    lines = ["7 10.6 -3 30 60 c1s1_000001", "8 90 50 20 40 c2s1_000001"]
    (root / "query_info.txt").write_bytes(
        "\r\n".join([*lines, ""]).encode("utf-8-sig")
    )  # as Windows' editors
    return root
