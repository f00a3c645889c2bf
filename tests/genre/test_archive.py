import contextlib
import gzip
import io
import os
import random
import re
import stat
import subprocess
import tarfile
import tempfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre.corpus import archives
from genre.corpus.archives import ArchiveError, Limits, members, unpack

CONTENT = {"top/blues/blues.00000.wav": random.Random(1).randbytes(70_000), "top/jazz/a b.mp3": b"b" * 1000, "c": b""}
ROOM = {"max_bytes": 10**7, "max_members": 100, "max_ratio": 1000}
WRITERS = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}
STARTS = [b"PK\3\4", b"PK\5\6", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b""]
FORMATS = [*WRITERS, "zip"]


def make(path, content, kind="tar.gz"):
    """Writes an archive of `content`, a mapping of names to bytes; None makes a folder."""
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in content.items():
                file.writestr(name + ("/" if data is None else ""), data or b"")
        return path
    with tarfile.open(path, WRITERS[kind]) as file:
        for name, data in content.items():
            add(file, name, data)
    return path


def add(file, name, data, **attributes):
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
    member.size = len(data or b"")
    for key, value in attributes.items():
        setattr(member, key, value)
    file.addfile(member, io.BytesIO(data or b""))


def read(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def archive_of(folder, data):
    (folder / "a").write_bytes(data)
    return folder / "a"


def reason(archive, **limits):
    """The text of the refusal; checks that it is one line and that nothing is left behind or written elsewhere."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(ArchiveError) as error:
        unpack(archive, archive.parent / "out", **ROOM | limits)
    assert sorted(archive.parent.rglob("*")) == before
    assert str(error.value).isprintable()
    return str(error.value)


# ------------------------------------------------------------------------------------------------ what is unpacked


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("exists", [False, True])
def test_an_archive_is_unpacked_whole_whatever_its_name(tmp_path, kind, exists):
    archive = make(tmp_path / "music", CONTENT | {"empty": None}, kind)
    if exists:
        (tmp_path / "out").mkdir()
    unpack(archive, tmp_path / "out", **ROOM)
    assert read(tmp_path / "out") == CONTENT
    assert (tmp_path / "out" / "empty").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["music", "out"]


def test_members_come_in_the_archive_s_order(tmp_path):
    content = {"z": b"1", "a": b"2", "m/n": b"3"}
    for kind in FORMATS:
        archive = make(tmp_path / "music", content, kind)
        found = [(name, reader.read(10)) for name, reader in members(archive, Limits(**ROOM))]
        assert found == list(content.items())


def test_the_root_and_repeated_folders_are_no_fault(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        for name in ("./", "./blues/", "./blues", ".//blues/./"):
            add(file, name, None)
        add(file, "./blues/a.wav", b"a")
    unpack(tmp_path / "a.tar", tmp_path / "out", **ROOM)
    assert read(tmp_path / "out") == {"blues/a.wav": b"a"}


def test_files_get_plain_modes(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        add(file, "d", None, mode=0o7000)
        add(file, "d/a.sh", b"#!", mode=0o6777)
        add(file, "d/secret", b"#!", mode=0)
    unpack(tmp_path / "a.tar", tmp_path / "out", **ROOM)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").rglob("*")}
    umask = os.umask(0)
    os.umask(umask)
    assert modes == {"d": 0o777 & ~umask, "a.sh": 0o666 & ~umask, "secret": 0o666 & ~umask}


def test_names_of_many_kinds_survive(tmp_path):
    content = {
        name: name.encode() for name in ("Sigur Rós/Ára bátur", "曲.wav", "Op. 5: Allegro", "...", "-x", "é" * 120, "~")
    }
    for kind in FORMATS:
        unpack(make(tmp_path / "a", content, kind), tmp_path / kind, **ROOM)
        assert read(tmp_path / kind) == content


def test_a_gnu_sparse_file_is_filled(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1_000_000)
        file.seek(500_000)
        file.write(b"middle")
    made = subprocess.run(["tar", "-S", "-cf", "a.tar", "sparse"], cwd=tmp_path, check=False, capture_output=True)
    if made.returncode:
        pytest.skip("needs GNU tar")
    unpack(tmp_path / "a.tar", tmp_path / "out", **ROOM)
    assert read(tmp_path / "out") == {"sparse": (tmp_path / "sparse").read_bytes()}


def test_what_a_killed_run_left_is_cleared(tmp_path):
    (tmp_path / ".out.unfinished" / "top").mkdir(parents=True)
    (tmp_path / ".out.unfinished" / "c").write_bytes(b"old")
    unpack(make(tmp_path / "a", CONTENT), tmp_path / "out", **ROOM)
    assert read(tmp_path / "out") == CONTENT
    assert not (tmp_path / ".out.unfinished").exists()


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_what_is_there_is_not_overwritten(tmp_path, there):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").write_text("")
    if there == "file":
        (tmp_path / "out").write_text("precious")
    else:
        (tmp_path / "other").rename(tmp_path / "out") if there == "folder" else (tmp_path / "out").symlink_to("other")
    before = sorted(tmp_path.rglob("*"))
    archive = make(tmp_path / "a", CONTENT)
    with pytest.raises(ValueError, match="out must be missing or an empty folder to unpack into; remove it"):
        unpack(archive, tmp_path / "out", **ROOM)
    archive.unlink()
    assert sorted(tmp_path.rglob("*")) == before


# ------------------------------------------------------------------------------------------------ names


BAD_NAMES = {
    "../a": "has .. in its path",
    "a/../../b": "has .. in its path",
    "a/..": "has .. in its path",
    "/etc/a": "has an absolute path",
    "//host/a": "has an absolute path",
    "C:/a": "has an absolute path",
    "c:a": "has an absolute path",
    "..\\a": "has a backslash in its name",
    "\\\\host\\a": "has a backslash in its name",
    "a\nb": "has control characters",
    "a\x1b[31mb": "has control characters",
    "a\x85b": "has control characters",
    "a\u2028b": "has control characters",
    "a/" * 501 + "a": "has too long a name",
    "é" * 128: "has too long a name",
    ".": "has no name",
}


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_could_leave_the_folder_or_fool_a_reader_is_refused(tmp_path, name, kind):
    archive = make(tmp_path / "a", {"good": b"1", name: b"2"}, kind)
    text = reason(archive)
    assert f"is refused: member {name[:200]!r} {BAD_NAMES[name]}" in text
    assert text.endswith("; unpack it by hand if you trust it, and name the folder in data.path")


@pytest.mark.parametrize("name", ["../a", "/a", "a\\b", "a\nb"])
def test_folders_names_are_checked_too(tmp_path, name):
    for kind in ("tar", "zip"):
        assert BAD_NAMES.get(name, "has ")[:10] in reason(make(tmp_path / kind, {name: None}, kind))


def test_a_zero_byte_in_a_zip_s_name_is_refused(tmp_path):
    data = make(tmp_path / "a", {"a0b": b"1"}, "zip").read_bytes()
    (tmp_path / "a").write_bytes(data.replace(b"a0b", b"a\0b"))
    assert r"member 'a\x00b' has control characters" in reason(tmp_path / "a")


def test_a_name_that_is_not_utf_8_is_refused(tmp_path):
    data = make(tmp_path / "a", {"xxx": b"1"}, "tar").read_bytes()
    header = b"\xff" + data[1:512]  # and its checksum, without the 8 bytes that hold it
    total = sum(header[:148]) + 8 * 32 + sum(header[156:])
    (tmp_path / "a").write_bytes(header[:148] + b"%06o\0 " % total + header[156:] + data[512:])
    assert "bytes that are not UTF-8" in reason(tmp_path / "a")


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a", "A"),
        ("Straße", "STRASSE"),
        ("é", "e\u0301"),
        ("Blues/a", "blues/b"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("x/a", "x//a"),
        ("x/a", "./x/a"),
    ],
)
def test_names_that_some_file_system_takes_for_one_are_refused(tmp_path, first, second, kind):
    assert "has the name of an earlier member" in reason(make(tmp_path / "a", {first: b"1", second: b"2"}, kind))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(tmp_path):
    with tarfile.open(tmp_path / "tar", "w") as tar, zipfile.ZipFile(tmp_path / "zip", "w") as packed:
        for _ in range(2):
            add(tar, "a", b"1")
            packed.writestr("a", b"1")
    for kind in ("tar", "zip"):
        assert "member 'a' has the name of an earlier member, 'a'" in reason(tmp_path / kind)


# ------------------------------------------------------------------------------------------------ kinds


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (tarfile.SYMTYPE, "is a symbolic link to '/etc'"),
        (tarfile.LNKTYPE, "is a hard link to '/etc'"),
        (tarfile.CHRTYPE, "is a device or pipe"),
        (tarfile.BLKTYPE, "is a device or pipe"),
        (tarfile.FIFOTYPE, "is a device or pipe"),
        (b"M", "is of the unknown type b'M'"),
    ],
)
def test_what_is_neither_file_nor_folder_is_refused(tmp_path, kind, text):
    with tarfile.open(tmp_path / "a", "w") as file:
        add(file, "odd", b"", type=kind, linkname="/etc")
        add(file, "odd/passwd", b"")
    assert f"member 'odd' {text}" in reason(tmp_path / "a")


@pytest.mark.parametrize(
    ("kind", "text"), [(stat.S_IFLNK, "is a symbolic link"), (stat.S_IFIFO, "is a device or pipe")]
)
def test_what_is_neither_file_nor_folder_is_refused_in_a_zip(tmp_path, kind, text):
    member = zipfile.ZipInfo("odd")
    member.create_system, member.external_attr = 3, (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a", "w") as file:
        file.writestr(member, "/etc")
    assert f"member 'odd' {text}" in reason(tmp_path / "a")


def test_an_encrypted_zip_is_refused(tmp_path):
    data = bytearray(make(tmp_path / "a", {"secret": b"1"}, "zip").read_bytes())
    data[6] |= 1  # the flag, in the member's own header and in the list at the end
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a").write_bytes(data)
    assert "member 'secret' is encrypted" in reason(tmp_path / "a")


# ------------------------------------------------------------------------------------------------ size


@pytest.mark.parametrize("kind", FORMATS)
def test_the_limit_of_bytes_is_exact(tmp_path, kind):
    archive = make(tmp_path / "a", {"a": b"1" * 600, "b": b"2" * 400}, kind)
    unpack(archive, tmp_path / "whole", **ROOM | {"max_bytes": 1000})
    assert "must unpack to 999 bytes at most, got more" in reason(archive, max_bytes=999)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_limit_of_members_is_exact(tmp_path, kind):
    archive = make(tmp_path / "a", {"a": b"1", "b": None, "c": b"2"}, kind)
    unpack(archive, tmp_path / "whole", **ROOM | {"max_members": 3})
    assert "must have 2 members at most, got more" in reason(archive, max_members=2)


@pytest.mark.parametrize("kind", FORMATS[1:])
def test_a_bomb_is_refused_by_what_it_unpacks_to(tmp_path, kind):
    archive = make(tmp_path / "a", {"zeros": bytes(5_000_000)}, kind)
    size = archive.stat().st_size
    assert f"must unpack to 100 times its {size} bytes at most, got more" in reason(archive, max_ratio=100)


def test_a_bomb_in_a_zip_that_claims_to_be_small_is_refused(tmp_path):
    data = make(tmp_path / "a", {"zeros": bytes(5_000_000)}, "zip").read_bytes()
    (tmp_path / "a").write_bytes(data.replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    assert "is cut off or damaged: Bad CRC-32" in reason(tmp_path / "a")


def test_a_sparse_bomb_is_refused(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10**10)
    made = subprocess.run(["tar", "-S", "-cf", "a.tar", "sparse"], cwd=tmp_path, check=False, capture_output=True)
    (tmp_path / "sparse").unlink()
    if made.returncode:
        pytest.skip("needs GNU tar")
    assert "must unpack to" in reason(tmp_path / "a.tar")


@pytest.mark.parametrize("place", ["header", "tail"])
def test_a_bomb_outside_of_the_members_is_refused_within_little_memory(tmp_path, place):
    with gzip.open(tmp_path / "a", "wb", 1) as file:
        if place == "header":
            long_name = tarfile.TarInfo("././@LongLink")
            long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 200_000_000
            file.write(long_name.tobuf(tarfile.GNU_FORMAT))
        else:
            file.write(tarfile.TarInfo("a").tobuf())
        for _ in range(50):
            file.write(bytes(1_000_000))
    tracemalloc.start()
    try:
        text = reason(tmp_path / "a")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert "a header has more than 131072 bytes" in text


def test_long_chains_of_headers_are_refused(tmp_path):
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 1
    (tmp_path / "a").write_bytes((long_name.tobuf(tarfile.GNU_FORMAT) + b"x" + bytes(511)) * 2000)
    assert "a header has more than" in reason(tmp_path / "a")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_million_members_are_not_listed_to_be_refused(tmp_path, kind):
    archive = tmp_path / "a"
    if kind == "tar":
        folder = tarfile.TarInfo("same")  # a folder may come again
        folder.type = tarfile.DIRTYPE
        header = folder.tobuf()
        with gzip.open(archive, "wb", 1) as file:
            for _ in range(100):
                file.write(header * 10_000)
    else:
        entry = make(archive, {"0000000": b""}, "zip").read_bytes()
        start, end = entry.index(b"PK\1\2"), entry.index(b"PK\5\6")
        listing = entry[start:end] * 65_535 * 15
        tail = entry[end : end + 12] + len(listing).to_bytes(4, "little") + entry[end + 16 :]
        archive.write_bytes(entry[:start] + listing + tail)
    begin = time.monotonic()
    assert "must have 1000 members at most" in reason(archive, max_members=1000)
    assert time.monotonic() - begin < 2


def test_a_full_list_of_a_zip_is_not_read_to_refuse_it(tmp_path, monkeypatch):
    archive = make(tmp_path / "a", {f"{n}": b"" for n in range(3000)}, "zip")
    made = []

    class Counted(zipfile.ZipInfo):
        def __init__(self, *args):
            made.append(1)
            super().__init__(*args)

    monkeypatch.setattr(zipfile, "ZipInfo", Counted)
    assert "must have 100 members at most" in reason(archive)
    assert len(made) == 101


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
def test_a_full_disk_is_told_in_one_line(tmp_path, monkeypatch):
    archive = make(tmp_path / "a", CONTENT)
    plain = Path.open
    full = Path("/dev/full")
    monkeypatch.setattr(Path, "open", lambda path, mode: plain(full, "wb") if mode == "xb" else plain(path, mode))
    with pytest.raises(ValueError, match="out must have room for what is unpacked, got: No space left on device; make"):
        unpack(archive, tmp_path / "out", **ROOM)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


# ------------------------------------------------------------------------------------------------ damage


NOT_ARCHIVES = {
    "nothing": b"",
    "text": b"hello\n" * 1000,
    "page": b"<!DOCTYPE html><html>" + b" " * 5000,
    "zeros": bytes(100),
    "gzip of text": gzip.compress(b"hello\n" * 1000),
    "gzip of nothing": gzip.compress(b""),
    "rar": b"Rar!\x1a\x07\x01\x00" + bytes(600),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(600),
}


@pytest.mark.parametrize("name", NOT_ARCHIVES)
def test_what_is_no_archive_is_told(tmp_path, name):
    (tmp_path / "a").write_bytes(NOT_ARCHIVES[name])
    assert "a is not a tar or zip archive" in reason(tmp_path / "a")


def test_what_is_no_file_is_told(tmp_path):
    with pytest.raises(ArchiveError, match="must be a tar or zip archive, got a folder"):
        unpack(tmp_path, tmp_path / "out", **ROOM)
    with pytest.raises(ArchiveError, match="must be a tar or zip archive, got nothing"):
        unpack(tmp_path / "missing", tmp_path / "out", **ROOM)


def cuts(size):
    """Places to cut a file: near its ends, around tar's blocks, and at random."""
    places = {*range(1, 40), *range(size - 40, size), *range(512, size, 512 * 7), *range(10_239, size, 10_240)}
    return sorted(place for place in places | {random.Random(4).randrange(size) for _ in range(40)} if 0 < place < size)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_archive_cut_anywhere_is_refused(tmp_path, kind):
    content = {"a": random.Random(5).randbytes(3000), "b": bytes(2048), "c": random.Random(6).randbytes(3000)}
    whole = make(tmp_path / "a", content, kind).read_bytes()
    if kind == "tar":
        # The members with their headers, and the first block of zeros, which is the archive's end.
        whole = whole[: 3 * 512 + 3072 + 2048 + 3072 + 512]
        unpack(archive_of(tmp_path, whole), tmp_path / "whole", **ROOM)
    for place in cuts(len(whole)):
        assert re.search(
            "is cut off or damaged|is not a tar or zip archive", reason(archive_of(tmp_path, whole[:place]))
        )


@pytest.mark.parametrize(("kind", "place"), [("tar.gz", -6), ("tar.bz2", 10), ("tar.xz", -30)])
def test_an_archive_whose_checksum_does_not_fit_is_refused(tmp_path, kind, place):
    data = bytearray(make(tmp_path / "a", CONTENT, kind).read_bytes())
    data[place] ^= 1
    (tmp_path / "a").write_bytes(data)
    assert "is cut off or damaged" in reason(tmp_path / "a")


def test_a_broken_header_in_the_middle_does_not_end_the_archive(tmp_path):
    data = bytearray(make(tmp_path / "a", {"a": b"1", "b": b"2", "c": b"3"}, "tar").read_bytes())
    data[1024 + 150] ^= 1  # in the checksum of b's header
    (tmp_path / "a").write_bytes(data)
    assert "is cut off or damaged: bad checksum" in reason(tmp_path / "a")


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(FORMATS), place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_changed_byte_is_refused_or_harmless_and_never_more(kind, place, flip):
    content = {"x/a": random.Random(7).randbytes(400), "x/b": b"b" * 400, "y": None}
    with tempfile.TemporaryDirectory() as folder:
        archive = make(Path(folder) / "a", content, kind)
        data = bytearray(archive.read_bytes())
        data[int(place * len(data))] ^= flip
        archive.write_bytes(data)
        with contextlib.suppress(ArchiveError):
            unpack(archive, Path(folder) / "out", **ROOM)
        assert {path.name for path in Path(folder).iterdir()} <= {"a", "out"}


@settings(max_examples=50, deadline=None)
@given(start=st.sampled_from(STARTS), data=st.binary(max_size=2000))
def test_random_bytes_are_refused(start, data):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a").write_bytes(start + data)
        with pytest.raises(ArchiveError, match=r"is cut off or damaged|is not a tar or zip archive"):
            unpack(Path(folder) / "a", Path(folder) / "out", **ROOM)


def test_a_zip_whose_list_points_before_the_file_is_refused(tmp_path):
    data = bytearray(make(tmp_path / "a", {"a": b"1"}, "zip").read_bytes())
    end = data.index(b"PK\5\6")
    data[end + 16 : end + 20] = (2**30).to_bytes(4, "little")
    assert "is cut off or damaged" in reason(archive_of(tmp_path, data))


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(self, count):
        raise KeyboardInterrupt

    archive = make(tmp_path / "a", CONTENT)
    monkeypatch.setattr(archives._Tally, "add_bytes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "out", **ROOM)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_a_member_nobody_reads_is_checked_and_counted_too(tmp_path):
    archive = make(tmp_path / "a", CONTENT)
    with pytest.raises(ArchiveError, match="must unpack to 1000 bytes at most"):
        list(members(archive, Limits(max_bytes=1000, max_members=10, max_ratio=100)))
