#!/usr/bin/env python
"""How time grows with people: PoseDet, MTN, a top-down network and ultralytics' smallest pose network, in one run.

    python benchmarks/people.py [--people 1 5 10 20 50 100] [--jobs 1 20] [--only TEXT ...] [--ultralytics-python PYTHON]

Two measures, at one input size: frames in memory to people in memory, for each of --people; and for each of --jobs the
whole job: decode, network, tracking, overlay and JSON. Every setting has a process of its own, and they take turns, so that
a busy machine slows all alike; the fastest of the rounds counts. Beside the time on the clock stands the processors' time,
which says what a job costs where others run too.

Nobody is found by networks that are not trained, so people are given. PoseDet: its own scores and coarse poses, which are
computed, give way to those of N people, each found by --cells neighbouring cells with the same pose, as in a trained
network; refinement, scores' correction, identities and suppression are its own, and then its people too are reported where
they were given, so that everybody has the same to track and to draw. MTN and ultralytics: see peers.py. The top-down
network: its detector's boxes. PoseDet begins with the backbone of the weights ``people``, as its training does.
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

from speed import CONFIGS, network_seconds, write_clip
from worker import Worker, size_hw

from fastpose_mtn.errors import InputError, exit_on_error

if TYPE_CHECKING:
    from peers import Peer


def settings(folder: Path, cells: int) -> dict[str, tuple[str, Callable[[tuple[int, int]], Peer]]]:
    """Each setting's name, whose Python it needs, and how it is built; exported networks are kept in ``folder``."""
    import peers
    from one_stage import OneStage, OneStageExported, SmallestUltralytics

    people = str(CONFIGS / "people.yaml")
    return {
        "posedet-s, auto": ("this", lambda size: OneStage(True, cells, size)),
        "posedet-s, OpenVINO": ("this", lambda size: OneStageExported(True, cells, folder, size)),
        "posedet-s without identities, auto": ("this", lambda size: OneStage(False, cells, size)),
        "posedet-s without identities, OpenVINO": ("this", lambda size: OneStageExported(False, cells, folder, size)),
        "people, auto": ("this", lambda size: peers.Ours(people, size, "cpu", True)),
        "people, OpenVINO": ("this", lambda size: peers.OursExported(people, "openvino", False, folder, size, "cpu", False)),
        "alphapose-s, auto": ("this", top_down),
        "yolo11n-pose, PyTorch": ("ultralytics", lambda size: SmallestUltralytics(None, size)),
        "yolo11n-pose, OpenVINO": ("ultralytics", lambda size: SmallestUltralytics(folder, size)),
    }  # fmt: skip


def top_down(size_hw: tuple[int, int]) -> Peer:
    """alphapose-s on the boxes of the network ``people``, whose detector runs without its joints."""
    import peers
    from topdown import TopDown  # of more packages than ultralytics' Python may have

    people, pose = (str(CONFIGS / f"{name}.yaml") for name in ("people", "alphapose-s"))
    detector = peers.Ours(people, size_hw, "cpu", True, ["MODEL.KEYPOINT_ON", "False"])
    return TopDown(pose, detector, 64)


