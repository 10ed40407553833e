import io
import signal
import sys

import pytest

from fastpose_mtn.errors import InputError, exit_on_error


@pytest.mark.parametrize(
    "error", [InputError("a.mp4: not a video;\n  give one"), ValueError("a.mp4: not a video; give one")]
)
def test_bad_input_is_one_line_and_status_2(capsys, error):
    with pytest.raises(SystemExit) as stop, exit_on_error():
        raise error
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: a.mp4: not a video; give one\n"


def test_a_failing_file_is_named(capsys, tmp_path):
    with pytest.raises(SystemExit) as stop, exit_on_error():
        (tmp_path / "absent").read_bytes()
    assert stop.value.code == 2
    assert "absent: No such file or directory" in capsys.readouterr().err


def test_a_name_that_the_terminal_cannot_show_is_no_failure(monkeypatch):
    """Of files from other systems; it came when all the work was done."""
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    monkeypatch.setattr(sys, "stdout", terminal)
    with exit_on_error():
        print("caf\udce9.mp4 é")
    terminal.flush()
    assert terminal.buffer.getvalue().decode().strip() == "caf\\udce9.mp4 é"


def test_a_defect_keeps_its_traceback():
    with pytest.raises(RuntimeError, match="a defect"), exit_on_error():
        raise RuntimeError("a defect")


def test_ctrl_c_ends_with_130():
    with pytest.raises(SystemExit) as stop, exit_on_error():
        raise KeyboardInterrupt
    assert stop.value.code == 130


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_sigterm_and_a_hang_up_clean_up_as_ctrl_c_does(capsys, number, status):
    before, cleaned = signal.getsignal(number), []

    def work():
        try:
            signal.raise_signal(number)
        finally:
            cleaned.append(True)

    with pytest.raises(SystemExit) as stop, exit_on_error():
        work()
    assert (stop.value.code, cleaned, capsys.readouterr().err) == (status, [True], "interrupted\n")
    assert signal.getsignal(number) == before


def test_nohup_keeps_the_hang_up_off():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with exit_on_error():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
