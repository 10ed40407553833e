"""Identity vectors of a top-down network: what guides them, whom they learn from, and who gives them."""

import json
import logging

import numpy as np
import pytest
import torch
from crop_folders import write_crops
from tiny_mspn import mspn_config
from tiny_topdown import SMALL, FixedDetector, people, topdown_config
from torch.nn import functional as F

from fastpose_mtn.build import build_network
from fastpose_mtn.checkpoints.loading import load_network, load_weights, save_weights
from fastpose_mtn.commands.train import main as train
from fastpose_mtn.registry import SYSTEMS
from fastpose_mtn.structures import Batch, PersonTargets
from fastpose_mtn.systems.topdown.estimator import TopDownEstimator
from fastpose_mtn.systems.topdown.identity import PoseGuidedAttention
from fastpose_mtn.systems.topdown.locator import NetworkLocator

REID = (
    "MODEL.REID_ON",
    "True",
    "MODEL.ROI_REID_HEAD.NUM_IDENTITIES",
    "3",
    "MODEL.ROI_REID_HEAD.EMBEDDING_DIM",
    "8",
)
SEPARATE = (*REID, "MODEL.TOPDOWN.REID.SHARED", "False")
FRAME = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
BOXES = np.float32([[20, 10, 60, 100], [70, 20, 120, 110], [-20, 50, 30, 160]])


def network(*options):
    torch.manual_seed(0)
    return build_network(topdown_config(*(options or REID)))


def batch(identities, tasks, ignore=False):
    """Crops of people whose joints are all labelled."""
    generator = torch.Generator().manual_seed(0)
    targets = [
        PersonTargets(
            boxes=torch.tensor([[0.0, 0.0, 32.0, 64.0]]),
            keypoints=torch.cat(
                (torch.rand(1, 19, 2, generator=generator) * torch.tensor([32.0, 64.0]), torch.full((1, 19, 1), 2.0)), dim=2
            ),
            identities=torch.tensor([identity]),
            ignore=torch.tensor([ignore]),
        )
        for identity in identities
    ]  # fmt: skip
    images = [torch.randint(0, 256, (3, 64, 32), dtype=torch.uint8, generator=generator) for _ in identities]
    return Batch(images, targets, [frozenset(own) for own in tasks])


def gradients(parts):
    return torch.cat([p.grad.flatten() for part in parts for p in part.parameters()])


def test_attention_begins_at_nothing_and_follows_equation_20():
    attention = PoseGuidedAttention(2, 3, pool=2)
    features, heights = torch.randn(1, 3, 2, 2), torch.rand(1, 2, 4, 4)
    assert torch.equal(attention(features, heights), features)
    with torch.no_grad():
        attention.conv.weight[1, 0, 1, 1] = 2.0  # m_A of the second channel is twice the first joint's map
    pooled = heights[:, :1].unflatten(2, (2, 2)).unflatten(4, (2, 2)).mean(dim=(3, 5))
    expected = features.clone()
    expected[:, 1:2] = features[:, 1:2] * 2 * pooled + features[:, 1:2]
    assert torch.allclose(attention(features, heights), expected, atol=1e-6)


@pytest.mark.parametrize("features", ["shuffle", "c5"])
@pytest.mark.parametrize("shared", ["True", "False"])
def test_an_untrained_branch_says_the_same_with_and_without_attention(features, shared):
    options = (*REID, "MODEL.TOPDOWN.REID.IN_FEATURES", features, "MODEL.TOPDOWN.REID.SHARED", shared)
    guided, plain = (
        network(*options).eval(),
        network(*options, "MODEL.TOPDOWN.REID.PGA", "False").eval(),
    )
    state = {name: value for name, value in guided.state_dict().items() if ".attention." not in name}
    plain.load_state_dict(state)
    pixels = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        maps, vectors = guided.maps_and_vectors(pixels)
        assert torch.equal(vectors, plain.maps_and_vectors(pixels)[1])
        assert torch.equal(maps, guided.maps(pixels))
    assert vectors.norm(dim=1) == pytest.approx(torch.ones(2))
    assert (guided.reid.backbone is None) == (shared == "True")


