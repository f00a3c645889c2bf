import io

import av
import numpy as np
import pytest
import soundfile
from mutagen.aiff import AIFF
from mutagen.id3 import TALB, TPE1
from mutagen.wave import WAVE

from genre.audio import reading
from tests.genre.audio.sounds import RATE, encoded, noise, tone

SECONDS = 3.0
EXPERIMENTAL = {"strict": "experimental"}

# What keeps every bit: codec, container, format of the samples.
LOSSLESS = [
    ("pcm_s16le", "wav", ""), ("pcm_s24le", "wav", ""), ("pcm_s32le", "wav", ""), ("pcm_f32le", "wav", ""),
    ("pcm_f64le", "wav", ""), ("pcm_s16be", "aiff", ""), ("pcm_s16be", "au", ""), ("pcm_s16le", "w64", ""),
    ("pcm_s16be", "caf", ""), ("pcm_s16le", "mov", ""), ("pcm_s16le", "avi", ""), ("flac", "flac", "s16"),
    ("flac", "ogg", "s16"), ("flac", "matroska", "s16"), ("flac", "mp4", "s16"), ("alac", "ipod", "s16p"),
    ("alac", "caf", "s16p"), ("wavpack", "wv", "s16p"), ("tta", "tta", "s16"),
]  # fmt: skip
# What does not: codec, container, rate, channels, and by how many samples the length may differ: the encoder fills its
# last frame, and some containers cannot say so.
LOSSY = [
    ("libmp3lame", "mp3", 44100, 2, 0), ("libmp3lame", "mp3", 22050, 1, 0), ("libmp3lame", "mp4", 44100, 2, 2304),
    ("libmp3lame", "wav", 44100, 2, 2304), ("libmp3lame", "avi", 44100, 2, 2304), ("mp2", "mp2", 44100, 2, 1152),
    ("mp2", "mpegts", 44100, 2, 1152), ("aac", "adts", 44100, 2, 2048), ("aac", "ipod", 44100, 2, 2048),
    ("aac", "ipod", 48000, 6, 2048), ("aac", "mov", 44100, 2, 2048), ("aac", "matroska", 44100, 2, 2048),
    ("aac", "3gp", 44100, 2, 2048), ("aac", "flv", 44100, 2, 2048), ("aac", "mpegts", 44100, 2, 2048),
    ("ac3", "ac3", 44100, 2, 1536), ("eac3", "eac3", 44100, 2, 1536), ("vorbis", "ogg", 44100, 2, 1024),
    ("libopus", "ogg", 48000, 2, 0), ("libopus", "webm", 48000, 2, 0), ("libopus", "mp4", 48000, 2, 960),
    ("wmav1", "asf", 44100, 2, 2048), ("wmav2", "asf", 44100, 2, 2048), ("adpcm_ms", "wav", 44100, 2, 1024),
    ("adpcm_ima_wav", "wav", 44100, 2, 1024), ("pcm_mulaw", "wav", 44100, 2, 0), ("pcm_alaw", "au", 44100, 2, 0),
    ("libopencore_amrnb", "amr", 8000, 1, 320),
]  # fmt: skip


