"""What one address may answer, and what becomes of the part; the server on 127.0.0.1 misbehaves as told."""

import random
import re
import shutil
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from genre.corpus import http
from genre.corpus.http import PermanentError, RetryPolicy, download
from tests.genre.corpus.faulty_server import (
    answer,
    chunked,
    drip,
    endless,
    hang,
    hang_up,
    ranged,
    serving,
    whole,
)

pytestmark = pytest.mark.usefixtures("no_proxy")
CONTENT = random.Random(1).randbytes(200_000)
HASTY = RetryPolicy(connect=1, read=0.3, tries=3, backoff=0.001, longest=1)
ONCE = RetryPolicy(connect=1, read=0.3, tries=1)


@pytest.fixture
def part(tmp_path):
    return tmp_path / "a.part"


def downloaded(url, part, *, resume=True, policy=HASTY):
    download(url, part, resume=resume, policy=policy)
    return part.read_bytes()


def check_refused(url, part, text, *, resume=True, policy=HASTY):
    with pytest.raises(PermanentError, match=text) as error:
        download(url, part, resume=resume, policy=policy)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [0, 1, http.CHUNK, 3 * http.CHUNK + 1])
def test_any_size_is_fetched(server, part, size):
    content = random.Random(size).randbytes(size)
    assert downloaded(server.follow(ranged(content)), part) == content


def test_gzip_is_not_undone_on_the_way(server, part):
    # Some servers call a .tar.gz a tar in the encoding gzip; its checksum is that of the .tar.gz all the same.
    assert downloaded(server.follow(whole(CONTENT, Content_Encoding="x-gzip")), part) == CONTENT
    assert server.requests[0]["Accept-Encoding"] == "identity"


# ------------------------------------------------------------------------------------------------ resuming


@pytest.mark.parametrize("cut", [0, 1, 77_777, len(CONTENT) - 1])
def test_a_download_interrupted_at_any_byte_is_resumed_there(server, part, cut):
    check_refused(server.follow(ranged(CONTENT, stop=cut)), part, r"broke off: .* \(tried 1 times\)", policy=ONCE)
    assert part.stat().st_size == cut
    assert downloaded(server.follow(ranged(CONTENT)), part, policy=ONCE) == CONTENT
    assert server.ranges == [f"bytes={cut}-" if cut else None]


def test_a_download_that_breaks_off_is_resumed_in_the_same_call(server, part):
    script = ranged(CONTENT, stop=1000), ranged(CONTENT, stop=150_000), ranged(CONTENT)
    assert downloaded(server.follow(*script), part) == CONTENT
    assert server.ranges == [None, "bytes=1000-", "bytes=150000-"]


def test_progress_allows_new_tries(server, part):
    content = random.Random(2).randbytes(6 * http.CHUNK)
    script = [ranged(content, stop=(n + 1) * http.CHUNK) for n in range(5)]
    assert downloaded(server.follow(*script, ranged(content)), part) == content
    assert len(server.requests) == 6 > HASTY.tries


def test_without_resuming_each_try_starts_at_the_first_byte(server, part):
    script = chunked(CONTENT, stop=1000), ranged(CONTENT)
    assert downloaded(server.follow(*script), part, resume=False) == CONTENT
    assert server.ranges == [None, None]


def test_a_chunked_body_that_breaks_off_is_not_taken_for_whole(server, part):
    check_refused(server.follow(chunked(CONTENT, stop=1000)), part, r"broke off: .*\(tried 3 times\)", resume=False)
    assert not part.exists()


def test_a_server_that_ignores_ranges_is_read_from_the_start(server, part):
    part.write_bytes(CONTENT[:1000])
    assert downloaded(server.follow(whole(CONTENT)), part) == CONTENT
    assert len(server.requests) == 1


def test_a_part_that_is_already_whole_stays_as_it_is(server, part):
    part.write_bytes(CONTENT)
    assert downloaded(server.follow(ranged(CONTENT)), part) == CONTENT


