"""The straight line: every configuration trains, and weights, ensembles and exports find people."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rectangles import write_video
from tiny_mspn import SMALL, mspn_config
from tiny_topdown import FixedDetector, crop_batch, people

from fastpose_mtn.build import build_estimator, build_network
from fastpose_mtn.checkpoints.loading import portable_config, save_weights
from fastpose_mtn.commands.track import main as track
from fastpose_mtn.commands.train import main as train
from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.posetrack.files import read_posetrack
from fastpose_mtn.engine.solver import build_optimizer, learning_rate_factor
from fastpose_mtn.systems.mspn.network import MSPNNetwork
from fastpose_mtn.systems.topdown.locator import Located

CONFIGS = Path(__file__).parents[3] / "configs"
ROWS = sorted(
    path.name for path in CONFIGS.glob("*.yaml") if path.name.startswith(("MSPN-", "mspn", "Base-MSPN"))
)
FRAME = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
BOXES = np.array([[10, 10, 60, 110], [70, 20, 150, 100]], np.float32)


def test_every_row_of_the_papers_tables_has_a_file():
    names = {
        "1x50",
        "1x101",
        "1x152",
        "2x50",
        "3x50",
        "4x50",
        "4x50-384x288",
        "2x18",
        "2x50-base",
        "2x50-nocsfa",
    }
    assert {f"MSPN-{name}.yaml" for name in names | {"2x50-noctf", "2x50-fine", "2x50-noohkm"}} <= set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_every_file_trains_two_steps(name):
    """Small: two blocks at most where the file has several, few channels; what makes the row what it is stays."""
    cfg = get_cfg()
    cfg.merge_from_file(name)
    blocks = [min(2, count) for count in cfg.MODEL.MSPN.BLOCKS]
    cfg.merge_from_list(
        ["MODEL.TIMM.PRETRAINED", False, "MODEL.TOPDOWN.INPUT_SIZE", [64, 32], "MODEL.MSPN.BLOCKS", blocks,
         "MODEL.MSPN.CHANNELS", 4, "MODEL.MSPN.UP_CHANNELS", 8, "MODEL.SKELETON", "PERSON19"]
    )  # fmt: skip
    network = build_network(cfg).train()
    assert isinstance(network, MSPNNetwork)
    optimizer = build_optimizer(cfg, network)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(cfg))
    before = {key: value.clone() for key, value in network.named_parameters()}
    for _ in range(2):
        optimizer.zero_grad()
        losses = network.losses(crop_batch(2))
        assert all(torch.isfinite(loss) for loss in losses.values())
        sum(losses.values()).backward()
        optimizer.step()
        schedule.step()
    moved = [key for key, value in network.named_parameters() if not torch.equal(value, before[key])]
    assert any(key.startswith("upsampler.predict.3.") for key in moved)
    assert any(key.startswith("backbone.top.") for key in moved)


def test_training_by_its_command(tmp_path):
    train(
        [
            "--config-file", "mspn-s", *SMALL, "OUTPUT_DIR", str(tmp_path), "SEED", "1", "DATALOADER.NUM_WORKERS", "0",
            "DATASETS.TRAIN", "['synthetic://t?seeds=0-1&frames=4&size=96x64&people=2']", "DATASETS.TEST",
            "['synthetic://v?seeds=800000&frames=2&size=96x64&people=2']", "SOLVER.IMS_PER_BATCH", "4", "SOLVER.MAX_ITER", "2",
            "SOLVER.WARMUP_ITERS", "0",
        ]
    )  # fmt: skip
    (metrics,) = json.loads((tmp_path / "evaluation.json").read_text()).values()
    assert metrics["box/AP"] == pytest.approx(1.0)


def network_of(seed, *options):
    torch.manual_seed(seed)
    network = build_network(mspn_config(*options)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.normal_(module.running_mean)
    return network


def saved(folder, seed, *options):
    cfg = mspn_config(*options)
    save_weights(folder / f"{seed}.safetensors", network_of(seed, *options), portable_config(cfg))
    return str(folder / f"{seed}.safetensors")


def estimate(*options):
    estimator = build_estimator(mspn_config(*options), device="cpu", precision="fp32")
    estimator.detector = FixedDetector(people(*BOXES))
    return estimator.estimate_given(FRAME, BOXES, np.ones(2))


def test_a_mirrored_frame_has_mirrored_joints(tmp_path):
    """With the flip test the network sees the same two crops, so the joints are each other's mirror images."""
    options = [
        "MODEL.TOPDOWN.FLIP_TEST",
        "True",
        "MODEL.TOPDOWN.DECODER",
        "dark",
    ]
    weights = ["MODEL.WEIGHTS", saved(tmp_path, 0, *options)]
    estimator = build_estimator(mspn_config(*options, *weights), device="cpu", precision="fp32")
    whole = np.array([[40, 0, 100, 120]], np.float32)  # a crop whose pixels are the frame's
    plain = estimator.estimate_given(FRAME, whole, np.ones(1)).keypoints[0]
    other = np.array([[60, 0, 120, 120]], np.float32)
    mirrored = estimator.estimate_given(np.ascontiguousarray(FRAME[:, ::-1]), other, np.ones(1)).keypoints[0]
    flipped = plain[list(estimator.skeleton.flip_permutation)]
    assert mirrored[:, 0] == pytest.approx(160 - flipped[:, 0], abs=1e-3)
    assert mirrored[:, 1:] == pytest.approx(flipped[:, 1:], abs=1e-3)


