import contextlib
import gzip
import io
import os
import random
import stat
import tarfile
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre.corpus.archives import unpack

CONTENT = {"top/blues/blues.00000.wav": random.Random(1).randbytes(70_000), "top/jazz/a b.mp3": b"b" * 1000, "c": b""}
LIMITS = {"max_bytes": 10**7, "max_members": 100, "max_ratio": 1000}
WRITERS = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}
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


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_refused(archive, text, **limits):
    """Unpacking must fail with `text` (a regular expression), in one line, and leave nothing anywhere."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(ValueError, match=f"a must be a whole and harmless tar or zip archive, got: .*{text}") as error:
        unpack(archive, archive.parent / "out", **LIMITS | limits)
    assert sorted(archive.parent.rglob("*")) == before
    assert str(error.value).isprintable()
    assert str(error.value).endswith(
        "; fetch it again, or unpack it by hand if you trust it, and name the folder in data.path"
    )


# ------------------------------------------------------------------------------------------------ what is unpacked


@pytest.mark.parametrize("kind", FORMATS)
def test_an_archive_is_unpacked_whole_whatever_its_name(tmp_path, kind):
    archive = make(tmp_path / "music", CONTENT | {"empty": None}, kind)
    unpack(archive, tmp_path / "out", **LIMITS)
    assert contents(tmp_path / "out") == CONTENT
    assert (tmp_path / "out" / "empty").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["music", "out"]


def test_the_root_and_repeated_folders_are_no_fault(tmp_path):
    with tarfile.open(tmp_path / "a", "w") as file:
        for name in ("./", "./blues/", "./blues", ".//blues/./"):
            add(file, name, None)
        add(file, "./blues/a.wav", b"a")
    unpack(tmp_path / "a", tmp_path / "out", **LIMITS)
    assert contents(tmp_path / "out") == {"blues/a.wav": b"a"}


def test_files_get_plain_modes(tmp_path):
    with tarfile.open(tmp_path / "a", "w") as file:
        add(file, "d", None, mode=0o7000)
        add(file, "d/a.sh", b"#!", mode=0o6777)
        add(file, "d/secret", b"#!", mode=0)
    unpack(tmp_path / "a", tmp_path / "out", **LIMITS)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").rglob("*")}
    umask = os.umask(0)
    os.umask(umask)
    assert modes == {"d": 0o777 & ~umask, "a.sh": 0o666 & ~umask, "secret": 0o666 & ~umask}


@pytest.mark.parametrize("kind", FORMATS)
def test_names_of_many_kinds_survive(tmp_path, kind):
    names = ("Sigur Rós/Ára bátur", "曲.wav", "Op. 5: Allegro", "...", "-x", "é" * 120, "~", "a\\b", "a\nb")
    content = {name: name.encode() for name in names}
    unpack(make(tmp_path / "a", content, kind), tmp_path / "out", **LIMITS)
    assert contents(tmp_path / "out") == content


def test_what_a_killed_run_left_is_cleared(tmp_path):
    (tmp_path / ".out.unfinished" / "top").mkdir(parents=True)
    (tmp_path / ".out.unfinished" / "c").write_bytes(b"old")
    unpack(make(tmp_path / "a", CONTENT), tmp_path / "out", **LIMITS)
    assert contents(tmp_path / "out") == CONTENT
    assert not (tmp_path / ".out.unfinished").exists()


# ------------------------------------------------------------------------------------------------ names and kinds


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("name", ["../a", "a/../../b", "/../a"])
@pytest.mark.parametrize("data", [b"2", None], ids=["file", "folder"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path, name, data, kind):
    check_refused(make(tmp_path / "a", {"good": b"1", name: data}, kind), f"{name}.*outside the destination")


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_absolute_path_is_unpacked_inside_the_folder(tmp_path, kind):
    unpack(make(tmp_path / "a", {"/etc/a": b"1", "//host/b": b"2"}, kind), tmp_path / "out", **LIMITS)
    assert contents(tmp_path / "out") == {"etc/a": b"1", "host/b": b"2"}


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize(
    ("first", "second"), [("a", "./a"), ("a", "a/b"), ("a", "a/b/c"), ("a/b", "a"), ("x/a", "x//a")]
)
def test_a_name_that_comes_twice_is_refused(tmp_path, first, second, kind):
    check_refused(make(tmp_path / "a", {first: b"1", second: b"2"}, kind), "has the name of an earlier member")


# The holes of a sparse file take no bytes of the archive, and could fill the disk.
ODD_KINDS = ["SYMTYPE", "LNKTYPE", "CHRTYPE", "BLKTYPE", "FIFOTYPE", "GNUTYPE_SPARSE"]


@pytest.mark.parametrize("kind", ODD_KINDS)
@pytest.mark.parametrize("target", ["/etc", "good"])
def test_what_is_neither_file_nor_folder_is_refused(tmp_path, kind, target):
    with tarfile.open(tmp_path / "a", "w") as file:
        add(file, "good", b"1")
        add(file, "odd", b"", type=getattr(tarfile, kind), linkname=target)
    check_refused(tmp_path / "a", "'odd' is a link, a device or sparse")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO])
def test_what_is_neither_file_nor_folder_is_refused_in_a_zip(tmp_path, kind):
    member = zipfile.ZipInfo("odd")
    member.create_system, member.external_attr = 3, (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a", "w") as file:
        file.writestr(member, "/etc")
    check_refused(tmp_path / "a", "'odd' is a link, a device or sparse")


def test_an_encrypted_zip_is_refused(tmp_path):
    data = bytearray(make(tmp_path / "a", {"secret": b"1"}, "zip").read_bytes())
    data[6] |= 1  # the flag, in the member's own header and in the list at the end
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a").write_bytes(data)
    check_refused(tmp_path / "a", "'secret' is encrypted")


# ------------------------------------------------------------------------------------------------ size


@pytest.mark.parametrize("kind", FORMATS)
def test_the_limit_of_bytes_holds(tmp_path, kind):
    archive = make(tmp_path / "a", {"a": b"1" * 600, "b": b"2" * 400}, kind)
    unpack(archive, tmp_path / "whole", **LIMITS | {"max_bytes": 1000 if kind == "zip" else 10_240})
    check_refused(archive, "more bytes than data.max_unpacked_gigabytes", max_bytes=999)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_limit_of_members_is_exact(tmp_path, kind):
    archive = make(tmp_path / "a", {"a": b"1", "b": None, "c": b"2"}, kind)
    unpack(archive, tmp_path / "whole", **LIMITS | {"max_members": 3})
    check_refused(archive, r"more than 2 members \(data.max_unpacked_files\)", max_members=2)


@pytest.mark.parametrize("kind", FORMATS[1:])
def test_a_bomb_is_refused_by_what_it_unpacks_to(tmp_path, kind):
    archive = make(tmp_path / "a", {"zeros": bytes(5_000_000)}, kind)
    check_refused(archive, "more bytes than .* data.max_unpacked_ratio allow", max_ratio=100)


def test_a_bomb_in_a_zip_that_claims_to_be_small_is_refused(tmp_path):
    data = make(tmp_path / "a", {"zeros": bytes(5_000_000)}, "zip").read_bytes()
    (tmp_path / "a").write_bytes(data.replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    check_refused(tmp_path / "a", "Bad CRC-32")


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
        check_refused(tmp_path / "a", "more bytes than .* data.max_unpacked_ratio allow", max_ratio=10)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
def test_a_full_disk_is_told_with_the_folder(tmp_path, monkeypatch):
    archive = make(tmp_path / "a", CONTENT)
    plain = Path.open
    full = Path("/dev/full")
    monkeypatch.setattr(Path, "open", lambda path, mode: plain(full, "wb") if mode == "xb" else plain(path, mode))
    with pytest.raises(OSError, match="No space left on device") as error:
        unpack(archive, tmp_path / "out", **LIMITS)
    assert error.value.filename == str(tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


# ------------------------------------------------------------------------------------------------ damage


NOT_ARCHIVES = {
    "nothing": b"",
    "text": b"hello\n" * 1000,
    "page": b"<!DOCTYPE html><html>" + b" " * 5000,
    "zeros": bytes(100),
    "gzip of text": gzip.compress(b"hello\n" * 1000),
    "gzip of nothing": gzip.compress(b""),
    "start of a zip": b"PK\3\4" + bytes(600),
    "rar": b"Rar!\x1a\x07\x01\x00" + bytes(600),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(600),
}


@pytest.mark.parametrize("name", NOT_ARCHIVES)
def test_what_is_no_archive_is_told(tmp_path, name):
    (tmp_path / "a").write_bytes(NOT_ARCHIVES[name])
    check_refused(tmp_path / "a", "(empty file|invalid header|bad checksum|truncated header|not a zip file)")


def cuts(size):
    """Places to cut a file: near its ends, around tar's blocks, and at random."""
    places = {*range(1, 20), *range(size - 20, size), *range(512, size, 512 * 3)}
    return sorted(place for place in places | {random.Random(4).randrange(size) for _ in range(20)} if 0 < place < size)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_archive_cut_anywhere_is_refused(tmp_path, kind):
    content = {"a": random.Random(5).randbytes(3000), "b": bytes(2048), "c": random.Random(6).randbytes(3000)}
    archive = make(tmp_path / "a", content, kind)
    whole = archive.read_bytes()
    if kind == "tar":
        # The members with their headers, and the first block of zeros, which is the archive's end.
        whole = whole[: 3 * 512 + 3072 + 2048 + 3072 + 512]
        archive.write_bytes(whole)
        unpack(archive, tmp_path / "whole", **LIMITS)
    for place in cuts(len(whole)):
        archive.write_bytes(whole[:place])
        check_refused(archive, ".")


