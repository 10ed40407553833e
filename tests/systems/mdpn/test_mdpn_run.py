"""The straight line: every configuration trains, and weights find, track and export people."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from networks_to_export import ENDINGS, needs
from rectangles import moving, write_video
from tiny_mdpn import crops, mdpn_config

from fastpose_mtn.build import build_estimator, build_network, build_pose_tracking
from fastpose_mtn.checkpoints.loading import load_weights, portable_config, save_weights
from fastpose_mtn.commands.track import main as track
from fastpose_mtn.data.catalog import coco_files
from fastpose_mtn.data.synthetic.images import SyntheticSpec
from fastpose_mtn.deploy.formats import write
from fastpose_mtn.engine.solver import build_optimizer, learning_rate_factor
from fastpose_mtn.engine.train import train
from fastpose_mtn.modeling.freeze import train_only
from fastpose_mtn.systems.mdpn.network import MDPNNetwork

CONFIGS = Path(__file__).parents[3] / "configs"
ROWS = sorted(path.name for path in CONFIGS.glob("*.yaml") if path.name.startswith(("MDPN-", "Base-MDPN")))
FRAME = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
BOXES = np.array([[40, 0, 100, 120], [70, 20, 150, 100]], np.float32)


def test_every_row_of_the_papers_tables_has_a_file():
    fifty = ["", "-single-mpii", "-single-coco", "-single-posetrack", "-transfer-posetrack", "-transfer", "-mixed",
             "-finetune-coco", "-finetune-heads"]  # fmt: skip
    names = {f"MDPN-50{name}" for name in fifty} | {
        f"MDPN-152{name}" for name in ("", "-finetune-coco", "-finetune-heads", "-tracking")
    }
    assert {f"{name}.yaml" for name in names | {"MDPN-micro"}} <= set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_every_file_trains_two_steps(name):
    """Small: few channels and blocks; what makes the row what it is stays."""
    cfg = mdpn_config(file=name)
    network = build_network(cfg)
    assert isinstance(network, MDPNNetwork)
    train_only(network, cfg.SOLVER.TRAINED_PARTS)
    network.train()
    optimizer = build_optimizer(cfg, network)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(cfg))
    before = {key: value.clone() for key, value in network.named_parameters()}
    domains = [
        SyntheticSpec.parse(data).domain if "://" in data else coco_files(data).form.domain
        for data in cfg.DATASETS.TRAIN
    ]
    assert set(domains) <= set(network.heads)
    for step in range(2):
        network.begin_step(step)
        optimizer.zero_grad()
        losses = network.losses(crops(*domains, *domains))
        assert all(torch.isfinite(loss) for loss in losses.values())
        sum(losses.values()).backward()
        optimizer.step()
        schedule.step()
    moved = {key for key, value in network.named_parameters() if not torch.equal(value, before[key])}
    trained = list(cfg.SOLVER.TRAINED_PARTS) or ["backbone", *(f"heads.{name}" for name in network.heads)]
    assert all(any(key.startswith(f"{part}.") for key in moved) for part in trained)


TRAINING = [
    "SEED", "1", "DATALOADER.NUM_WORKERS", "0", "SOLVER.IMS_PER_BATCH", "4", "SOLVER.MAX_ITER", "2", "SOLVER.WARMUP_ITERS", "0",
    "DATASETS.TEST", "['synthetic://v?seeds=800000&frames=2&size=96x64&people=2']", "TEST.DETECTOR", "truth",
]  # fmt: skip


def drawn(*domains):
    names = [
        f"synthetic://{d}?seeds=1-2&frames=4&size=96x64&people=2&occlusion=0&domain={d}" for d in domains
    ]
    return ["DATASETS.TRAIN", str(names)]


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """Weights of three stages, each from those of the one before."""
    folder = tmp_path_factory.mktemp("stages")
    parts = [
        ("MDPN-152", ["coco", "mpii", "posetrack"]),
        ("MDPN-152-finetune-coco", ["coco"]),
        ("MDPN-152-finetune-heads", ["mpii", "posetrack"]),
    ]
    made: list[Path] = []
    for name, domains in parts:
        options = [*TRAINING, *drawn(*domains), "OUTPUT_DIR", str(folder / name)]
        cfg = mdpn_config(*options, "MODEL.WEIGHTS", str(made[-1]) if made else "", file=name)
        made.append(train(cfg))
    return made


def test_three_stages_of_training(stages):
    first, second, third = (dict(torch_load(path)) for path in stages)
    moved = {name for name in second if not torch.equal(first[name], second[name])}
    assert {name.split(".")[1] for name in moved if name.startswith("heads.")} == {"coco"}
    assert any(name.startswith("backbone.") for name in moved)
    last = {name for name in third if not torch.equal(second[name], third[name])}
    assert {".".join(name.split(".")[:2]) for name in last} == {"heads.mpii", "heads.posetrack"}
    (metrics,) = json.loads((stages[2].parent / "evaluation.json").read_text()).values()
    assert metrics["box/AP"] == pytest.approx(1.0)
    assert "posetrack/MOTA" in metrics


def torch_load(path):
    from safetensors.torch import load_file

    return load_file(str(path))


def test_a_network_knows_the_step_in_a_resumed_run_too(tmp_path, monkeypatch):
    steps, begin = [], MDPNNetwork.begin_step
    monkeypatch.setattr(MDPNNetwork, "begin_step", lambda own, step: (steps.append(step), begin(own, step)))
    options = [
        *TRAINING,
        *drawn("coco", "mpii", "posetrack"),
        "DATASETS.TEST",
        "()",
        "OUTPUT_DIR",
        str(tmp_path),
    ]
    train(mdpn_config(*options, "SOLVER.CHECKPOINT_PERIOD", "1", "SOLVER.GRADIENT_ACCUMULATION", "2"))
    assert steps == [0, 1]
    train(mdpn_config(*options, "SOLVER.MAX_ITER", "3"), resume=True)
    assert steps == [0, 1, 2]


def test_a_video_is_tracked_by_flow_with_boxes_of_two_detectors(stages, tmp_path):
    clip = write_video(tmp_path / "walk.mp4", [moving(i, (96, 128)) for i in range(4)])
    found = [{"image_id": i, "bbox": [40 + 2 * i, 10, 30, 70], "score": 0.9} for i in range(4)]
    (tmp_path / "a.json").write_text(json.dumps(found))
    (tmp_path / "b.json").write_text(json.dumps([{**found[0], "score": 0.8, "bbox": [90, 20, 30, 70]}]))
    with pytest.raises(SystemExit) as stop:
        track(
            [
                str(clip), "--weights", str(stages[2]), "--detector", str(tmp_path / "a.json"), "--output", str(tmp_path / "out"),
                "--formats", "posetrack,jsonl", "--no-video", "--quiet", "--device", "cpu",
                "MODEL.TOPDOWN.DETECTOR.OTHERS", f"['{tmp_path / 'b.json'}']", "TRACKER.MIN_SCORE", "0", "TRACKER.BIRTH_SCORE",
                "0", "MODEL.TOPDOWN.SCORE", "box",
            ]
        )  # fmt: skip
    assert not stop.value.code
    lines = [json.loads(line) for line in (tmp_path / "out" / "walk.jsonl").read_text().splitlines()]
    people = [[p["track_id"] for p in line["people"]] for line in lines if "people" in line]
    assert [len(own) for own in people] == [2, 1, 1, 1]
    assert len({own[0] for own in people}) == 1  # carried on by the flow
    built = build_pose_tracking(weights=str(stages[2]), detector="", device="cpu")
    assert built.cfg.TRACKER.NAME == "flow"


def network_of(*options):
    torch.manual_seed(0)
    cfg = mdpn_config(*options)
    network = build_network(cfg).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.2, 0.5)
            torch.nn.init.normal_(module.running_mean, std=0.1)
    for head in network.heads.values():
        torch.nn.init.normal_(head.predict.weight, std=0.5)
    for layer in network.backbone.deconv:
        torch.nn.init.normal_(layer.conv.weight, std=0.3)
    return network, cfg


@pytest.mark.parametrize("branch", ["A", "B", "coco", "mpii"])
def test_a_mirrored_frame_has_mirrored_joints(branch):
    network, cfg = network_of("MODEL.MDPN.BRANCH", branch, "MODEL.TOPDOWN.DECODER", "dark")
    estimator = build_estimator(cfg, network, device="cpu", precision="fp32")
    plain = estimator.estimate_given(FRAME, BOXES[:1], np.ones(1)).keypoints[0]
    other = np.array([[60, 0, 120, 120]], np.float32)
    mirrored = estimator.estimate_given(np.ascontiguousarray(FRAME[:, ::-1]), other, np.ones(1)).keypoints[0]
    flipped = plain[list(estimator.skeleton.flip_permutation)]
    assert mirrored[:, 0] == pytest.approx(160 - flipped[:, 0], abs=0.01)
    assert mirrored[:, 1:] == pytest.approx(flipped[:, 1:], abs=0.01)


@pytest.mark.parametrize("branch", ["B", "coco"])  # means of several heads, and joints that no head has
def test_an_export_finds_what_pytorch_finds(branch, tmp_path):
    form = "onnx"
    needs(form)
    network, cfg = network_of("MODEL.MDPN.BRANCH", branch)
    path = tmp_path / f"mdpn{ENDINGS[form]}"
    write(form, path, network, portable_config(cfg))
    built = build_pose_tracking(weights=str(path), device="cpu", precision="fp32")
    wanted = build_estimator(cfg, network, device="cpu", precision="fp32")
    located, expected = (
        e.estimate_given(FRAME, BOXES, np.ones(2)).keypoints for e in (built.estimator, wanted)
    )
    assert (np.abs(located - expected).max(axis=2) < 0.1).mean() > 0.95


def test_only_the_heads_that_a_branch_needs_are_computed():
    network, _ = network_of()
    called = []
    for name, head in network.heads.items():
        head.register_forward_hook(lambda *_, name=name: called.append(name))
    network.maps(torch.zeros(1, 3, 64, 32))
    assert called == ["coco", "mpii"]


def test_weights_of_other_heads_say_what_to_set(tmp_path):
    network, cfg = network_of()
    save_weights(tmp_path / "three.safetensors", network, portable_config(cfg))
    one = build_network(mdpn_config("MODEL.MDPN.DOMAINS", "['coco']", "MODEL.MDPN.BRANCH", "coco"))
    with pytest.raises(
        ValueError, match="the file's heads are coco, mpii, posetrack, this network's coco: see MODEL.MDPN"
    ):
        load_weights(one, tmp_path / "three.safetensors")  # fmt: skip


def test_half_precision_finds_nearly_the_same():
    network, cfg = network_of("MODEL.MDPN.BRANCH", "B")
    found = [
        build_estimator(cfg, network, device="cpu", precision=precision).estimate_given(FRAME, BOXES, np.ones(2))
        for precision in ("fp32", "bf16")
    ]  # fmt: skip
    assert np.median(np.abs(found[0].keypoints - found[1].keypoints)[..., :2]) < 2.0


def test_a_few_crops_are_learned_by_heart(threads):
    """Each domain's own head has its joints within a cell of their places."""
    threads(1)  # oneDNN's backward pass of one map this small, in several threads, ends the process
    torch.manual_seed(0)
    network = build_network(mdpn_config("MODEL.TOPDOWN.UPSAMPLER_DIM", "32"))
    batch = crops("coco", "mpii", "posetrack")
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        sum(network.losses(batch).values()).backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        features = network.backbone(network.preprocess(torch.stack(list(batch.images))))
        for row, domain in enumerate(batch.domains):
            found = network.codec.decode(network.heads[domain](features[row : row + 1]), torch.ones(1, 2))
            wanted = batch.targets[row].keypoints[0, network._joints[domain], :2]
            assert (4 * found.positions[0] - wanted).norm(dim=-1).median() < 4.0
