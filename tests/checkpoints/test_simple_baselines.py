"""State dicts with the names of Simple Baselines' published networks, made up: of the release and of mmpose."""

import cv2
import numpy as np
import pytest
import torch
from rectangles import moving
from timm.models import create_model
from torch import nn

from fastpose_mtn.build import build_network
from fastpose_mtn.checkpoints.loading import load_weights
from fastpose_mtn.config import get_cfg
from fastpose_mtn.skeletons import COCO17

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of torchvision's Normalize, in the release


def config(file, *options):
    cfg = get_cfg()
    cfg.merge_from_file(file)
    cfg.merge_from_list(
        ["MODEL.TIMM.NAME", "resnet18", "MODEL.TIMM.PRETRAINED", "False", "MODEL.TOPDOWN.INPUT_SIZE", "[64, 64]", *options]
    )  # fmt: skip
    return cfg


def released():
    """A ResNet-18 and the layers behind it, as in the release, which runs: what our networks are to compute."""
    torch.manual_seed(0)
    resnet = create_model("resnet18")
    layers = [
        (nn.ConvTranspose2d(channels, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU())
        for channels in (512, 256, 256)
    ]
    deconv, final = nn.Sequential(*(layer for three in layers for layer in three)), nn.Conv2d(256, 17, 1)
    for module in (*resnet.modules(), *deconv.modules()):
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.running_mean, std=0.1)
    tensors = {name: tensor for name, tensor in resnet.state_dict().items() if not name.startswith("fc.")}
    tensors |= {f"deconv_layers.{name}": tensor for name, tensor in deconv.state_dict().items()}
    tensors |= {f"final_layer.{name}": tensor for name, tensor in final.state_dict().items()}

    def run(pixels):
        with torch.no_grad():
            return final.eval()(deconv.eval()(resnet.eval().forward_features(pixels)))

    return tensors, run


def of_mmpose(tensors, head):
    return {
        (f"{head}.{name}" if name.startswith(("deconv_layers", "final_layer")) else f"backbone.{name}"): tensor
        for name, tensor in tensors.items()
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["release", "module.", "keypoint_head", "head"])
@pytest.mark.parametrize("file", ["simple_baselines", "MDPN-50"])
def test_weights_load_and_compute_what_the_release_computes(tmp_path, kind, file):
    tensors, run = released()
    if kind == "module.":
        tensors = {"module." + name: tensor for name, tensor in tensors.items()}
    elif kind != "release":
        tensors = of_mmpose(tensors, kind)
    torch.save({"state_dict": tensors}, tmp_path / "pose_resnet_18.pth.tar")
    options = ["MODEL.MDPN.BRANCH", "coco", "MODEL.SKELETON", "COCO17"] if file == "MDPN-50" else []
    network = build_network(config(file, *options)).eval()
    report = load_weights(network, tmp_path / "pose_resnet_18.pth.tar", strict=False)
    assert not report.unexpected
    assert not report.mismatched
    assert all(name.startswith(("heads.mpii.", "heads.posetrack.")) for name in report.missing)
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = network.maps(pixels)
    wanted = run(pixels)
    assert found.shape == (2, len(COCO17), 16, 16)
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_a_picture_is_seen_in_the_releases_order_of_colours(tmp_path):
    """Its reader is OpenCV's, blue first, and it subtracts red's mean from the first channel all the same."""
    picture = moving(0, (64, 64))
    cv2.imwrite(str(tmp_path / "a.png"), picture[..., ::-1])
    theirs = cv2.imread(str(tmp_path / "a.png"))
    assert not (theirs == picture).all()  # colours tell them apart
    wanted = (torch.from_numpy(theirs).permute(2, 0, 1) / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(
        STD
    )[:, None, None]  # fmt: skip
    crop = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
    for options, same in (((), True), (("INPUT.FORMAT", "RGB"), False)):
        network = build_network(config("simple_baselines", *options))
        assert torch.allclose(network.preprocess(crop)[0], wanted, atol=1e-5) == same
