"""Reads the tensors of a TensorFlow V2 checkpoint without TensorFlow.

A checkpoint `PREFIX` is two files. `PREFIX.index` is a LevelDB table that maps the name of each tensor to a
`BundleEntryProto`: data type, shape, and where its bytes are. `PREFIX.data-00000-of-00001` holds those bytes one after
the other. The formats are described in LevelDB's `doc/table_format.md` and in TensorFlow's `tensor_bundle.proto` and
`lib/core/coding.h`. Every block and every tensor carries a CRC-32C checksum, and each one read here is checked.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

TABLE_MAGIC = 0xDB4775248B80FB57  # the last eight bytes of every LevelDB table
FOOTER_BYTES = 48
BLOCK_TRAILER_BYTES = 5  # one byte names the compression, four are the checksum
FLOAT32 = 1  # DT_FLOAT of TensorFlow's types.proto
CRC32C_POLYNOMIAL = 0x82F63B78  # Castagnoli, bits reversed
MASK_DELTA = 0xA282EAD8


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies in the data file.

    Attributes:
        dtype: TensorFlow's number of the data type; 1 is float32.
        shape: The tensor's dimensions.
        offset: The first byte.
        size: The number of bytes.
        crc: The masked CRC-32C of these bytes.
    """

    dtype: int
    shape: tuple[int, ...]
    offset: int
    size: int
    crc: int


def read_tensors(prefix: str | Path, wanted: Callable[[str], bool]) -> dict[str, npt.NDArray[np.float32]]:
    """Reads the tensors whose names `wanted` accepts.

    Args:
        prefix: The path of the checkpoint without `.index`; a folder with a trailing slash if the files have no name
            before the dot.
        wanted: Decides by name; checkpoints also hold the optimizer's variables, as large as the weights.

    Raises:
        ValueError: A file is damaged, or a tensor is not of type float32.
    """
    entries = read_index(Path(f"{prefix}.index"))
    path = Path(f"{prefix}.data-00000-of-00001")
    with path.open("rb") as file:
        return {name: _tensor(file, path, name, entries[name]) for name in entries if wanted(name)}


def read_index(path: Path) -> dict[str, Entry]:
    """Reads which tensors a checkpoint holds: name -> entry.

    Raises:
        ValueError: The file is not a LevelDB table, is compressed, or a checksum does not fit.
    """
    table = path.read_bytes()
    if len(table) < FOOTER_BYTES or struct.unpack("<Q", table[-8:])[0] != TABLE_MAGIC:
        raise ValueError(
            f"{path} must be the index of a TensorFlow checkpoint: its last bytes are not a LevelDB table's"
        )
    footer = table[-FOOTER_BYTES:]
    _, _, position = _block_handle(footer, 0)  # of the metaindex block, which holds nothing here
    offset, size, _ = _block_handle(footer, position)
    entries = {}
    for _, handle in _records(_block(table, offset, size, path)):
        offset, size, _ = _block_handle(handle, 0)
        for name, value in _records(_block(table, offset, size, path)):
            if name:  # the empty name stands for the header of the checkpoint
                entries[name.decode()] = _entry(value)
    return entries


def masked_crc32c(data: bytes) -> int:
    """Computes the CRC-32C as LevelDB stores it: rotated by 15 bits, plus a constant."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (CRC32C_POLYNOMIAL if value & 1 else 0)
    return value


CRC_TABLE = [_crc_of_byte(value) for value in range(256)]


def _tensor(file: BinaryIO, path: Path, name: str, entry: Entry) -> npt.NDArray[np.float32]:
    if entry.dtype != FLOAT32 or entry.size != 4 * prod(entry.shape):
        raise ValueError(f"{path}: {name} must be float32 in {entry.shape}, got type {entry.dtype}, {entry.size} bytes")
    file.seek(entry.offset)
    data = file.read(entry.size)
    if len(data) != entry.size or masked_crc32c(data) != entry.crc:
        raise ValueError(f"{path}: the checksum of {name} does not fit; the file is damaged, install it again")
    return np.frombuffer(data, "<f4").reshape(entry.shape)


def _block(table: bytes, offset: int, size: int, path: Path) -> bytes:
    """Cuts a block out of a table and checks it; its trailer follows it."""
    block, trailer = table[offset : offset + size], table[offset + size : offset + size + BLOCK_TRAILER_BYTES]
    if len(trailer) != BLOCK_TRAILER_BYTES or trailer[0] != 0:
        raise ValueError(f"{path} must have whole blocks without compression")
    if masked_crc32c(block + trailer[:1]) != struct.unpack("<I", trailer[1:])[0]:
        raise ValueError(f"{path}: the checksum of a block does not fit; the file is damaged, install it again")
    return block


def _records(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of a block. Each key leaves out the bytes that it shares with the key before it."""
    restarts = struct.unpack("<I", block[-4:])[0]
    position, end, key = 0, len(block) - 4 - 4 * restarts, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length


def _entry(message: bytes) -> Entry:
    """Parses a BundleEntryProto; a field that is left out is zero, an empty shape is a scalar's."""
    fields = dict(_fields(message))
    sizes = [dict(_fields(value)) for number, value in _fields(fields.get(2, b"")) if number == 2]
    shape = tuple(size.get(1, 0) for size in sizes)
    return Entry(fields.get(1, 0), shape, fields.get(4, 0), fields.get(5, 0), fields.get(6, 0))


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yields the number and the value, an int or bytes, of each field of a protocol-buffer message."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield number, value
        elif wire_type == 2:
            length, position = _varint(message, position)
            yield number, message[position : position + length]
            position += length
        else:  # 5 is four bytes: a checksum
            yield number, struct.unpack_from("<I", message, position)[0]
            position += 4


def _block_handle(data: bytes, position: int) -> tuple[int, int, int]:
    offset, position = _varint(data, position)
    size, position = _varint(data, position)
    return offset, size, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Reads a number of seven bits a byte, the lowest first; gives it and the position behind it."""
    value = shift = 0
    while data[position] & 0x80:
        value |= (data[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
    return value | data[position] << shift, position + 1
