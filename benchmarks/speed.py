#!/usr/bin/env python
"""How fast FastPose and its peers are: one run, the same frames, the same people; a table and a plot.

    python benchmarks/speed.py [--people 1 5 10 20 50 100] [--threads N] [--plot speed.svg]
                               [--detectron2-python PYTHON] [--ultralytics-python PYTHON]
                               [--movenet MODELS --tensorflow-python PYTHON]

First the network alone, from frames in memory to people in memory, for each number of people; then, with --job
N people, the whole job: decode, network, tracking, overlay and JSON, each network in FastPose's own pipeline, which
is kinder to the peers than the loop that their users write. In every round each setting has its turn in a process of
its own, so that a busy machine slows all alike and no model's memory weighs on another; the fastest counts. Weights are random, and the people
are given: see peers.py. Peers run twice: as they are used (float32, a frame at a time), and at their best
(channels-last, bfloat16, four frames at a time); MoveNet MultiPose (see movenet.py) on pictures of 256 and of 512
pixels, its usual sizes. What is not installed is left out, and it says so.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from worker import Worker, size_hw

from fastpose_mtn.errors import InputError, exit_on_error

if TYPE_CHECKING:
    from peers import Peer

CONFIGS = Path(__file__).parent.parent / "configs"
REFERENCE = "torchvision R50"


def settings(
    networks: Sequence[str], device: str, folder: Path | None = None, movenet: Path | None = None
) -> dict[str, tuple[str, Callable[[tuple[int, int]], Peer]]]:
    """Each setting's name, whose Python it needs, and how it is built; exported networks are kept in ``folder``."""
    import peers

    def of(cls: type, *arguments: object, best: bool = False) -> Callable[[tuple[int, int]], Peer]:
        return lambda size_hw: cls(*arguments, size_hw, device, best)

    all_settings: dict[str, tuple[str, Callable[[tuple[int, int]], Peer]]] = {}
    for name, python, cls in (
        (REFERENCE, "this", peers.TorchvisionKeypointRCNN),
        ("detectron2 R50", "detectron2", peers.Detectron2KeypointRCNN),
        ("yolo11s-pose", "ultralytics", peers.UltralyticsPose),
    ):
        all_settings[name] = python, of(cls)
        all_settings[f"{name}, best"] = python, of(cls, best=True)
    for side in (256, 512) if movenet and device == "cpu" else ():
        all_settings[f"MoveNet MultiPose, {side} px"] = "tensorflow", _movenet(movenet, side)
    for network in networks:
        config, name = str(CONFIGS / f"{network}.yaml"), network
        all_settings[f"{name}, fp32"] = "this", of(peers.Ours, config)
        all_settings[f"{name}, auto"] = "this", of(peers.Ours, config, best=True)
        if device == "cpu":
            for form, shown in (("onnx", "ONNX Runtime"), ("openvino", "OpenVINO")):
                all_settings[f"{name}, {shown}"] = "this", of(peers.OursExported, config, form, False, folder)
                all_settings[f"{name}, {shown} int8"] = (
                    "this",
                    of(peers.OursExported, config, form, True, folder),
                )
    return all_settings


def _movenet(folder: Path | None, side: int) -> Callable[[tuple[int, int]], Peer]:
    def build(size_hw: tuple[int, int]) -> Peer:
        from movenet import MoveNetMultiPose

        assert folder is not None
        return MoveNetMultiPose(folder, side, size_hw)

    return build


def work(options: argparse.Namespace) -> None:
    """The worker's side: builds one setting and measures it as it is told."""
    import peers
    import torch

    from fastpose_mtn.video.sources import open_source

    torch.set_num_threads(options.threads)
    folder = Path(options.clip).parent
    built = settings(options.networks, options.device, folder, options.movenet)[options.worker][1]
    peer = built(options.size)
    frames = [frame.image for frame in open_source(options.clip) if frame.image is not None]
    for line in sys.stdin:
        question = json.loads(line)
        peer.set_people(question["people"])
        peer.estimate(frames[: peer.batch_size])  # the first call prepares and chooses
        if question.get("job"):
            seconds = peers.job(peer, options.clip)
        else:
            seconds = network_seconds(peer, frames, question["frames"])
        print(json.dumps({"seconds": seconds}), flush=True)