@pytest.mark.parametrize("loss", ["integral", "heatmap", "cross_entropy"])
def test_heatmaps_guide_and_get_no_gradient_for_it(loss):
    """The pose head's gradient of the identities' loss is exactly zero; with attention poses change the vectors."""
    weight = "0.0" if loss == "heatmap" else "0.25"
    model = network(*REID, "MODEL.TOPDOWN.LOSS", loss, "MODEL.TOPDOWN.VISIBILITY_LOSS_WEIGHT", weight)
    torch.nn.init.normal_(model.reid.attention.conv.weight)
    torch.nn.init.normal_(model.upsampler.output.weight)
    losses = model.losses(batch([0, 1], [{"keypoints", "identities"}] * 2))
    losses["loss_reid"].backward()
    assert losses["loss_reid"].item() > 0
    assert gradients([model.upsampler]).abs().max() == 0
    for part in (model.backbone, model.reid.conv, model.reid.attention, model.reid.head):
        assert gradients([part]).abs().max() > 0
    pixels = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        before = model.eval().maps_and_vectors(pixels)[1]
        model.upsampler.output.weight.neg_()
        assert not torch.allclose(model.maps_and_vectors(pixels)[1], before, atol=1e-4)


def test_a_second_backbone_leaves_the_pose_network_alone():
    model = network(*SEPARATE)
    losses = model.losses(batch([0, 1], [{"keypoints", "identities"}] * 2))
    losses["loss_reid"].backward(retain_graph=True)
    assert gradients([model.backbone, model.upsampler]).abs().max() == 0
    assert gradients([model.reid.backbone]).abs().max() > 0
    model.zero_grad()
    losses["loss_keypoint"].backward()
    assert gradients([model.reid]).abs().max() == 0


@pytest.mark.parametrize("options", [REID, SEPARATE], ids=["shared", "separate"])
@pytest.mark.parametrize(
    "crops",
    [
        batch([0, 1], [{"keypoints"}] * 2),
        batch([-1, -1], [{"keypoints", "identities"}] * 2),
        batch([0, 1], [{"keypoints", "identities"}] * 2, ignore=True),
    ],
    ids=["task", "unknown", "ignored"],
)
def test_who_trains_no_identity_gives_the_branch_exactly_nothing(options, crops):
    model = network(*options)
    statistics = {name: value.clone() for name, value in model.reid.named_buffers()}
    losses = model.losses(crops)
    assert losses["loss_reid"].item() == 0
    sum(losses.values()).backward()
    assert gradients([model.reid]).abs().max() == 0
    for name, value in model.reid.named_buffers():
        assert torch.equal(value, statistics[name]), name


def test_identities_of_a_mixed_batch_are_those_of_their_people_alone():
    """Crops that train joints only do not weigh in, and crops of identities only give the pose head nothing."""
    model = network(*REID, "MODEL.BACKBONE.NORM", "FrozenBN").eval()
    model.reid.conv.norm.eval()
    both = batch([2, 0, -1], [{"identities"}, {"keypoints"}, {"identities"}])
    alone = Batch(both.images[:1], both.targets[:1], both.tasks[:1])
    mixed, single = model.losses(both), model.losses(alone)
    assert mixed["loss_reid"].item() == pytest.approx(single["loss_reid"].item(), rel=1e-5)
    sum(single.values()).backward()
    assert gradients([model.upsampler]).abs().max() == 0
    with pytest.raises(ValueError, match="NUM_IDENTITIES is 3, but a training image has identity 5"):
        model.losses(batch([5], [{"identities"}]))


