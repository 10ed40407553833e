"""State dicts with the names of AlphaPose's published networks, made up."""

import numpy as np
import pytest
import torch

from fastpose_mtn.build import build_network, build_pose_tracking
from fastpose_mtn.checkpoints.loading import inference_config, load_weights
from fastpose_mtn.config import get_cfg
from fastpose_mtn.ops.crop_coordinates import crop_coordinates
from fastpose_mtn.ops.person_crops import crop_regions

DEPTHS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}


def norm(name, channels):
    return {
        **{f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")},
        f"{name}.num_batches_tracked": (),
    }


def released(
    joints, *, depth="resnet50", channels=128, deconv=False, deformable=False, unshuffle=False, deep=False
):
    """Names and shapes of a network as it is published."""
    shapes = {"preact.conv1.weight": (64, 3, 7, 7), **norm("preact.bn1", 64)}
    before = 64
    for stage, blocks in enumerate(DEPTHS[depth], start=1):
        width = 32 * 2**stage
        for block in range(blocks):
            name = f"preact.layer{stage}.{block}"
            shapes |= {
                f"{name}.conv1.weight": (width, before, 1, 1), **norm(f"{name}.bn1", width),
                f"{name}.conv2.weight": (width, width, 3, 3), **norm(f"{name}.bn2", width),
                f"{name}.conv3.weight": (4 * width, width, 1, 1), **norm(f"{name}.bn3", 4 * width),
            }  # fmt: skip
            if block == 0:
                shapes |= {f"{name}.downsample.0.weight": (4 * width, before, 1, 1)}
                shapes |= norm(f"{name}.downsample.1", 4 * width)
                for layer in () if deconv else (0, 2):
                    shapes[f"{name}.se.fc.{layer}.weight"] = (4 * width, 4 * width)
                    shapes[f"{name}.se.fc.{layer}.bias"] = (4 * width,)
            if deformable and stage > 1:
                shapes |= {
                    f"{name}.conv2_offset.weight": (18, width, 3, 3),
                    f"{name}.conv2_offset.bias": (18,),
                }
            if unshuffle and stage > 1 and block == 0:
                del shapes[f"{name}.conv2.weight"]
                shapes[f"{name}.conv2.1.weight"] = (width, 4 * width, 3, 3)
            before = 4 * width
    if deep:
        for stage, (widths, out) in enumerate((([512] * 4, 1024), ([256] * 2, 512), ([128], 256)), start=1):
            for number, (into, after) in enumerate(zip(widths, [*widths[1:], out], strict=True)):
                name = f"duc{stage}.{3 * number + 1}"
                shapes |= {
                    f"{name}.weight": (after, into, 3, 3),
                    **norm(f"duc{stage}.{3 * number + 2}", after),
                }
        return shapes | {"conv_out.weight": (joints, 256, 3, 3), "conv_out.bias": (joints,)}
    if deconv:
        for index, inputs in enumerate((2048, 256, 256)):
            shapes[f"deconv_layers.{3 * index}.weight"] = (inputs, 256, 4, 4)
            shapes |= norm(f"deconv_layers.{3 * index + 1}", 256)
        return shapes | {"final_layer.weight": (joints, 256, 1, 1), "final_layer.bias": (joints,)}
    shapes |= {"duc1.conv.weight": (1024, 512, 3, 3), **norm("duc1.bn", 1024)}
    shapes |= {"duc2.conv.weight": (4 * channels, 256, 3, 3), **norm("duc2.bn", 4 * channels)}
    return shapes | {"conv_out.weight": (joints, channels, 3, 3), "conv_out.bias": (joints,)}


def write(path, shapes, prefix=""):
    generator = torch.Generator().manual_seed(0)
    torch.save(
        {prefix + name: 0.02 * torch.rand(shape, generator=generator) for name, shape in shapes.items()}, path
    )
    return path


@pytest.mark.parametrize(
    ("given", "count", "expected"),
    [
        ({"joints": 17}, 348, ("COCO17", "resnet50", "plain", "heatmap", "duc", 128)),
        ({"joints": 136, "channels": 256}, 348, ("HALPE136", "resnet50", "plain", "integral", "duc", 256)),
        ({"joints": 133}, 348, ("COCO_WHOLEBODY133", "resnet50", "plain", "integral", "duc", 128)),
        ({"joints": 26, "depth": "resnet152"}, 960, ("HALPE26", "resnet152", "plain", "heatmap", "duc", 128)),
        ({"joints": 17, "deconv": True}, 338, ("COCO17", "resnet50", "plain", "heatmap", "deconv", 256)),
        (
            {"joints": 133, "deformable": True},
            374,
            ("COCO_WHOLEBODY133", "resnet50", "deformable", "integral", "duc", 128),
        ),
        (
            {"joints": 17, "unshuffle": True, "deep": True},
            378,
            ("COCO17", "resnet50", "unshuffle", "heatmap", "duc_deep", 256),
        ),
    ],
)
def test_everything_of_a_published_network_is_loaded_and_its_shapes_tell_the_rest(
    given, count, expected, tmp_path
):
    path = write(tmp_path / "w.pth", released(**given), "module." if given["joints"] == 17 else "")
    cfg = inference_config(str(path))
    model = cfg.MODEL
    assert expected == (
        model.SKELETON, model.TIMM.NAME, model.TOPDOWN.CONVOLUTIONS, model.TOPDOWN.LOSS, model.TOPDOWN.UPSAMPLER,
        model.TOPDOWN.CONV_DIM,
    )  # fmt: skip
    assert (model.TOPDOWN.COORDINATES, model.PIXEL_STD) == ("index", [255.0] * 3)
    report = load_weights(build_network(cfg), path)
    assert len(report.loaded) == count
    assert not report.missing
    assert not report.unexpected


def test_networks_that_are_not_known_are_named(tmp_path):
    with pytest.raises(
        ValueError, match="not known here: 5 joints, stages of .3, 4, 6, 3. blocks; known: 17, 26"
    ):
        inference_config(str(write(tmp_path / "w.pth", released(5))))


def test_a_published_network_locates_people(tmp_path):
    path = write(tmp_path / "w.pth", released(17))
    built = build_pose_tracking(
        weights=str(path), device="cpu", precision="fp32", options=["MODEL.TOPDOWN.DETECTOR.WEIGHTS", ""]
    )
    frame = np.random.default_rng(0).integers(0, 256, (80, 60, 3), dtype=np.uint8)
    found = built.estimator.estimate_given(frame, np.array([[10, 5, 50, 70]]), np.ones(1))
    assert found.keypoints.shape == (1, 17, 3)


def test_index_coordinates_are_the_released_ones():
    """A peak in cell (20, 30), read as the released code reads it: index of the crop's region plus cells, no halves."""
    cfg = get_cfg()
    cfg.merge_from_file("alphapose-s")
    cfg.merge_from_list(
        ["MODEL.WEIGHTS", "", "MODEL.TOPDOWN.COORDINATES", "index", "MODEL.TOPDOWN.LOSS", "heatmap",
         "MODEL.TOPDOWN.VISIBILITY_LOSS_WEIGHT", "0.0"]
    )  # fmt: skip
    network = build_network(cfg)
    maps = torch.zeros(1, 19, 64, 48)
    maps[..., 30, 20] = 1.0
    shares = network.joints(maps, torch.ones(1, 2))[0, 0, :2].numpy()
    box = np.array([100.0, 50.0, 161.0, 251.0])  # pixels 100 to 160 and 50 to 250
    centre, size = np.array([130.0, 150.0]), np.array([187.5, 250.0])  # of index boxes, as in the golden
    expected = centre - size / 2 + np.array([20, 30]) * size / (48, 64) + 0.5
    (region,) = crop_regions(box[None], (256, 192), 1.25, coordinates=crop_coordinates("index"))
    assert region[:2] + shares * (region[2:] - region[:2]) == pytest.approx(expected, abs=1e-3)
    mirrored = torch.zeros(1, 19, 64, 48)
    mirrored[..., 30, 28] = 1.0  # index 80 of 192 is 111 in the mirror image, cell 27.75
    both = network.joints(maps, torch.ones(1, 2), mirrored)[0, 0, :2].numpy()
    assert both == pytest.approx(shares, abs=1e-6)
