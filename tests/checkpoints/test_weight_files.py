import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest
import torch

from fastpose_mtn.checkpoints.weight_files import read_metadata, read_weight_file, write_weight_file

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2])}


class Bomb:
    """What a malicious file would hold: unpickling it runs a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def same(found):
    return set(found) == set(TENSORS) and all(torch.equal(found[n], TENSORS[n]) for n in TENSORS)


def test_safetensors_round_trip(tmp_path):
    path = tmp_path / "w.safetensors"
    write_weight_file(path, {**TENSORS, "a": TENSORS["a"].t().contiguous().t()}, {"config": "X: 1"})
    found = read_weight_file(path)
    assert same(found.tensors)
    assert found.metadata == read_metadata(path) == {"config": "X: 1"}
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_others_may_read_what_they_may_read_of_any_file(tmp_path):
    write_weight_file(tmp_path / "w.safetensors", TENSORS, {})
    (tmp_path / "plain").touch()
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    "wrap", [lambda t: t, lambda t: {"model": t, "epoch": 3}, lambda t: {"state_dict": t}]
)
def test_torch_files(tmp_path, wrap):
    path = tmp_path / "w.pth"
    torch.save(wrap(TENSORS), path)
    assert same(read_weight_file(path).tensors)
    assert read_metadata(path) == {}


def test_data_parallels_prefix_is_taken_off_where_all_names_have_it(tmp_path):
    apart = {f"module.{name}": tensor for name, tensor in TENSORS.items()}
    torch.save({"state_dict": apart}, tmp_path / "w.pth")
    write_weight_file(tmp_path / "w.safetensors", apart, {})
    assert same(read_weight_file(tmp_path / "w.pth").tensors)
    assert same(read_weight_file(tmp_path / "w.safetensors").tensors)
    torch.save({**apart, "c": torch.zeros(1)}, tmp_path / "some.pth")
    assert set(read_weight_file(tmp_path / "some.pth").tensors) == {"module.a", "module.b", "c"}


@pytest.mark.parametrize("protocol", [2, 4])
def test_detectron2_pickles(tmp_path, protocol):
    path = tmp_path / "model.pkl"
    arrays = OrderedDict((n, t.numpy()) for n, t in TENSORS.items())
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "zoo"}, protocol=protocol))
    assert same(read_weight_file(path).tensors)


@pytest.mark.parametrize("padding", range(0, 256, 8))
def test_safetensors_whose_length_begins_like_a_pickle(tmp_path, padding):
    """The first byte is the header's length modulo 256: it takes every multiple of eight, 0x80 too."""
    path = tmp_path / "w.safetensors"
    write_weight_file(path, TENSORS, {"config": "x" * padding})
    assert same(read_weight_file(path).tensors)
    assert read_metadata(path) == {"config": "x" * padding}


def test_extension_does_not_matter(tmp_path):
    path = tmp_path / "model.pkl"
    write_weight_file(path, TENSORS, {})
    assert same(read_weight_file(path).tensors)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, 2))])
def test_code_is_refused_and_not_run(tmp_path, write):
    target = tmp_path / "created"
    path = tmp_path / "evil.bin"
    write({"a": Bomb(target)}, path)
    with pytest.raises(ValueError, match=r"evil\.bin: refused: it .*could run code"):
        read_weight_file(path)
    assert not target.exists()


def test_codec_trick_is_refused(tmp_path):
    """``_codecs.encode`` is admitted for bytes only, not for codecs that transform."""
    path = tmp_path / "evil.pkl"
    path.write_bytes(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.")
    with pytest.raises(ValueError, match="encodes text as 'rot13'"):
        read_weight_file(path)


def test_arrays_of_objects_are_refused(tmp_path):
    path = tmp_path / "w.pkl"
    path.write_bytes(pickle.dumps({"a": np.array([1, "x"], dtype=object)}, protocol=2))
    with pytest.raises(ValueError, match=r"w\.pkl: expected tensors only, got ndarray for 'a'"):
        read_weight_file(path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a weights file"),
        (b"GIF89a123", "not a weights file; expected safetensors, a PyTorch file or Detectron2's .pkl"),
        (b"PK\x03\x04 broken zip", "damaged weights file"),
        (b"\x80\x02broken", "damaged weights file|refused"),
        (struct.pack("<Q", 10**12) + b"{}", "damaged weights file"),
        (struct.pack("<Q", 4) + b"{{{{", "damaged weights file"),
        (pickle.dumps([1, 2], 2), "expected a state dict .* got list"),
        (pickle.dumps({}, 2), "there are no weights in it"),
        (pickle.dumps({"a": "text"}, 2), "expected tensors only, got str for 'a'"),
    ],
)
def test_damaged_files(tmp_path, content, text):
    path = tmp_path / "w.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=text):
        read_weight_file(path)


def test_truncated_file(tmp_path):
    path = tmp_path / "w.safetensors"
    write_weight_file(path, {"a": torch.zeros(1000)}, {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged weights file"):
        read_weight_file(path)


def test_missing_file(tmp_path):
    for read in (read_weight_file, read_metadata):
        with pytest.raises(ValueError, match="weights file not found: .*nowhere"):
            read(tmp_path / "nowhere")