@pytest.fixture
def write(tmp_path):
    def writing(data, name="a.bin"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return writing


def samples(path):
    with reading.opened(path) as reader:
        return np.concatenate(list(reader.blocks()))


def encode(codec, form, sound, rate=RATE, **options):
    if codec == "vorbis":
        options["codec_options"] = EXPERIMENTAL
    if codec.startswith("wma"):
        options["bit_rate"] = 128_000
    return encoded(codec, form, sound, rate, **options)


def mp3(seconds=SECONDS, rate=RATE, channels=2, *, header=True, bit_rate=128_000, frequency=440.0):
    options = {} if header else {"write_xing": "0", "id3v2_version": "0"}
    return encoded(
        "libmp3lame", "mp3", tone(frequency, seconds, rate, channels), rate, options=options, bit_rate=bit_rate
    )


def flac(sound=None, rate=RATE, **options):
    return encoded("flac", "flac", noise(SECONDS) if sound is None else sound, rate, sample_format="s16", **options)


def verbatim_flac(sound, bits, rate=RATE, length=4096):
    """Writes FLAC without compression, in depths that no encoder at hand has. Source: RFC 9639."""
    values = np.round(sound * 2 ** (bits - 1)).astype(int)
    channels, code = values.shape[1], {8: 1, 12: 2, 16: 4, 20: 5, 24: 6}[bits]
    packed = (rate << 44) | (channels - 1 << 41) | (bits - 1 << 36) | len(values)
    data = b"fLaC\x80\0\0\x22" + length.to_bytes(2, "big") * 2 + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    for number, start in enumerate(range(0, len(values), length)):
        block = values[start : start + length]
        head = bytes([0xFF, 0xF8, 0x70, channels - 1 << 4 | code << 1, number]) + (len(block) - 1).to_bytes(2, "big")
        head += bytes([checksum(head, 0x07, 8)])
        digits = "".join("00000010" + "".join(f"{value % 2**bits:0{bits}b}" for value in column) for column in block.T)
        digits += "0" * (-len(digits) % 8)
        frame = head + int(digits, 2).to_bytes(len(digits) // 8, "big")
        data += frame + checksum(frame, 0x8005, 16).to_bytes(2, "big")
    return data


def checksum(data, polynomial, width):
    rest, top = 0, 1 << width - 1
    for byte in data:
        rest ^= byte << width - 8
        for _ in range(8):
            rest = (rest << 1 ^ (polynomial if rest & top else 0)) & (1 << width) - 1
    return rest


def video():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        pictures, sound = container.add_stream("mpeg4", rate=25), container.add_stream("aac", rate=RATE, layout="mono")
        pictures.width = pictures.height = 64
        for number in range(100):  # four seconds
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number, np.uint8))
            picture.pts = number
            container.mux(pictures.encode(picture))
        for start in range(0, 2 * RATE, 1024):
            frame = av.AudioFrame.from_ndarray(tone(440, 2, RATE, 1)[start : start + 1024].T.copy(), "fltp", "mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(sound.encode(frame))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(("codec", "form", "sample_format"), LOSSLESS)
def test_lossless_formats_keep_every_bit(write, codec, form, sample_format):
    sound = noise(0.7)
    path = write(encode(codec, form, sound, sample_format=sample_format))
    np.testing.assert_array_equal(samples(path), sound)
    recording = reading.inspect(path)
    assert (recording.seconds, recording.sample_rate, recording.channels) == (len(sound) / RATE, RATE, 2)
    assert recording.missing == ""
    assert recording.format
    assert recording.codec


@pytest.mark.parametrize(("codec", "form", "rate", "channels", "tolerance"), LOSSY)
def test_lossy_formats_have_the_right_length(write, codec, form, rate, channels, tolerance):
    sound = tone(440, SECONDS, rate, channels)
    path = write(encode(codec, form, sound, rate))
    recording = reading.inspect(path)
    assert recording.seconds * rate == pytest.approx(len(sound), abs=tolerance)
    assert (recording.sample_rate, recording.channels, recording.missing) == (rate, channels, "")
    assert recording.peak == pytest.approx(0.5, abs=0.1)
    assert recording.bit_rate > 1000


@pytest.mark.parametrize("bits", [12, 16, 20, 24])
def test_flac_of_any_depth_keeps_every_bit(write, bits):
    sound = np.round(noise(0.5) * 2 ** (bits - 1)) / 2 ** (bits - 1)
    np.testing.assert_array_equal(samples(write(verbatim_flac(sound, bits))), sound)


def test_the_bits_are_those_of_libsndfile(write):
    path = write(flac(), "a.flac")
    np.testing.assert_array_equal(samples(path), soundfile.read(path, dtype="float32")[0])


@pytest.mark.parametrize(("codec", "form", "sample_format"), [("flac", "flac", "s16"), ("wavpack", "wv", "s16p")])
def test_eight_channels_keep_every_bit(write, codec, form, sample_format):
    sound = noise(0.5, channels=8)
    np.testing.assert_array_equal(samples(write(encoded(codec, form, sound, sample_format=sample_format))), sound)


def test_eight_lossy_channels_have_the_right_length(write):
    recording = reading.inspect(write(encoded("aac", "ipod", noise(2, channels=8))))
    assert (recording.channels, recording.missing) == (8, "")
    assert recording.seconds == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("form", ["wv", "tta"])
def test_a_tag_in_front_is_no_obstacle(write, form):
    tag = b"ID3\3\0\0\0\0\2\0" + bytes(256)
    data = encoded({"wv": "wavpack", "tta": "tta"}[form], form, noise(0.5))
    assert reading.inspect(write(tag + data, f"a.{form}")).seconds == 0.5


def test_a_page_cut_within_its_header_ends_an_ogg(write):
    data = encode("libopus", "ogg", noise(1, 48000), 48000)
    assert reading.inspect(write(data + data[:20])).seconds == 1


# What is behind the header, between recordings, and at the end.


def test_an_mp3_of_varying_bit_rate_without_a_header_is_read_to_its_end(write):
    data = mp3(2, header=False, bit_rate=320_000) + mp3(6, header=False, bit_rate=32_000)
    recording = reading.inspect(write(data))
    assert recording.seconds == pytest.approx(8, abs=0.2)
    assert recording.missing == ""


@pytest.mark.parametrize("header", [True, False])
def test_mp3s_one_after_the_other_are_all_read(write, header):
    data = b"".join(mp3(frequency=frequency, header=header) for frequency in (300, 600, 900))
    recording = reading.inspect(write(data))
    assert recording.seconds == pytest.approx(9, abs=0.2)
    assert recording.missing == ""


@pytest.mark.parametrize(("rate", "channels"), [(44100, 1), (32000, 2), (22050, 1), (48000, 2)])
def test_an_mp3_may_change_rate_and_channels(write, rate, channels):
    data = mp3(3, header=False) + mp3(4, rate, channels, header=False) + mp3(2, header=False)
    recording = reading.inspect(write(data))
    assert recording.seconds == pytest.approx(9, abs=0.3)
    assert (recording.sample_rate, recording.channels, recording.missing) == (44100, 2, "")
    heard = samples(write(data))[round(4.5 * 44100) : round(5.5 * 44100), 0]
    assert np.abs(np.fft.rfft(heard)).argmax() == pytest.approx(440, abs=1)
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("codec", "rate", "tolerance"), [("libopus", 48000, 0), ("vorbis", RATE, 3 * 1024), ("flac", RATE, 0)]
)
def test_every_link_of_a_chained_ogg_is_read(write, codec, rate, tolerance):
    links = [encode(codec, "ogg", tone(frequency, 2, rate), rate) for frequency in (300, 600, 900)]
    recording = reading.inspect(write(b"".join(links)))
    assert recording.seconds * rate == pytest.approx(6 * rate, abs=tolerance)
    assert recording.missing == ""


