import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre.corpus import http, mirrors
from genre.corpus.http import RetryPolicy
from genre.corpus.mirrors import FetchError, Mirror, cache_folder, fetch
from tests.genre.faulty_server import (
    answer,
    chunked,
    drip,
    endless,
    hang,
    hang_up,
    ranged,
    serving,
    slow,
    unsized,
    whole,
)

CONTENT = random.Random(1).randbytes(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HASTY = RetryPolicy(connect=1, read=0.3, tries=3, backoff=0.001, longest=2, stall=0.2, min_speed=5000, lock=5)
ONCE = RetryPolicy(connect=1, read=0.3, tries=1, backoff=0.001, stall=0.2, lock=5)


@pytest.fixture(scope="module")
def server():
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def mirror(url, content=CONTENT, **options):
    return Mirror(url, hashlib.sha256(content).hexdigest(), **{"name": "file.tar.gz"} | options)


def left_in(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def reason(server, folder, *script, waits=HASTY, **options):
    """The text of the error that `fetch` ends with, against a server that follows `script`."""
    with pytest.raises(FetchError) as error:
        fetch([mirror(server.follow(*script), **options)], folder, waits=waits)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_is_fetched_whole_and_nothing_else_is_left(server, tmp_path):
    path = fetch([mirror(server.follow(whole(CONTENT)))], tmp_path / "new" / "cache", waits=HASTY)
    assert path == tmp_path / "new" / "cache" / "file.tar.gz"
    assert path.read_bytes() == CONTENT
    assert left_in(path.parent) == ["file.tar.gz"]


@pytest.mark.parametrize("size", [0, 1, http.CHUNK, 3 * http.CHUNK + 1])
def test_any_size_is_fetched(server, tmp_path, size):
    content = random.Random(size).randbytes(size)
    path = fetch([mirror(server.follow(ranged(content)), content)], tmp_path, waits=HASTY)
    assert path.read_bytes() == content


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    there = mirror(server.follow(whole(CONTENT)))
    fetch([there], tmp_path, waits=HASTY)
    fetch([there], tmp_path, waits=HASTY)
    assert len(server.requests) == 1


def test_a_later_mirror_s_file_that_is_there_is_taken_before_the_network_is_asked(server, tmp_path):
    (tmp_path / "other.tar.gz").write_bytes(b"other")
    mirrors = [mirror(server.follow(whole(CONTENT))), mirror(server.url, b"other", name="other.tar.gz")]
    assert fetch(mirrors, tmp_path, waits=HASTY) == tmp_path / "other.tar.gz"
    assert not server.requests


def test_a_damaged_file_that_is_there_is_fetched_again(server, tmp_path):
    (tmp_path / "file.tar.gz").write_bytes(CONTENT[:-1] + b"?")
    path = fetch([mirror(server.follow(whole(CONTENT)))], tmp_path, waits=HASTY)
    assert path.read_bytes() == CONTENT


# ------------------------------------------------------------------------------------------------ checksum and size


def test_a_wrong_checksum_is_refused_with_both_sums_and_nothing_is_left(server, tmp_path):
    other = b"?" + CONTENT[1:]
    text = reason(server, tmp_path, whole(other))
    assert re.search(f"sha256 must be {SHA256}, got {hashlib.sha256(other).hexdigest()}", text)
    assert left_in(tmp_path) == []
    assert len(server.requests) == 1


def test_a_file_that_grew_is_refused_before_it_is_read(server, tmp_path):
    grown = drip(CONTENT + b"?", stop=1000, seconds=20)
    assert "size must be 200000 bytes, got 200001" in reason(server, tmp_path, grown, size=200_000)
    assert left_in(tmp_path) == []


def test_a_body_longer_than_the_size_is_refused_and_nothing_is_left(server, tmp_path):
    assert "size must be 200000 bytes at most, got more" in reason(server, tmp_path, endless, size=200_000)
    assert server.sent < 20_000_000  # what fits into the buffers on the way
    assert left_in(tmp_path) == []


def test_a_body_without_end_does_not_fill_the_disk(server, tmp_path, monkeypatch):
    monkeypatch.setattr(http, "MOST_BYTES", 300_000)
    assert "size must be 300000 bytes at most, got more" in reason(server, tmp_path, endless)
    assert server.sent < 20_000_000
    assert left_in(tmp_path) == []


def test_a_check_of_the_contents_stands_in_for_the_checksum(server, tmp_path):
    def check(path):
        if path.read_bytes() != CONTENT:
            raise ValueError("must hold all 10 tracks")

    good = Mirror(server.follow(chunked(CONTENT)), None, name="a", check=check)
    assert fetch([good], tmp_path, waits=HASTY).read_bytes() == CONTENT
    bad = Mirror(server.follow(chunked(CONTENT[1:])), None, name="b", check=check)
    with pytest.raises(FetchError, match="must hold all 10 tracks"):
        fetch([bad], tmp_path, waits=HASTY)
    assert left_in(tmp_path) == ["a"]


def test_what_has_no_checksum_is_never_pieced_together(server, tmp_path):
    (tmp_path / "a.unsummed.part").write_bytes(CONTENT[:10])
    script = chunked(CONTENT, stop=1000), ranged(CONTENT)
    found = fetch([Mirror(server.follow(*script), None, name="a", check=lambda path: None)], tmp_path, waits=HASTY)
    assert found.read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_a_chunked_body_that_breaks_off_is_not_taken_for_whole(server, tmp_path):
    broken = Mirror(server.follow(chunked(CONTENT, stop=1000)), None, name="a", check=lambda path: None)
    with pytest.raises(FetchError, match=r"broke off: .*\(3 tries\)"):
        fetch([broken], tmp_path, waits=HASTY)
    assert left_in(tmp_path) == []


def test_gzip_is_not_undone_on_the_way(server, tmp_path):
    # Some servers call a .tar.gz a tar in the encoding gzip; its checksum is that of the .tar.gz all the same.
    path = fetch([mirror(server.follow(whole(CONTENT, Content_Encoding="x-gzip")))], tmp_path, waits=HASTY)
    assert path.read_bytes() == CONTENT
    assert server.requests[0]["Accept-Encoding"] == "identity"


# ------------------------------------------------------------------------------------------------ resuming


@settings(max_examples=20, deadline=None)
@given(cut=st.integers(0, len(CONTENT) - 1))
def test_a_download_interrupted_at_any_byte_is_resumed_there(server, cut):
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(FetchError, match="broke off"):
            fetch([mirror(server.follow(ranged(CONTENT, stop=cut)))], Path(folder), waits=ONCE)
        assert (Path(folder) / f"file.tar.gz.{SHA256[:12]}.part").stat().st_size == cut
        path = fetch([mirror(server.follow(ranged(CONTENT)))], Path(folder), waits=ONCE)
        assert path.read_bytes() == CONTENT
        assert server.ranges == [f"bytes={cut}-" if cut else None]
        assert left_in(Path(folder)) == ["file.tar.gz"]


def test_a_download_that_breaks_off_is_resumed_in_the_same_call(server, tmp_path):
    script = ranged(CONTENT, stop=1000), ranged(CONTENT, stop=150_000), ranged(CONTENT)
    path = fetch([mirror(server.follow(*script))], tmp_path, waits=HASTY)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-", "bytes=150000-"]


def test_progress_gives_new_tries(server, tmp_path):
    content = random.Random(2).randbytes(6 * http.CHUNK)
    script = [ranged(content, stop=(n + 1) * http.CHUNK) for n in range(5)]
    path = fetch([mirror(server.follow(*script, ranged(content)), content)], tmp_path, waits=HASTY)
    assert path.read_bytes() == content
    assert len(server.requests) == 6 > HASTY.tries


def test_another_mirror_goes_on_where_the_first_broke_off(server, tmp_path):
    with serving() as second:
        mirrors = [
            mirror(server.follow(ranged(CONTENT, stop=1000), answer(404))),
            mirror(second.follow(ranged(CONTENT))),
        ]
        assert fetch(mirrors, tmp_path, waits=HASTY).read_bytes() == CONTENT
        assert second.ranges == ["bytes=1000-"]


def test_a_body_cut_off_without_notice_is_resumed_if_the_size_is_known(server, tmp_path):
    sized = mirror(server.follow(unsized(CONTENT[:1000]), ranged(CONTENT)), size=len(CONTENT))
    assert fetch([sized], tmp_path, waits=HASTY).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-"]
    assert "broke off after 1000 of 200000 bytes (3 tries)" in reason(
        server, tmp_path / "other", unsized(CONTENT[:1000]), size=len(CONTENT)
    )


def part_of(folder, content):
    (folder / f"file.tar.gz.{SHA256[:12]}.part").write_bytes(content)


def test_a_server_that_ignores_ranges_is_read_from_the_start(server, tmp_path):
    part_of(tmp_path, CONTENT[:1000])
    assert fetch([mirror(server.follow(whole(CONTENT)))], tmp_path, waits=HASTY).read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_part_that_is_already_whole_only_gets_its_name(server, tmp_path, size):
    part_of(tmp_path, CONTENT)
    path = fetch([mirror(server.follow(ranged(CONTENT)), size=size)], tmp_path, waits=HASTY)
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == (1 if size is None else 0)


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path, size):
    part_of(tmp_path, CONTENT + b"and more")
    path = fetch([mirror(server.follow(ranged(CONTENT)), size=size)], tmp_path, waits=HASTY)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("length", [1, 1000, len(CONTENT), len(CONTENT) + 1])
@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_part_of_another_file_is_thrown_away(server, tmp_path, length, size):
    part_of(tmp_path, bytes(length))
    path = fetch([mirror(server.follow(ranged(CONTENT)), size=size)], tmp_path, waits=HASTY)
    assert path.read_bytes() == CONTENT
    assert left_in(tmp_path) == ["file.tar.gz"]


def test_a_file_that_changes_while_it_is_fetched_is_fetched_anew(server, tmp_path):
    old = random.Random(3).randbytes(len(CONTENT))
    script = ranged(old, stop=1000), ranged(CONTENT)
    assert fetch([mirror(server.follow(*script))], tmp_path, waits=HASTY).read_bytes() == CONTENT


def test_a_file_that_has_changed_for_good_is_refused_and_nothing_is_left(server, tmp_path):
    part_of(tmp_path, CONTENT[:1000])
    grown = CONTENT + b"grown"
    assert f"got {hashlib.sha256(grown).hexdigest()}" in reason(server, tmp_path, ranged(grown))
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("span", ["bytes 999-199999/200000", "bytes 0-199999/200000", "nonsense", ""])
def test_another_piece_than_asked_for_is_not_taken(server, tmp_path, span):
    part_of(tmp_path, CONTENT[:1000])
    odd = answer(206, content=CONTENT[1000:], Content_Range=span)
    assert fetch([mirror(server.follow(odd, ranged(CONTENT)))], tmp_path, waits=HASTY).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-", None]


def test_a_killed_download_is_resumed(server, tmp_path):
    url = server.follow(drip(CONTENT, stop=100_000), ranged(CONTENT))
    code = (
        "import sys; from pathlib import Path; from genre.fetch import *\n"
        f"fetch([Mirror({url!r}, {SHA256!r}, name='file.tar.gz')], Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], stderr=subprocess.PIPE)
    part = tmp_path / f"file.tar.gz.{SHA256[:12]}.part"
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size >= 50_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert fetch([mirror(url)], tmp_path, waits=HASTY).read_bytes() == CONTENT
    assert int(server.ranges[1].removeprefix("bytes=").removesuffix("-")) >= 50_000


# ------------------------------------------------------------------------------------------------ bad answers


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_refusal_is_told_at_once(server, tmp_path, status):
    assert f"{server.url}: HTTP {status}" in reason(server, tmp_path, answer(status))
    assert len(server.requests) == 1
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_trouble_is_tried_again(server, tmp_path, status):
    script = answer(status), answer(status), whole(CONTENT)
    assert fetch([mirror(server.follow(*script))], tmp_path, waits=HASTY).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [429, 500])
def test_a_lasting_trouble_ends_after_a_few_tries(server, tmp_path, status):
    assert re.search(rf"HTTP {status} .*\(3 tries\)", reason(server, tmp_path, answer(status)))
    assert len(server.requests) == 3


def test_retry_after_is_waited_for(server, tmp_path):
    start = time.monotonic()
    fetch([mirror(server.follow(answer(429, Retry_After=1), whole(CONTENT)))], tmp_path, waits=HASTY)
    assert time.monotonic() - start >= 1


def test_retry_after_beyond_the_bound_gives_the_mirror_up(server, tmp_path):
    text = reason(server, tmp_path, answer(503, Retry_After=3600))
    assert "HTTP 503 Service Unavailable, and asks to wait 3600 s" in text
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("0", 0, 0),
        (" 7 ", 7, 7),
        ("in an hour", 3500, 3600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0, 0),
    ],
)
def test_retry_after_is_a_number_or_a_date(text, low, high):
    if text == "in an hour":
        text = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert low <= http._retry_after(text) <= high


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e9", "9" * 30, "Wed, 99 Oct 2015 07:28:00 GMT"])
def test_another_retry_after_is_ignored(text):
    assert http._retry_after(text) is None