@pytest.mark.parametrize(("kind", "place"), [("tar.gz", -6), ("tar.bz2", 10), ("tar.xz", -30)])
def test_an_archive_whose_checksum_does_not_fit_is_refused(tmp_path, kind, place):
    data = bytearray(make(tmp_path / "a", CONTENT, kind).read_bytes())
    data[place] ^= 1
    (tmp_path / "a").write_bytes(data)
    check_refused(tmp_path / "a", "(CRC check failed|Invalid data stream|Corrupt input data)")


def test_a_broken_header_in_the_middle_does_not_end_the_archive(tmp_path):
    data = bytearray(make(tmp_path / "a", {"a": b"1", "b": b"2", "c": b"3"}, "tar").read_bytes())
    data[1024 + 150] ^= 1  # in the checksum of b's header
    (tmp_path / "a").write_bytes(data)
    check_refused(tmp_path / "a", "it is cut off, or a header is damaged")


@settings(max_examples=60)
@given(kind=st.sampled_from(FORMATS), place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_changed_byte_is_refused_or_harmless_and_never_more(kind, place, flip):
    content = {"x/a": random.Random(7).randbytes(400), "x/b": b"b" * 400, "y": None}
    with tempfile.TemporaryDirectory() as folder:
        archive = make(Path(folder) / "a", content, kind)
        data = bytearray(archive.read_bytes())
        data[int(place * len(data))] ^= flip
        archive.write_bytes(data)
        with contextlib.suppress(ValueError):
            unpack(archive, Path(folder) / "out", **LIMITS)
        assert {path.name for path in Path(folder).iterdir()} <= {"a", "out"}


def test_a_zip_whose_list_points_before_the_file_is_refused(tmp_path):
    data = bytearray(make(tmp_path / "a", {"a": b"1"}, "zip").read_bytes())
    end = data.index(b"PK\5\6")
    data[end + 16 : end + 20] = (2**30).to_bytes(4, "little")
    (tmp_path / "a").write_bytes(data)
    check_refused(tmp_path / "a", "Invalid argument")


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    archive = make(tmp_path / "a", CONTENT)
    monkeypatch.setattr("shutil.copyfileobj", interrupt)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "out", **LIMITS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_names_of_a_zip_are_read_as_other_archivers_write_them(tmp_path):
    with zipfile.ZipFile(tmp_path / "a", "w") as file:
        for name, system in (("Électro/à deux.mp3", 3), ("rock\\a.mp3", 0), ("rock\\", 0), ("AC\\DC.mp3", 3)):
            member = zipfile.ZipInfo(name)
            member.create_system = system
            file.writestr(member, b"" if name.endswith("\\") else b"1")
    utf8 = (tmp_path / "a").read_bytes()
    # The archiver of macOS writes the same bytes of a name without saying that they are UTF-8: bit 11 of the flags.
    flags = [place + at for mark, at in ((b"PK\3\4", 7), (b"PK\1\2", 9)) for place in positions(utf8, mark)]
    (tmp_path / "a").write_bytes(bytes(byte & ~8 if place in flags else byte for place, byte in enumerate(utf8)))
    unpack(tmp_path / "a", tmp_path / "out", **LIMITS)
    assert sorted(contents(tmp_path / "out")) == ["AC\\DC.mp3", "rock/a.mp3", "Électro/à deux.mp3"]


def positions(data, mark):
    return [place for place in range(len(data)) if data.startswith(mark, place)]