def test_only_the_body_and_the_feet_guide():
    model = build_network(topdown_config(*REID, "MODEL.SKELETON", "HALPE136", "MODEL.TOPDOWN.LOSS", "combined",
                                         "MODEL.TOPDOWN.VISIBILITY_LOSS_WEIGHT", "0.0"))  # fmt: skip
    assert model.reid.attention.conv.in_channels == 26
    maps = torch.randn(1, 136, 16, 8)
    heights = model.codec.heights(maps)
    assert torch.equal(heights[:, 0], maps[:, 0].clamp(0, 1))
    assert torch.equal(heights[:, 60], maps[:, 60].sigmoid())


def test_heights_of_a_softmax_reach_one():
    codec = build_network(topdown_config()).codec
    maps = torch.randn(2, 19, 16, 8)
    probability = maps.flatten(2).softmax(dim=2)
    expected = (probability / probability.amax(dim=2, keepdim=True)).view_as(maps)
    assert torch.allclose(codec.heights(maps), expected, atol=1e-5)


def estimator(model, detector=None, **given):
    return TopDownEstimator(
        NetworkLocator(model, device="cpu", precision="fp32", **given), detector, score="box"
    )


def test_the_networks_vectors_replace_the_detectors():
    model = network(*SEPARATE).eval()
    torch.nn.init.normal_(model.reid.attention.conv.weight)
    detector = FixedDetector(
        people(*BOXES, scores=[0.7, 0.9, 0.8], embeddings=np.float32([[1, 0]] * 3)), embedding_dim=2
    )
    tested = estimator(model, detector)
    assert tested.embedding_dim == 8
    first, second = tested.estimate([FRAME, np.ascontiguousarray(FRAME[::-1])])
    assert first.boxes.tolist() == BOXES[[1, 2, 0]].tolist()
    assert np.linalg.norm(first.embeddings, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert np.abs(first.embeddings - second.embeddings).max() > 1e-3
    assert tested.describe(FRAME, BOXES) == pytest.approx(first.embeddings[[2, 0, 1]], abs=1e-5)
    assert tested.describe(FRAME, BOXES[:0]).shape == (0, 8)
    given = estimator(model).estimate_given(FRAME, BOXES, np.ones(3))  # without any detector
    assert given.embeddings == pytest.approx(first.embeddings[[2, 0, 1]], abs=1e-5)
    mirrored = estimator(model, flip_test=True).describe(FRAME, BOXES)
    assert mirrored == pytest.approx(first.embeddings[[2, 0, 1]], abs=1e-4)
    (nobody,) = estimator(model, FixedDetector(people())).estimate([FRAME])
    assert nobody.embeddings.shape == (0, 8)


def test_the_vectors_are_those_of_the_crop():
    """A box whose crop is the frame's own pixels."""
    model = network().eval()
    tested = TopDownEstimator(NetworkLocator(model, device="cpu", precision="fp32"), None, padding=1.0)
    found = tested.describe(FRAME, np.array([[48, 8, 80, 72]]))
    crop = torch.from_numpy(FRAME[8:72, 48:80]).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = model.maps_and_vectors(model.preprocess(crop))[1]
    assert found == pytest.approx(expected.numpy(), abs=1e-4)


def test_weights_carry_the_branch_without_its_classifier(tmp_path):
    cfg = topdown_config(*SEPARATE)
    model = network(*SEPARATE)
    save_weights(tmp_path / "w.safetensors", model, cfg)
    again = load_network(cfg, build_network, tmp_path / "w.safetensors").eval()
    assert again.reid.head.classifier is None
    pixels = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(again.maps_and_vectors(pixels)[1], model.eval().maps_and_vectors(pixels)[1])


def test_a_second_backbone_begins_as_the_first_where_the_file_has_one_alone(tmp_path):
    save_weights(tmp_path / "pose.safetensors", build_network(topdown_config()), topdown_config())
    model = network(*SEPARATE)
    load_weights(model, tmp_path / "pose.safetensors", strict=False)
    first, second = model.backbone.state_dict(), model.reid.backbone.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first if "num_batches" not in name)