def work(options: argparse.Namespace) -> None:
    """The worker's side: builds one setting and measures it as it is told."""
    import torch
    from peers import job

    from fastpose_mtn.video.sources import open_source

    torch.set_num_threads(options.threads)
    peer = settings(Path(options.clip).parent, options.cells)[options.worker][1](options.size)
    frames = [frame.image for frame in open_source(options.clip) if frame.image is not None]
    for line in sys.stdin:
        question = json.loads(line)
        peer.set_people(question["people"])
        for _ in range(2):  # the first calls prepare and choose
            peer.estimate(frames[: peer.batch_size])
        busy = time.process_time()
        if question["job"]:
            seconds = job(peer, options.clip)
        else:
            seconds = network_seconds(peer, frames, options.frames)
        count = (
            len(frames) if question["job"] else max(1, options.frames // peer.batch_size) * peer.batch_size
        )
        busy = (time.process_time() - busy) / count
        print(json.dumps({"seconds": seconds, "cpu": busy}), flush=True)


def measure(options: argparse.Namespace, clip: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Seconds a frame of each setting for each question; a setting that fails is left out, and it says why."""
    pythons = {"this": sys.executable, "ultralytics": options.ultralytics_python}
    names = {name: pythons[python] for name, (python, _) in settings(clip.parent, options.cells).items()}
    workers = {}
    for name, python in names.items():
        if options.only and not any(text in name for text in options.only):
            continue
        command = [python, __file__, "--worker", name, "--clip", str(clip), "--cells", str(options.cells)]
        command += ["--size", "{}x{}".format(*options.size), "--threads", str(options.threads)]
        workers[name] = Worker([*command, "--frames", str(options.frames)], options.threads)
    questions = {f"{n} people": {"people": n, "job": False} for n in options.people}
    questions |= {f"job of {n}": {"people": n, "job": True} for n in options.jobs}
    best: dict[str, dict[str, dict[str, float]]] = {name: {} for name in workers}
    for number in range(1, options.rounds + 1):
        for key, question in questions.items():
            print(f"round {number}: {key}", file=sys.stderr)
            for name in list(best):
                try:
                    taken, before = workers[name].ask(**question), best[name].get(key, {})
                except InputError as error:
                    print(f"{name}: left out: {error}")
                    del best[name]
                    continue
                best[name][key] = {kind: min(value, before.get(kind, value)) for kind, value in taken.items()}
    for worker in workers.values():
        worker.close()
    return best


def report(best: dict[str, dict[str, dict[str, float]]], options: argparse.Namespace) -> str:
    """Milliseconds a frame on the clock and of processors, how they grow, and how they compare."""
    lines = [
        f"{options.size[0]}x{options.size[1]}, {options.threads} threads, CPU; ms a frame on the clock / of processors, "
        f"fastest of {options.rounds} rounds; {options.cells} cells a person"
    ]
    keys = [f"{n} people" for n in options.people] + [f"job of {n}" for n in options.jobs]
    lines.append(f"{'':<40}" + "".join(f"{key:>15}" for key in keys))
    for name, taken in best.items():
        shown = (f"{1000 * taken[key]['seconds']:7.1f} /{1000 * taken[key]['cpu']:6.1f}" for key in keys)
        lines.append(f"{name:<40}" + "".join(shown))
    few, many = options.people[0], options.people[-1]
    if many > few:
        lines.append(f"\nmore time of processors, % for each 10 people more, {few} to {many}:")
        for name, taken in best.items():
            first, last = (taken[f"{n} people"]["cpu"] for n in (few, many))
            lines.append(f"{name:<40}{1000 * (last / first - 1) / (many - few):8.2f}")
    peers = [name for name in best if name.startswith("yolo")]
    ours = [name for name in best if name.startswith("posedet")]
    if peers and ours:
        lines.append("\nas many times as fast as the fastest of ultralytics' (clock / processors):")
        for name in ours:
            for key in keys:
                clock, busy = (
                    min(best[peer][key][kind] for peer in peers) / best[name][key][kind]
                    for kind in ("seconds", "cpu")
                )
                lines.append(f"{name:<40}{key:<14}{clock:6.2f} /{busy:5.2f}")
    elif not peers:
        lines.append(
            "\nno peer: ultralytics is not there; give a Python that has it with --ultralytics-python"
        )
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add: Any = parser.add_argument
    add("--size", type=size_hw, default=(384, 640), metavar="HxW", help="of the frames (default: 384x640)")
    add("--people", type=int, nargs="+", default=[1, 5, 10, 20, 50, 100], metavar="N")
    add("--jobs", type=int, nargs="*", default=[1, 20], metavar="N", help="people of the whole jobs")
    add("--cells", type=int, default=9, metavar="N", help="that find each person (default: 9)")
    add("--frames", type=int, default=8, metavar="F", help="frames a round")
    add("--clip-frames", type=int, default=60, metavar="F", help="frames of the whole job")
    add("--rounds", type=int, default=3, metavar="R", help="the fastest counts")
    add("--threads", type=int, default=os.cpu_count() or 1, metavar="N")
    add("--only", nargs="+", metavar="TEXT", help="settings whose names hold one of these")
    add("--ultralytics-python", default=sys.executable, metavar="PYTHON", help="that has ultralytics")
    add("--json", metavar="FILE", help="write the seconds")
    add("--worker", help=argparse.SUPPRESS)
    add("--clip", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    options = parse()
    if options.worker:
        work(options)
        return
    with exit_on_error(), tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, options.size, options.clip_frames)
        best = measure(options, clip)
        print(report(best, options))
        if options.json:
            Path(options.json).write_text(json.dumps(best, indent=2))


if __name__ == "__main__":
    main()