def test_an_ensemble_is_read_from_the_mean_of_its_maps(tmp_path):
    one, two = (saved(tmp_path, seed) for seed in (1, 2))
    alone = estimate("MODEL.WEIGHTS", one)
    twice = estimate("MODEL.WEIGHTS", one, "MODEL.TOPDOWN.ENSEMBLE", f"['{one}']")
    assert twice.keypoints == pytest.approx(alone.keypoints, abs=1e-4)
    both = estimate("MODEL.WEIGHTS", one, "MODEL.TOPDOWN.ENSEMBLE", f"['{two}']")
    networks = [network_of(seed) for seed in (1, 2)]
    estimator = build_estimator(mspn_config("MODEL.WEIGHTS", one), device="cpu", precision="fp32")
    seen = []
    locator, estimator._locator = estimator._locator, None

    def look(crops, people_wh):
        pixels = torch.from_numpy(crops).permute(0, 3, 1, 2)
        with torch.no_grad():
            maps = torch.stack([network(pixels) for network in networks]).mean(dim=0)
            seen.append(maps)
            return Located(networks[0].joints(maps, torch.from_numpy(people_wh)).numpy(), None)

    look.size_hw, look.fill_rgb, look.skeleton = locator.size_hw, locator.fill_rgb, locator.skeleton
    look.embedding_dim = None
    estimator._locator = look
    assert both.keypoints == pytest.approx(
        estimator.estimate_given(FRAME, BOXES, np.ones(2)).keypoints, abs=0.05
    )
    other = saved(tmp_path, 3, "MODEL.TOPDOWN.HEATMAP_PEAK", "255.0")
    with pytest.raises(
        ValueError, match=r"ENSEMBLE .*: its MODEL\.TOPDOWN\.HEATMAP_PEAK is 255\.0, the first network's 1\.0"
    ):
        estimate("MODEL.WEIGHTS", one, "MODEL.TOPDOWN.ENSEMBLE", f"['{other}']")


@pytest.mark.parametrize("count", [0, 1, 60])
def test_a_video_of_so_many_people_is_tracked(count, tmp_path):
    """In boxes of a file; what is written can be read and compared with labels."""
    frames = [np.roll(FRAME, 2 * i, axis=1) for i in range(3)]
    clip = write_video(tmp_path / "walk.mp4", frames)
    places = [(12 * (n % 12), 20 * (n // 12)) for n in range(count)]
    found = [
        {"image_id": i, "bbox": [x + i, y, 10, 18], "score": 0.9} for i in range(len(frames)) for x, y in places
    ]  # fmt: skip
    (tmp_path / "found.json").write_text(
        json.dumps(found or [{"image_id": 0, "bbox": [1, 1, 10, 18], "score": 0.01}])
    )
    with pytest.raises(SystemExit) as stop:
        track(
            [
                str(clip), "--weights", saved(tmp_path, 0), "--detector", str(tmp_path / "found.json"), "--output",
                str(tmp_path / "out"), "--formats", "posetrack", "--no-video", "--quiet", "--device", "cpu", "TRACKER.MIN_SCORE",
                "0", "TRACKER.BIRTH_SCORE", "0", "TRACKER.DUPLICATE_IOU", "1", "MODEL.TOPDOWN.SCORE", "box",
                "TEST.POSE_NMS.ENABLED", "False", "TRACKER.CUT_CORRELATION", "0",
            ]
        )  # fmt: skip
    assert not stop.value.code
    sequence = read_posetrack(tmp_path / "out" / "walk.json")
    assert np.bincount(sequence.frame_index, minlength=3).tolist() == [count] * 3
    assert len(set(sequence.track_ids.tolist())) == count
    assert np.isfinite(sequence.keypoints).all()


def test_half_precision_finds_nearly_the_same(tmp_path):
    weights = saved(tmp_path, 0)
    exact = build_estimator(mspn_config("MODEL.WEIGHTS", weights), device="cpu", precision="fp32")
    half = build_estimator(mspn_config("MODEL.WEIGHTS", weights), device="cpu", precision="bf16")
    found = [e.estimate_given(FRAME, BOXES, np.ones(2)).keypoints for e in (exact, half)]
    assert np.median(np.abs(found[0] - found[1])[..., :2]) < 2.0