def test_settings_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match=r"REID\.IN_FEATURES: expected shuffle or c5, got 'p2'"):
        network(*REID, "MODEL.TOPDOWN.REID.IN_FEATURES", "p2")
    with pytest.raises(ValueError, match="MODEL.REID_ON True: MSPN describes nobody, its detector does"):
        build_network(mspn_config("MODEL.REID_ON", "True"))
    system = SYSTEMS.get("TopDownPose")
    with pytest.raises(ValueError, match="NUM_IDENTITIES is 3, but DATASETS.TRAIN has 7 identities"):
        system.training_config(topdown_config(*REID), num_identities=7, world_size=1)
    cfg = topdown_config(*SEPARATE, "MODEL.BACKBONE.NORM", "SyncBN")
    assert system.training_config(cfg, num_identities=3, world_size=1).MODEL.ROI_REID_HEAD.NUM_IDENTITIES == 3
    with pytest.raises(
        ValueError, match="SyncBN, which a second backbone for identities cannot train with in 2"
    ):
        system.training_config(cfg, num_identities=3, world_size=2)


def test_joints_and_identities_train_together(tmp_path, caplog):
    """Drawn people teach joints, pictures of people identities: weights are learned, and people are searched for."""
    write_crops(tmp_path / "crops", [3, 3, 3])
    drawn = "synthetic://t?seeds=0-1&frames=4&size=96x64&people=2"
    crops = f"crops://{tmp_path}/crops?size=128x96&people=3"
    with caplog.at_level(logging.INFO, "fastpose_mtn"):
        train(
            [
                "--config-file", "alphapose-s", *SMALL, "OUTPUT_DIR", str(tmp_path / "run"), "SEED", "1",
                "DATALOADER.NUM_WORKERS", "0", "DATASETS.TRAIN", f"['{drawn}', '{crops}']", "MODEL.REID_ON", "True",
                "DATASETS.TEST", "['synthetic://v?seeds=800000&frames=4&size=96x64&people=2']",
                "SOLVER.LOSS_WEIGHTS", "uncertainty", "SOLVER.IMS_PER_BATCH", "6", "SOLVER.MAX_ITER", "3",
                "SOLVER.WARMUP_ITERS", "0", "TEST.DETECTOR", "", "MODEL.TOPDOWN.DETECTOR.WEIGHTS", "people",
            ]
        )  # fmt: skip
    text = caplog.text
    assert "images train identities" in text  # the crops'
    assert "images train identities, keypoints" in text  # the drawn people's
    (metrics,) = json.loads((tmp_path / "run" / "evaluation.json").read_text()).values()
    assert 0 <= metrics["search/mAP"] <= 1


def test_people_of_distinct_looks_are_learned():
    """Three colours, three people: after some steps each crop is nearest to its own kind."""
    torch.manual_seed(0)
    model = network()
    colours = torch.tensor([[200, 30, 30], [30, 200, 30], [30, 30, 200]], dtype=torch.uint8)
    plain = batch([0, 1, 2, 0, 1, 2], [{"identities"}] * 6)
    noise = torch.randint(0, 40, (6, 3, 64, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    images = [colours[i % 3][:, None, None] + noise[i] for i in range(6)]
    one = Batch(images, plain.targets, plain.tasks)
    optimizer = torch.optim.Adam(model.parameters(), 0.003)
    for _ in range(25):
        optimizer.zero_grad()
        sum(model.losses(one).values()).backward()
        optimizer.step()
    with torch.no_grad():
        vectors = model.maps_and_vectors(model.preprocess(torch.stack(images)))[1]
    similar = F.normalize(vectors) @ F.normalize(vectors).T
    assert all(similar[i, (i + 3) % 6] > similar[i, (i + 1) % 3 + 3 * (i < 3)] for i in range(6))