def test_the_links_of_a_chained_ogg_may_differ(write):
    data = (
        encode("libopus", "ogg", tone(440, 2, 48000), 48000)
        + encode("vorbis", "ogg", tone(440, 3, 44100), 44100)
        + encode("flac", "ogg", tone(440, 1, 22050, 1), 22050)
    )
    recording = reading.inspect(write(data))
    assert recording.seconds == pytest.approx(6, abs=0.1)
    assert (recording.sample_rate, recording.channels, recording.missing) == (48000, 2, "")


def test_flacs_one_after_the_other_are_all_read(write):
    first, second = noise(1, seed=1), noise(2, seed=2)
    np.testing.assert_array_equal(samples(write(flac(first) + flac(second))), np.concatenate([first, second]))


def test_a_streamed_flac_states_no_total(write):
    data = flac(seekable=False)
    assert data[21:26] in (b"\xf0\0\0\0\0", data[21:22] + bytes(4))
    recording = reading.inspect(write(data))
    assert (recording.seconds, recording.missing) == (SECONDS, "")


@pytest.mark.parametrize(("total", "missing"), [(RATE, ""), (20 * RATE, "17.0 of 20.0 s are missing")])
def test_a_flac_with_a_wrong_total_is_read_to_its_end(write, total, missing):
    data = bytearray(flac())
    data[22:26] = total.to_bytes(4, "big")
    recording = reading.inspect(write(bytes(data)))
    assert recording.seconds == SECONDS
    assert recording.missing.startswith(missing)
    assert bool(recording.missing) == bool(missing)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 1000])
def test_a_wav_may_state_a_wrong_size(write, size):
    data = bytearray(encoded("pcm_s16le", "wav", noise(), options={"fflags": "+bitexact"}))
    place = data.index(b"data") + 4
    data[place : place + 4] = size.to_bytes(4, "little")
    assert reading.inspect(write(bytes(data))).seconds == (SECONDS if size != 1000 else 1000 / 4 / RATE)
    assert bool(reading.inspect(write(bytes(data))).missing) == (size == 1000)