def network_seconds(peer: Peer, frames: list[np.ndarray], count: int) -> float:
    calls = max(1, count // peer.batch_size)
    began = time.perf_counter()
    for call in range(calls):
        batch = [frames[(call * peer.batch_size + i) % len(frames)] for i in range(peer.batch_size)]
        peer.estimate(batch)
    return (time.perf_counter() - began) / (calls * peer.batch_size)


def write_clip(path: Path, size_hw: tuple[int, int], frames: int) -> None:
    """Draws the video that all see."""
    from fastpose_mtn.data.synthetic import SceneConfig, SyntheticScene
    from fastpose_mtn.video.encoder import VideoEncoder
    from fastpose_mtn.video.sources import Source

    scene = SyntheticScene(800_000, SceneConfig(size_wh=size_hw[::-1], frame_count=frames, people=6))
    encoder = VideoEncoder(path, frame_rate=30.0, time_base=Source("clip").time_base)
    for index, frame in enumerate(scene.frames()):
        encoder.write(frame.image, index / 30, 1 / 30)
    encoder.close(True)


def measure(pythons: dict[str, str], options: argparse.Namespace, clip: Path) -> dict[str, dict[str, float]]:
    """Seconds a frame of each setting, for each number of people and ``"job"``; a setting that fails is left out."""
    chosen = {
        name: pythons[python]
        for name, (python, _) in settings(options.networks, options.device, None, options.movenet).items()
        if not options.only or any(text in name for text in options.only)
    }
    seconds: dict[str, dict[str, float]] = {name: {} for name in chosen}
    questions: list[tuple[str, dict[str, Any]]] = [
        (str(n), {"people": n, "frames": options.frames}) for n in options.people
    ]
    if options.job:
        questions.append(("job", {"people": options.job, "frames": 0, "job": True}))
    for number in range(1, options.rounds + 1):
        for name in list(seconds):
            print(f"round {number}: {name}", file=sys.stderr)
            command = [chosen[name], __file__, "--worker", name, "--clip", str(clip), *_shared(options)]
            worker = Worker(command, options.threads)
            try:
                for key, question in questions:
                    taken = worker.ask(**question)["seconds"]
                    seconds[name][key] = min(taken, seconds[name].get(key, float("inf")))
            except InputError as error:
                print(f"{name}: left out: {error}")
                del seconds[name]
            finally:
                worker.close()
    return seconds


def table(seconds: dict[str, dict[str, float]], options: argparse.Namespace) -> str:
    """Milliseconds a frame, and how many times as fast as the reference."""
    lines = [
        f"{options.size[0]}x{options.size[1]}, {options.threads} threads, {options.device}, random weights; "
        f"ms a frame, fastest of {options.rounds} rounds",
        "",
        f"{'people':<32}"
        + "".join(f"{n:>9}" for n in options.people)
        + ("   whole job  fps" if options.job else ""),
    ]
    base = seconds.get(REFERENCE, {})
    for name, taken in seconds.items():
        line = f"{name:<32}" + "".join(f"{1e3 * taken[str(n)]:>9.1f}" for n in options.people)
        if options.job:
            line += f"{1e3 * taken['job']:>12.1f}{1 / taken['job']:>5.1f}"
        lines.append(line)
    if base:
        lines += ["", f"times as fast as {REFERENCE}"]
        keys = [*map(str, options.people), *(["job"] if options.job else [])]
        for name, taken in seconds.items():
            ratios = "".join(f"{base[key] / taken[key]:>{12 if key == 'job' else 9}.2f}" for key in keys)
            lines.append(f"{name:<32}{ratios}")
    return "\n".join(lines)


def plot(seconds: dict[str, dict[str, float]], options: argparse.Namespace) -> None:
    """Time over people, one line a setting."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 5))
    axes.set_prop_cycle(color=pyplot.get_cmap("tab20").colors)  # type: ignore[attr-defined]
    for name, taken in seconds.items():
        dashes = "-" if name.startswith("FastPose") else "--"
        axes.plot(
            options.people, [1e3 * taken[str(n)] for n in options.people], dashes, marker="o", label=name
        )
    axes.set(xlabel="people", ylabel="milliseconds a frame", yscale="log")
    axes.set_title(f"{options.size[0]}x{options.size[1]}, {options.threads} threads, {options.device}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    figure.tight_layout()
    figure.savefig(options.plot)
    print(f"\n{options.plot}")


def _shared(options: argparse.Namespace) -> list[str]:
    height, width = options.size
    return [
        "--size", f"{height}x{width}", "--threads", str(options.threads), "--device", options.device,
        "--networks", *options.networks, *(["--movenet", str(options.movenet)] if options.movenet else []),
    ]  # fmt: skip


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--size", type=size_hw, default=(600, 1000), metavar="HxW", help="of the frames (default: 600x1000)")
    add("--people", type=int, nargs="+", default=[1, 5, 10, 20, 50, 100], metavar="N")
    add("--job", type=int, default=20, metavar="N", help="people of the whole job; 0: network only")
    add("--frames", type=int, default=8, metavar="F", help="frames a round")
    add("--clip-frames", type=int, default=60, metavar="F", help="frames of the whole job")
    add("--rounds", type=int, default=3, metavar="R", help="the fastest counts")
    add("--threads", type=int, default=os.cpu_count() or 1, metavar="N")
    add("--device", default="cpu", metavar="cpu|cuda")
    add("--networks", nargs="+", default=["FastPose-18", "FastPose-50"], metavar="NAME", help="of configs/")
    add("--only", nargs="+", metavar="TEXT", help="settings whose names hold one of these")
    add("--detectron2-python", default=sys.executable, metavar="PYTHON", help="that has Detectron2")
    add("--ultralytics-python", default=sys.executable, metavar="PYTHON", help="that has ultralytics")
    add("--movenet", type=Path, metavar="MODELS", help="folder of MoveNet's files, see movenet.py")
    add("--tensorflow-python", default=sys.executable, metavar="PYTHON", help="that has TensorFlow")
    add("--plot", metavar="FILE", help="write the curves over people as SVG, PNG or PDF")
    add("--json", metavar="FILE", help="write the seconds")
    add("--worker", help=argparse.SUPPRESS)
    add("--clip", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.worker:
        work(options)
        return
    pythons = {
        "this": sys.executable,
        "detectron2": options.detectron2_python,
        "ultralytics": options.ultralytics_python,
        "tensorflow": options.tensorflow_python,
    }
    with exit_on_error(), tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, options.size, options.clip_frames)
        seconds = measure(pythons, options, clip)
        print(table(seconds, options))
        if options.json:
            Path(options.json).write_text(json.dumps(seconds, indent=2))
        if options.plot and seconds:
            plot(seconds, options)


if __name__ == "__main__":
    main()