def test_a_web_page_instead_of_the_file_is_refused_at_once(server, tmp_path):
    page = whole(b"<html>Sign in</html>", Content_Type="text/html; charset=utf-8")
    assert "answers with a web page (text/html) instead of the file" in reason(server, tmp_path, page)
    assert len(server.requests) == 1
    assert left_in(tmp_path) == []


def test_redirects_are_followed(server, tmp_path):
    script = answer(302, Location="/elsewhere"), answer(301, Location=server.url), whole(CONTENT)
    assert fetch([mirror(server.follow(*script))], tmp_path, waits=HASTY).read_bytes() == CONTENT


def test_a_redirect_keeps_the_range(server, tmp_path):
    part_of(tmp_path, CONTENT[:1000])
    script = answer(302, Location="/elsewhere"), ranged(CONTENT)
    assert fetch([mirror(server.follow(*script))], tmp_path, waits=HASTY).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-", "bytes=1000-"]


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("/file.tar.gz", "redirects without end"),
        ("file:///etc/hostname", "cannot be asked"),
        ("http://[", "cannot be asked"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_told(server, tmp_path, location, text):
    assert text in reason(server, tmp_path, answer(302, Location=location))


def test_no_answer_is_told(server, tmp_path):
    assert "no answer within 0.3 s (3 tries)" in reason(server, tmp_path, hang)


def test_a_connection_closed_without_an_answer_is_told(server, tmp_path):
    text = reason(server, tmp_path, hang_up)
    assert "no connection: Remote end closed connection without response (3 tries)" in text


def test_nothing_listening_is_told(tmp_path):
    with serving() as server:
        url = server.url
    with pytest.raises(FetchError, match=r"no connection: Connection refused \(3 tries\)"):
        fetch([mirror(url)], tmp_path, waits=HASTY)


def test_an_unknown_host_is_told(tmp_path):
    with pytest.raises(FetchError, match=r"http://no-such-host.invalid/a: no connection: "):
        fetch([mirror("http://no-such-host.invalid/a")], tmp_path, waits=ONCE)


def test_a_body_that_stops_coming_is_told(server, tmp_path):
    stopping = drip(CONTENT, stop=1000, seconds=20)
    assert "nothing more came within 0.3 s (1 try)" in reason(server, tmp_path, stopping, waits=ONCE)


def test_a_slow_drip_is_not_waited_for(server, tmp_path):
    start = time.monotonic()
    assert "sends fewer than 5000 bytes a second" in reason(server, tmp_path, drip(CONTENT, stop=1000), waits=ONCE)
    assert time.monotonic() - start < 5  # at that speed the whole file takes over an hour


def test_a_body_cut_off_is_told(server, tmp_path):
    assert re.search(r"broke off.*\(3 tries\)", reason(server, tmp_path, whole(CONTENT[:-1], Content_Length=200_000)))


# ------------------------------------------------------------------------------------------------ several mirrors


def test_the_second_mirror_serves_where_the_first_is_dead(server, tmp_path):
    with serving() as dead:
        url = dead.url
    mirrors = [mirror(url), mirror(server.follow(whole(CONTENT)))]
    assert fetch(mirrors, tmp_path, waits=HASTY).read_bytes() == CONTENT


def test_each_mirror_has_its_own_checksum(server, tmp_path):
    mirrors = [
        mirror(server.follow(whole(b"other")), name="one.tar.gz"),
        mirror(server.url, b"other", name="two.tar.gz"),
    ]
    assert fetch(mirrors, tmp_path, waits=HASTY).name == "two.tar.gz"
    assert left_in(tmp_path) == ["two.tar.gz"]


def test_if_all_mirrors_fail_one_line_names_each_and_the_next_step(server, tmp_path):
    url = server.follow(answer(404))
    urls = [url, url.replace("http://", "http://me:secret@") + "?token=secret"]
    with pytest.raises(FetchError) as error:
        fetch([mirror(url) for url in urls], tmp_path, waits=HASTY)
    assert str(error.value) == (
        f"cannot fetch file.tar.gz from any mirror: {url}: HTTP 404 Not Found; {url}: HTTP 404 Not Found; "
        "try again later, or fetch it by hand and run with -S data.source=local -S data.path=FILE"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"url": "ftp://host/a"}, "must be an http:// or https:// address, got 'ftp://host/a'"),
        ({"url": "http://[/a"}, "must be an http:// or https:// address"),
        ({"url": "http:///a"}, "must be an http:// or https:// address"),
        ({"sha256": "abc"}, "a sha256 must be 64 hexadecimal digits in lower case, got 'abc'"),
        ({"sha256": SHA256.upper()}, "a sha256 must be 64 hexadecimal digits in lower case"),
        ({"sha256": None}, "a mirror without a sha256 must have a check"),
        ({"name": "../a"}, "must be without folders, got '../a'"),
        ({"name": ".."}, "must be without folders"),
        ({"name": ""}, "must be without folders"),
    ],
)
def test_an_impossible_mirror_is_refused(options, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Mirror(**{"url": "https://host/a", "sha256": SHA256, "name": "a"} | options)


def test_no_mirror_at_all_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one mirror, got none"):
        fetch([], tmp_path)


# ------------------------------------------------------------------------------------------------ the folder


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
def test_a_full_disk_is_told_in_one_line(server, tmp_path):
    (tmp_path / f"file.tar.gz.{SHA256[:12]}.part").symlink_to("/dev/full")
    text = reason(server, tmp_path, whole(CONTENT))
    assert text == (
        f"{tmp_path} must have room left, got: No space left on device; "
        "make room, or name another folder in GENRE_CACHE"
    )


def test_too_little_room_is_told_before_anything_is_fetched(server, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100_000))
    assert "200000 more bytes are needed, 100000 are free; make room" in reason(server, tmp_path, whole(CONTENT))
    assert left_in(tmp_path) == []


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount")
def test_a_disk_that_runs_full_is_told_and_the_download_goes_on_when_there_is_room(server, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", small], check=False).returncode:
        pytest.skip("this system does not let root mount")
    try:
        # Without its size, so that the room is not checked before.
        assert "must have room left, got: No space left on device" in reason(server, small, chunked(CONTENT))
        fetched = next(small.glob("*.part")).stat().st_size
        assert fetched > 50_000
        subprocess.run(["mount", "-o", "remount,size=1m", small], check=True)
        assert fetch([mirror(server.follow(ranged(CONTENT)))], small, waits=HASTY).read_bytes() == CONTENT
        assert server.ranges == [f"bytes={fetched}-"]
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_file_in_place_of_the_folder_is_told(server, tmp_path):
    (tmp_path / "file").write_text("")
    text = reason(server, tmp_path / "file" / "cache", whole(CONTENT))
    assert "cache must be a folder to write in, got: Not a directory; name another folder in GENRE_CACHE" in text


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs Unix permissions")
def test_a_folder_without_permission_is_told(server):
    was_root = os.geteuid() == 0
    # Not in tmp_path, whose parents are root's own.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        try:
            if was_root:
                os.seteuid(65534)  # nobody
            with pytest.raises(FetchError, match="must be a folder to write in, got: Permission denied"):
                fetch([mirror(server.follow(whole(CONTENT)))], Path(folder), waits=HASTY)
        finally:
            if was_root:
                os.seteuid(0)


def test_two_downloads_at_once_fetch_once(server, tmp_path):
    there = mirror(server.follow(slow(CONTENT, seconds=0.2)))
    found = []
    threads = [threading.Thread(target=lambda: found.append(fetch([there], tmp_path, waits=HASTY))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in found] == [CONTENT] * 4
    assert len(server.requests) == 1


def test_a_download_elsewhere_is_not_waited_for_endlessly(server, tmp_path):
    there = mirror(server.follow(slow(CONTENT, seconds=0.4)))
    thread = threading.Thread(target=fetch, args=([there], tmp_path), kwargs={"waits": RetryPolicy()})
    thread.start()
    while not server.requests:
        time.sleep(0.01)
    with pytest.raises(FetchError, match="is in use by another download; wait for its end"):
        fetch([there], tmp_path, waits=RetryPolicy(lock=0.1))
    thread.join()


def test_the_cache_is_the_user_s_unless_the_environment_names_one(monkeypatch, tmp_path):
    monkeypatch.delenv("GENRE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "genre"
    monkeypatch.setenv("GENRE_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"


def test_each_error_of_the_disk_becomes_one_line(tmp_path):
    with pytest.raises(FetchError, match="must be a folder to write in, got: odd"), mirrors._one_line_errors(tmp_path):
        raise OSError("odd")