@pytest.mark.parametrize("share", [0.97, 0.985])
def test_a_wav_that_states_a_little_too_little_loses_nothing_in_silence(write, share):
    data = bytearray(encoded("pcm_s16le", "wav", noise(60), options={"fflags": "+bitexact"}))
    place = data.index(b"data") + 4
    stated = int.from_bytes(data[place : place + 4], "little")
    data[place : place + 4] = int(share * stated).to_bytes(4, "little")
    recording = reading.inspect(write(bytes(data)))
    assert recording.codec == "pcm_s16"  # the name that a WAV with a right header gets
    assert recording.seconds == pytest.approx(60, abs=0.1) or recording.missing
    assert recording.seconds + recording.lost_seconds == pytest.approx(60, abs=0.1)


def test_a_streamed_wav_is_read_to_its_end(write):
    recording = reading.inspect(write(encoded("pcm_s16le", "wav", noise(), seekable=False)))
    assert (recording.seconds, recording.missing) == (SECONDS, "")


@pytest.mark.parametrize(
    ("codec", "form"),
    [("pcm_s16le", "wav"), ("pcm_s16be", "aiff"), ("pcm_s16be", "au"), ("flac", "flac"), ("libmp3lame", "mp3"),
     ("wavpack", "wv"), ("tta", "tta"), ("wmav2", "asf"), ("flac", "matroska")],
)  # fmt: skip
def test_a_missing_end_is_told(write, codec, form):
    data = encode(codec, form, noise(6))
    recording = reading.inspect(write(data[: len(data) // 2]))
    assert recording.seconds == pytest.approx(3, abs=1)
    assert recording.missing.endswith("s are missing: the file ends before what its header states")
    assert recording.lost_seconds == pytest.approx(6 - recording.seconds, abs=0.1)


def test_a_missing_end_of_an_m4a_is_told(write, tmp_path):
    data = encoded("aac", "ipod", noise(6), options={"movflags": "+faststart"}, path=tmp_path / "whole.m4a")
    recording = reading.inspect(write(data[: len(data) // 2]))
    assert recording.seconds == pytest.approx(3, abs=0.4)
    assert recording.lost_seconds == pytest.approx(3, abs=0.4)


def test_a_hole_in_an_ogg_is_told(write):
    data = bytearray(encode("libopus", "ogg", noise(12, 48000), 48000))
    pages = [place for place in range(len(data)) if data.startswith(b"OggS", place)]
    del data[pages[4] : pages[8]]
    recording = reading.inspect(write(bytes(data)))
    assert recording.missing.endswith("the time stamps have gaps")
    assert recording.seconds + recording.lost_seconds == pytest.approx(12, abs=0.1)


@pytest.mark.parametrize("codec", ["mp3", "flac", "adts"])
def test_a_damaged_middle_is_told(write, codec):
    make = {"mp3": lambda: mp3(8), "flac": lambda: flac(noise(8)), "adts": lambda: encode("aac", "adts", noise(8))}
    data = bytearray(make[codec]())
    middle = slice(len(data) // 2, len(data) // 2 + len(data) // 4)  # two seconds
    data[middle] = np.random.default_rng(1).bytes(middle.stop - middle.start)
    recording = reading.inspect(write(bytes(data)))
    assert recording.missing
    assert recording.seconds + recording.lost_seconds == pytest.approx(8, abs=0.8)


def test_a_packed_wav_is_not_taken_for_a_wav(write):
    header = encode("pcm_s16le", "wav", noise())[:44]
    packed = b"OFR \x0c\0\0\0" + bytes(12) + b"HEAD" + header + np.random.default_rng(0).bytes(50_000)
    with pytest.raises(ValueError, match="cannot be decoded"):
        reading.inspect(write(packed, "a.ofr"))


def test_junk_behind_an_mp3_whose_header_is_fulfilled_is_no_loss(write):
    assert reading.inspect(write(mp3() + np.random.default_rng(0).bytes(30_000))).missing == ""


JUNK = {
    "zeros": bytes(50_000),
    "text": b"<html>404 Not Found</html>" * 500,
    "noise": np.random.default_rng(3).bytes(30_000),
}


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("kind", ["mp3", "flac", "adts", "ogg", "wav"])
def test_junk_before_is_passed_over(write, kind, junk):
    make = {
        "mp3": mp3, "flac": flac, "adts": lambda: encode("aac", "adts", noise()),
        "ogg": lambda: encode("libopus", "ogg", noise(rate=48000), 48000), "wav": lambda: encode("pcm_s16le", "wav", noise()),
    }  # fmt: skip
    recording = reading.inspect(write(JUNK[junk] + make[kind](), f"a.{kind}"))
    assert recording.seconds == pytest.approx(SECONDS, abs=0.2)


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("kind", ["mp3", "flac", "adts", "ogg"])
def test_junk_between_and_after_is_passed_over(write, kind, junk):
    make = {
        "mp3": mp3, "flac": flac, "adts": lambda: encode("aac", "adts", noise()),
        "ogg": lambda: encode("libopus", "ogg", noise(rate=48000), 48000),
    }  # fmt: skip
    data = make[kind]()
    recording = reading.inspect(write(data + JUNK[junk] + data + JUNK[junk], f"a.{kind}"))
    assert recording.seconds == pytest.approx(2 * SECONDS, abs=0.3)


@pytest.mark.parametrize("kind", ["mp3", "flac", "m4a"])
def test_a_cover_of_16_megabytes_is_no_obstacle(write, kind):
    cover = np.random.default_rng(0).bytes((1 << 24) - 1000)
    if kind == "mp3":
        picture = b"\0image/png\0\3\0" + cover
        size = bytes((len(picture) + 10 >> shift) & 0x7F for shift in (21, 14, 7, 0))
        length = len(picture).to_bytes(4, "big")
        data = b"ID3\3\0\0" + size + b"APIC" + length + b"\0\0" + picture + mp3(header=False)
    elif kind == "flac":
        mime = (3).to_bytes(4, "big") + (9).to_bytes(4, "big") + b"image/png"
        picture = mime + bytes(20) + len(cover).to_bytes(4, "big") + cover
        whole = flac()
        data = whole[:42] + b"\6" + len(picture).to_bytes(3, "big") + picture + whole[42:]
    else:
        whole = encoded("aac", "ipod", tone())
        data = whole + (len(cover) + 8).to_bytes(4, "big") + b"free" + cover
    recording = reading.inspect(write(data))
    assert recording.seconds == pytest.approx(SECONDS, abs=0.05)
    assert recording.missing == ""


def test_gapless_information_is_applied(write):
    sound = tone(440, 2.5)
    heard = samples(write(mp3(2.5)))
    assert len(heard) == len(sound)
    assert np.corrcoef(heard[:, 0], sound[:, 0])[0, 1] > 0.99  # not shifted by the encoder's delay


def test_the_sound_of_a_video_is_read(write):
    path = write(video())
    recording = reading.inspect(path)
    assert recording.seconds == pytest.approx(2, abs=0.05)
    assert recording.missing == ""


def test_tags_name_artist_and_album(write):
    for codec, form in (("flac", "flac"), ("libmp3lame", "mp3"), ("aac", "ipod"), ("libopus", "ogg")):
        rate = 48000 if codec == "libopus" else RATE
        data = encoded(codec, form, noise(0.5, rate), rate, tags={"artist": "A  B", "album": "C\nD"})
        recording = reading.inspect(write(data))
        assert (recording.artist, recording.album) == ("A B", "C D")


def add_id3(file: WAVE | AIFF, artist: str, album: str) -> None:
    file.add_tags()
    file.tags.add(TPE1(encoding=3, text=artist))
    file.tags.add(TALB(encoding=3, text=album))
    file.save()


@pytest.mark.parametrize(("form", "tagger"), [("wav", WAVE), ("aiff", AIFF)])
def test_id3_tags_inside_wav_and_aiff_name_artist_and_album(tmp_path, form, tagger):
    path = tmp_path / f"song.{form}"
    soundfile.write(path, noise(0.5, RATE), RATE)
    add_id3(tagger(path), artist="A  B", album="C\nD")
    recording = reading.inspect(path)
    assert (recording.artist, recording.album) == ("A B", "C D")
    assert recording.codec == "pcm_s16"
    whole = path.read_bytes()
    at = whole.index(b"TPE1")
    path.write_bytes(whole[: at + 4] + b"\xff\xff\xff\xff" + whole[at + 8 :])  # its size is beyond the file
    damaged = reading.inspect(path)
    assert (damaged.seconds, damaged.artist) == (recording.seconds, "A B")


def test_the_list_of_a_wav_is_before_its_id3_tags(tmp_path):
    path = tmp_path / "song.wav"
    with soundfile.SoundFile(path, "w", RATE, 1) as sound:
        sound.artist = "Listed"
        sound.write(noise(0.5, RATE)[:, 0])
    add_id3(WAVE(path), artist="Other", album="Album")
    recording = reading.inspect(path)
    assert (recording.artist, recording.album) == ("Listed", "Album")


# Limits, and what is refused.


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be decoded|holds no samples"),
        (b"RIFF", "cannot be decoded"),
        (b"no sound at all" * 100, "cannot be decoded"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nfile:///etc/passwd\n", "cannot be decoded"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "cannot be decoded"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(3000), "cannot be decoded"),
    ],
)
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a"])
def test_a_file_without_sound_is_refused(write, content, message, name):
    with pytest.raises(ValueError, match=message):
        reading.inspect(write(content, name))


@pytest.mark.parametrize(("codec", "form"), [("pcm_s16le", "wav"), ("pcm_s16be", "au"), ("flac", "flac")])
def test_a_header_alone_holds_no_samples(write, codec, form):
    with pytest.raises(ValueError, match="holds no samples|cannot be decoded"):
        reading.inspect(write(encoded(codec, form, noise(0))))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("form", ["wav", "caf"])
def test_samples_that_are_no_numbers_are_refused(write, value, form):
    sound = noise()
    sound[1000] = value
    codec = "pcm_f32le" if form == "wav" else "pcm_f32be"
    with pytest.raises(ValueError, match="holds NaN or infinite samples"):
        reading.inspect(write(encoded(codec, form, sound)))


@pytest.mark.parametrize("level", [1e13, 1e30, -3e38])
def test_samples_beyond_any_scale_are_refused(write, level):
    sound = np.full((RATE, 2), level, np.float32)
    with pytest.raises(ValueError, match=r"holds samples beyond 1e\+12 times full scale"):
        reading.inspect(write(encoded("pcm_f32le", "wav", sound)))


def test_a_recording_without_end_is_not_read_to_its_end(write, monkeypatch):
    monkeypatch.setattr(reading, "MOST_SECONDS", 2)
    assert reading.inspect(write(flac(noise(2)))).seconds == 2.0
    with pytest.raises(ValueError, match=r"is longer than \d hours; cut it into parts"):
        reading.inspect(write(flac(noise(2.1))))


def test_what_cannot_be_music_is_refused(write):
    file = io.BytesIO()
    soundfile.write(file, np.zeros((10, 65)), RATE, format="WAV")
    with pytest.raises(ValueError, match="cannot be music: 65 channels at 44100 Hz"):
        reading.inspect(write(file.getvalue()))
    file = io.BytesIO()
    soundfile.write(file, np.zeros((10, 1)), 500, format="WAV")
    with pytest.raises(ValueError, match="cannot be music: 1 channels at 500 Hz"):
        reading.inspect(write(file.getvalue()))


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac"])
def test_a_disk_error_in_the_middle_is_not_taken_for_the_end(write, monkeypatch, kind):
    path = write({"wav": lambda: encode("pcm_s16le", "wav", noise()), "mp3": mp3, "flac": flac}[kind]())
    middle = path.stat().st_size // 2

    class Failing(io.FileIO):
        def readinto(self, buffer):
            if self.tell() + len(buffer) > middle:
                raise OSError(5, "Input/output error")
            return super().readinto(buffer)

    monkeypatch.setattr(io, "FileIO", Failing)
    with pytest.raises(OSError, match="Input/output error"):
        reading.inspect(path)


def test_a_missing_file_is_an_error_of_the_disk(tmp_path):
    with pytest.raises(FileNotFoundError):
        reading.inspect(tmp_path / "none.mp3")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.999])
@pytest.mark.parametrize(("codec", "form"), [("pcm_s16le", "wav"), ("flac", "flac"), ("libopus", "ogg"),
                                             ("libmp3lame", "mp3"), ("aac", "ipod"), ("aac", "adts")])  # fmt: skip
def test_a_file_cut_anywhere_gives_a_part_or_a_reason(write, capfd, codec, form, share):
    rate = 48000 if codec == "libopus" else RATE
    data = encoded(codec, form, noise(2, rate), rate)
    try:
        recording = reading.inspect(write(data[: int(len(data) * share)]))
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert 0 < recording.seconds <= 2.1
    assert capfd.readouterr() == ("", "")  # no library says anything by itself
