"""The command line that tracks people, without a network."""

from types import SimpleNamespace

import pytest
from rectangles import stand_in

from fastpose_mtn import build
from fastpose_mtn.commands import track as track_video


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs the command line; gives its exit status, output, errors and what the network was asked for."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, estimator=None):
        fake = stand_in(estimator)
        monkeypatch.setattr(build, "build_pose_tracking", fake.build)
        with pytest.raises(SystemExit) as stop:
            track_video.main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return SimpleNamespace(status=stop.value.code, out=captured.out, err=captured.err, asked=fake.asked)

    return run
