"""A corpus's worker without a network: what is written in a "video" says what becomes of it."""

import os
import time

from fastpose_mtn.corpus.place import Place
from fastpose_mtn.corpus.worker import Ready, Result

SETTINGS = {"TRACKER.STRATEGY": "iou"}


class ScriptedWorker:
    """Of a file that says ``frames 3`` there are three; ``crash`` ends the process, ``wait`` goes on and on."""

    def __init__(self, settings=None):
        self._settings = settings or SETTINGS
        self._done = 0

    def load(self, probe):
        if probe is not None and not Place.of(probe).fs.exists(Place.of(probe).path):
            return Ready(problem=f"{probe}: not seen")
        return Ready(self._settings, machine=f"machine-{os.getpid()}")

    def frames(self):
        return self._done

    def track(self, job):
        source = Place.of(job.source)
        word, _, number = (job.content or source.fs.cat_file(source.path)).decode().partition(" ")
        if word == "crash":
            os._exit(1)
        if word == "raise":
            raise RuntimeError("a defect")
        if word == "bad":
            return Result(problem=f"{job.source}: not a video")
        if word == "hiccup":
            return Result(problem="the storage does not answer", again=True)
        result = f"{word} {number}".encode()
        while word == "wait":
            self._done += 1
            time.sleep(0.01)
        if not job.give:
            (Place.of(job.folder) / f"{job.name}.json").write_whole(result)
        return Result(frames=int(number), files=(f"{job.name}.json",), contents=(result,) if job.give else ())
