"""Reading a TensorFlow checkpoint that the test itself writes, whole and damaged."""

import struct
from pathlib import Path

import numpy as np
import pytest

from genre.network.musicnn.tensorflow_checkpoint import TABLE_MAGIC, Entry, masked_crc32c, read_index, read_tensors


def varint(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def message(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value


def bundle_entry(array: np.ndarray, offset: int, dtype: int = 1) -> bytes:
    shape = b"".join(message(2, number(1, size)) for size in array.shape)
    crc = varint(6 << 3 | 5) + struct.pack("<I", masked_crc32c(array.tobytes()))
    return number(1, dtype) + message(2, shape) + number(4, offset) + number(5, array.nbytes) + crc


def block(records: list[tuple[bytes, bytes]]) -> bytes:
    """A LevelDB block; keys leave out what they share with the key before, as TensorFlow's do."""
    content, last = b"", b""
    for key, value in records:
        shared = next((n for n, (a, b) in enumerate(zip(key, last, strict=False)) if a != b), min(len(key), len(last)))
        content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return content + struct.pack("<II", 0, 1)  # one restart, at the start


def with_trailer(content: bytes) -> bytes:
    return content + b"\0" + struct.pack("<I", masked_crc32c(content + b"\0"))


def write_checkpoint(prefix: str, tensors: dict[str, np.ndarray], dtype: int = 1) -> None:
    records, data = [(b"", number(1, 1))], b""
    for name, array in sorted(tensors.items()):
        records.append((name.encode(), bundle_entry(array, len(data), dtype)))
        data += array.tobytes()
    entries = with_trailer(block(records))
    index = with_trailer(block([(b"~", varint(0) + varint(len(entries) - 5))]))
    footer = varint(0) + varint(0) + varint(len(entries)) + varint(len(index) - 5)
    table = entries + index + footer.ljust(40, b"\0") + struct.pack("<Q", TABLE_MAGIC)
    Path(f"{prefix}.index").write_bytes(table)
    Path(f"{prefix}.data-00000-of-00001").write_bytes(data)


TENSORS = {
    "conv2d/kernel": np.arange(6, dtype="<f4").reshape(1, 2, 3),
    "conv2d/bias": np.array([1.5, -2.0, 3.0], "<f4"),
    "beta_power": np.float32(0.5).reshape(()),
    "conv2d/bias/Adam": np.zeros(3, "<f4"),
}


@pytest.fixture
def prefix(tmp_path) -> str:
    write_checkpoint(f"{tmp_path}/", TENSORS)
    return f"{tmp_path}/"


def test_tensors_come_back_as_they_were_written(prefix):
    read = read_tensors(prefix, lambda name: True)
    assert read.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        assert read[name].shape == array.shape
        np.testing.assert_array_equal(read[name], array)


def test_only_the_wanted_tensors_are_read(prefix):
    assert set(read_tensors(prefix, lambda name: "Adam" not in name)) == set(TENSORS) - {"conv2d/bias/Adam"}


def test_the_index_says_where_each_tensor_lies(tmp_path, prefix):
    entry = read_index(tmp_path / ".index")["conv2d/kernel"]
    assert entry == Entry(1, (1, 2, 3), 28, 24, masked_crc32c(TENSORS["conv2d/kernel"].tobytes()))


def test_crc32c_agrees_with_the_published_value():
    # RFC 3720, B.4: the checksum of 32 zero bytes is 8a9136aa; the mask is undone here.
    masked = (masked_crc32c(bytes(32)) - 0xA282EAD8) & 0xFFFFFFFF
    assert (masked << 15 | masked >> 17) & 0xFFFFFFFF == 0x8A9136AA


def flip(path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_damaged_tensor_is_found(tmp_path, prefix):
    flip(tmp_path / ".data-00000-of-00001", 30)
    with pytest.raises(ValueError, match="the checksum of conv2d/kernel does not fit; the file is damaged, install it"):
        read_tensors(prefix, lambda name: True)


def test_a_data_file_cut_short_is_found(tmp_path, prefix):
    path = tmp_path / ".data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="the checksum of conv2d/kernel does not fit"):
        read_tensors(prefix, lambda name: True)


def test_a_damaged_index_is_found(tmp_path, prefix):
    flip(tmp_path / ".index", 20)
    with pytest.raises(ValueError, match="the checksum of a block does not fit; the file is damaged"):
        read_tensors(prefix, lambda name: True)


@pytest.mark.parametrize("content", [b"", b"not a table", bytes(100)])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / ".index").write_bytes(content)
    with pytest.raises(ValueError, match="must be the index of a TensorFlow checkpoint"):
        read_index(tmp_path / ".index")


def test_a_tensor_of_another_type_is_refused(tmp_path):
    write_checkpoint(f"{tmp_path}/", {"step": np.zeros(2, "<f4")}, dtype=9)
    with pytest.raises(ValueError, match=r"step must be float32 in \(2,\), got type 9, 8 bytes"):
        read_tensors(f"{tmp_path}/", lambda name: True)


def test_a_compressed_block_is_refused(tmp_path, prefix):
    path = tmp_path / ".index"
    end_of_first_block = path.read_bytes().index(struct.pack("<II", 0, 1)) + 8
    flip(path, end_of_first_block)  # the byte that names the compression
    with pytest.raises(ValueError, match="must have whole blocks without compression"):
        read_index(path)