# ------------------------------------------------------------------------------------------------ bad answers


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_refusal_is_told_at_once(server, part, status):
    check_refused(server.follow(answer(status)), part, f"^HTTP {status} [A-Z]")
    assert len(server.requests) == 1
    assert not part.exists()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_trouble_is_tried_again(server, part, status):
    assert downloaded(server.follow(answer(status), answer(status), whole(CONTENT)), part) == CONTENT


@pytest.mark.parametrize("status", [429, 500])
def test_a_lasting_trouble_ends_after_a_few_tries(server, part, status):
    check_refused(server.follow(answer(status)), part, f"HTTP {status} ")
    assert len(server.requests) == HASTY.tries


@pytest.mark.parametrize("wait", ["1", "3600", "in an hour"])
def test_retry_after_is_waited_for_up_to_a_bound(server, part, wait):
    if wait == "in an hour":
        wait = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    start = time.monotonic()
    assert downloaded(server.follow(answer(429, Retry_After=wait), whole(CONTENT)), part) == CONTENT
    assert 1 <= time.monotonic() - start < 60


def test_a_web_page_instead_of_the_file_is_refused_at_once(server, part):
    page = whole(b"<html>Sign in</html>", Content_Type="text/html; charset=utf-8")
    check_refused(server.follow(page), part, "^answers with a web page instead of the file$")
    assert len(server.requests) == 1
    assert not part.exists()


def test_a_redirect_keeps_the_range(server, part):
    part.write_bytes(CONTENT[:1000])
    script = answer(302, Location="/elsewhere"), answer(301, Location=server.url), ranged(CONTENT)
    assert downloaded(server.follow(*script), part) == CONTENT
    assert server.ranges == ["bytes=1000-"] * 3


@pytest.mark.parametrize(
    ("location", "text"),
    [("/file.tar.gz", "Exceeded 30 redirects"), ("file:///etc/hostname", "No connection adapters")],
)
def test_a_redirect_that_leads_nowhere_is_told(server, part, location, text):
    check_refused(server.follow(answer(302, Location=location)), part, f"^no answer: {text}")


def test_no_answer_is_told(server, part):
    check_refused(server.follow(hang), part, "^no answer: timed out$")
    assert len(server.requests) == HASTY.tries


def test_a_connection_closed_without_an_answer_is_told(server, part):
    check_refused(server.follow(hang_up), part, "^no answer: Remote end closed connection without response$")
    assert len(server.requests) == HASTY.tries


def test_nothing_listening_is_told(part):
    with serving() as server:
        url = server.url
    check_refused(url, part, "^no answer: Connection refused$")


def test_an_unknown_host_is_told(part):
    check_refused("http://no-such-host.invalid/a", part, "^no answer: .", policy=ONCE)


def test_a_body_that_stops_coming_is_told(server, part):
    stopping = drip(CONTENT, stop=1000, seconds=20)
    check_refused(server.follow(stopping), part, r"^broke off: timed out \(tried 1 times\)$", policy=ONCE)
    assert part.stat().st_size == 1000


# ------------------------------------------------------------------------------------------------ the disk


def test_a_body_without_end_does_not_fill_the_disk(server, part, monkeypatch):
    monkeypatch.setattr(http, "MOST_BYTES", 300_000)
    check_refused(server.follow(endless), part, "^size must be 300000 bytes at most, got more$")
    assert server.sent < 20_000_000  # what fits into the buffers on the way
    assert not part.exists()


def test_too_little_room_is_told_before_anything_is_fetched(server, part, monkeypatch):
    usage = shutil.disk_usage(part.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100_000))
    with pytest.raises(OSError, match=re.escape("200000 more bytes are needed, 100000 are free")) as error:
        download(server.follow(whole(CONTENT)), part, resume=True, policy=HASTY)
    assert error.value.filename == str(part.parent)
    assert not part.exists()
