"""Folders of recordings, of sound and of events, written here; their bands by a plain second implementation."""

import cmath
import math
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile

from tclif_neuro.data import DataError, TaskSpec, load_task
from tclif_neuro.data.readers.recordings import read_events
from tclif_neuro.data.sound import log_mel, read_wav, steps_of
from tclif_neuro.data.spec import BinsSpec, SoundSpec
from tclif_neuro.errors import TclifWarning
from tests.examples import examples

RATE = 2000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCLIF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TCLIF_DATA", raising=False)


def write_wav(path: Path, seconds: float = 0.2, frequency: float = 400, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = 16000 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.astype("<i2").tobytes())


def plain_log_mel(sound: list[float], rate: int, spec: SoundSpec, steps: int) -> list[list[float]]:
    """The equations of `data.sound`, one number at a time."""
    window, hop = round(spec.window * rate), spec.step * rate
    size = 1
    while size < window:
        size *= 2
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * i / window) for i in range(window)]
    top = 2595 * math.log10(1 + rate / 2 / 700)
    corners = [700 * (10 ** (top * k / (spec.bands + 1) / 2595) - 1) for k in range(spec.bands + 2)]
    rows = []
    for t in range(steps):
        start = round(t * hop)
        frame = [hann[i] * (sound[start + i] if start + i < len(sound) else 0.0) for i in range(window)]
        power = []
        for f in range(size // 2 + 1):
            found = sum(s * cmath.exp(-2j * math.pi * f * i / size) for i, s in enumerate(frame))
            power.append(abs(found) ** 2 / (sum(hann) / 2) ** 2)
        row = []
        for low, middle, high in zip(corners, corners[1:], corners[2:], strict=False):
            energy = 0.0
            for f, p in enumerate(power):
                hertz = f * rate / size
                if low < hertz <= middle:
                    energy += p * (hertz - low) / (middle - low)
                elif middle < hertz < high:
                    energy += p * (high - hertz) / (high - middle)
            row.append(min(1.0, max(0.0, 1 + 10 * math.log10(energy) / 80 if energy else 0.0)))
        rows.append(row)
    return rows


@examples(8)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-4, 0.01, 1.0]))
def test_bands_are_those_of_the_plain_equations(seed: int, size: float) -> None:
    spec = SoundSpec(bands=4, step=0.01, window=0.03)
    sound = (size * np.random.default_rng(seed).uniform(-1, 1, 90)).astype(np.float32)
    got = log_mel(sound, 1000, spec, 10)
    expected = plain_log_mel(sound.tolist(), 1000, spec, 10)
    assert np.abs(got / 255 - np.array(expected)).max() <= 0.5 / 255 + 1e-6


def test_a_sine_is_loud_in_its_own_band_and_silence_is_zero() -> None:
    spec = SoundSpec(bands=8)
    x = log_mel(np.sin(2 * np.pi * 500 * np.arange(800) / 8000).astype(np.float32), 8000, spec, 20)
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 10) / 2595) - 1)
    assert set(x[:8].argmax(axis=1)) <= {k for k in range(8) if corners[k] < 500 < corners[k + 2]}
    assert x[0].max() > 0.9 * 255
    assert not x[10:].any()


def test_too_many_bands_and_too_many_steps_are_refused() -> None:
    with pytest.raises(DataError, match=r"band 0 of 200 .*fewer bands"):
        log_mel(np.zeros(500, np.float32), 8000, SoundSpec(bands=200), 4)
    with pytest.raises(DataError, match="at most"):
        steps_of(SoundSpec(step=1e-6), 10.0)
    assert steps_of(SoundSpec(), 1.0) == 100


@pytest.mark.parametrize(
    ("dtype", "whole"), [("uint8", 128), ("int16", 2**15), ("int32", 2**31), ("float32", None), ("float64", None)]
)
def test_every_width_of_a_wav_file(tmp_path: Path, dtype: str, whole: int | None) -> None:
    sound = np.array([[0, 0.5], [-0.5, -1], [0.25, 0.25]])
    stored = sound if whole is None else sound * whole + (128 if dtype == "uint8" else 0)
    wavfile.write(tmp_path / "a.wav", 8000, stored.astype(dtype))
    got, rate = read_wav(tmp_path / "a.wav")
    assert (rate, got.tolist()) == (8000, [0.25, -0.75, 0.25])


def test_what_is_no_wav_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "whole.wav")
    content = (tmp_path / "whole.wav").read_bytes()
    for name, damaged in (("text", b"no sound"), ("short", content[:30]), ("empty", content[:4] + content[8:40])):
        (tmp_path / f"{name}.wav").write_bytes(damaged)
        with pytest.raises(DataError, match=f"{name}.wav: is not a WAV file"):
            read_wav(tmp_path / f"{name}.wav")


def wav(samples: bytes, channels: int = 1, width: int = 2, *, form: int = 1, says: int | None = None) -> bytes:
    """A WAV file byte by byte. form: 1 PCM, 3 float, 7 mu-law. says: the bytes of sound that its header tells of."""
    size, block = len(samples) if says is None else says, channels * width
    form_chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, form, channels, 8000, 8000 * block, block, 8 * width)
    data = struct.pack("<4sI", b"data", size) + samples
    whole = 2**32 - 1 if size == 2**32 - 1 else 4 + len(form_chunk) + 8 + size
    return struct.pack("<4sI4s", b"RIFF", whole, b"WAVE") + form_chunk + data


def test_24_bits_of_two_channels(tmp_path: Path) -> None:
    left, right = [2**22, -(2**23), 1], [0, -(2**23), -1]
    content = b"".join(v.to_bytes(3, "little", signed=True) for pair in zip(left, right, strict=True) for v in pair)
    (tmp_path / "a.wav").write_bytes(wav(content, channels=2, width=3))
    assert read_wav(tmp_path / "a.wav")[0].tolist() == [0.25, -1.0, 0.0]


def test_a_length_that_was_not_known_when_it_was_written(tmp_path: Path) -> None:
    content = np.array([0, 2**14, -(2**14)], "<i2").tobytes()
    (tmp_path / "piped.wav").write_bytes(wav(content, says=2**32 - 1))
    assert read_wav(tmp_path / "piped.wav")[0].tolist() == [0, 0.5, -0.5]


def test_a_file_that_was_cut_off_is_said(tmp_path: Path) -> None:
    content = np.arange(100, dtype="<i2").tobytes()
    (tmp_path / "a.wav").write_bytes(wav(content)[:-60])
    with pytest.warns(TclifWarning, match="a.wav: ends before its header says, at 184 of 244 bytes"):
        assert len(read_wav(tmp_path / "a.wav")[0]) == 70


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (wav(b""), "0 samples, 8000 per second: no sound"),
        (wav(bytes(8), width=1, form=7), "is not a WAV file that can be read: .*MULAW"),
        (wav(bytes(8))[:36], "is not a WAV file that can be read"),
        (b"RIFF" + bytes(4) + wav(bytes(8))[8:], "no sound behind its header"),
        (wav(np.array([0.5, np.nan], "<f4").tobytes(), width=4, form=3), "not finite"),
        (b"ID3\x03" + bytes(60), "is not a WAV file that can be read"),
    ],
)
def test_what_is_called_wav_and_has_no_sound(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataError, match=f"a.wav: .*{says}"):
        read_wav(tmp_path / "a.wav")


def test_a_folder_of_sound(tmp_path: Path) -> None:
    for i in range(5):
        write_wav(tmp_path / "words" / "low" / f"{i}.wav", 0.1 + 0.02 * i, 200)
        write_wav(tmp_path / "words" / "high" / f"{i}.wav", 0.1, 700)
    (tmp_path / "words" / "_noise").mkdir()
    spec = TaskSpec(name="./words", sound=SoundSpec(bands=6)).placed(tmp_path)
    task = load_task(spec)
    assert (task.classes, task.steps, task.inputs) == (("high", "low"), 18, 6)
    assert (len(task.train), len(task.test)) == (8, 2)
    loudest = task.x_train[:, :8].mean(axis=1).argmax(axis=1)
    assert loudest[task.y_train == 0].min() > loudest[task.y_train == 1].max()
    assert load_task(spec).digest() == task.digest()
    longer = load_task(spec.model_copy(update={"sound": SoundSpec(bands=6, duration=0.3)}))
    assert longer.steps == 30 and not longer.x_train[:, 20:].any()
    with pytest.warns(TclifWarning, match="% of the sound comes after 0.05 s"):
        assert load_task(spec.model_copy(update={"sound": SoundSpec(bands=6, duration=0.05)})).steps == 5


def test_a_folder_without_a_slash_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words").mkdir()
    monkeypatch.chdir(tmp_path)
    for keys in ({"sound": SoundSpec()}, {"bins": BinsSpec()}, {"test": "b.npz"}, {}):
        with pytest.raises(DataError, match=r"task 'words': the folder of that name is './words'. There are"):
            load_task(TaskSpec.model_validate({"name": "words", **keys}))


def test_folders_train_and_test_and_groups(tmp_path: Path) -> None:
    names = [f"{part}/{label}/{i}.wav" for part in ("train", "test") for label in "ab" for i in range(2)]
    for name in names:
        write_wav(tmp_path / "set" / name)
    (tmp_path / "set" / "groups.txt").write_text("".join(f"{name} g{name[-5]}\n" for name in names))
    task = load_task(TaskSpec(name="./set", sound=SoundSpec(bands=4)).placed(tmp_path))
    assert (len(task.train), len(task.test)) == (4, 4)
    assert task.train.groups is not None and task.train.groups.tolist() == ["g0", "g1", "g0", "g1"]
    (tmp_path / "set" / "groups.txt").write_text("train/a/0.wav g0\n")
    with pytest.raises(DataError, match=r"groups.txt: does not say whose test/a/0.wav is"):
        load_task(TaskSpec(name="./set", sound=SoundSpec(bands=4)).placed(tmp_path))


def publish_speech_commands(root: Path) -> None:
    for word in ("yes", "no"):
        for speaker in ("ada", "bob", "cleo"):
            write_wav(root / word / f"{speaker}_nohash_0.wav", 0.5 if speaker == "bob" else 1.0)
    write_wav(root / "_background_noise_" / "pink.wav", 3.0)
    (root / "validation_list.txt").write_text("yes/bob_nohash_0.wav\nno/bob_nohash_0.wav\n")
    (root / "testing_list.txt").write_text("yes/cleo_nohash_0.wav\n\nno/cleo_nohash_0.wav\n")


def test_speech_commands_as_published(tmp_path: Path) -> None:
    publish_speech_commands(tmp_path / "speech-commands")
    spec = TaskSpec(name="speech-commands", sound=SoundSpec(bands=5))
    task = load_task(spec, data_dir=tmp_path)
    assert task.validation is not None
    parts = {name: part.groups.tolist() for name, part in task.parts() if part.groups is not None}
    assert parts == {"train": ["ada"] * 2, "validation": ["bob"] * 2, "test": ["cleo"] * 2}
    assert (task.steps, task.inputs, task.classes) == (100, 5, ("no", "yes"))
    assert not task.validation.x.all()[:, 51:].any()
    (tmp_path / "speech-commands" / "testing_list.txt").write_text("yes/dan_nohash_0.wav\n")
    with pytest.raises(DataError, match=r"testing_list.txt: yes/dan_nohash_0.wav is not there"):
        load_task(spec, data_dir=tmp_path)
    (tmp_path / "speech-commands" / "testing_list.txt").unlink()
    with pytest.raises(DataError, match=r"testing_list.txt: no such file"):
        load_task(spec, data_dir=tmp_path)


def test_some_words_of_speech_commands(tmp_path: Path) -> None:
    """The lists name recordings of all words; those of words that were not kept are passed over, which is said."""
    root = tmp_path / "speech-commands"
    publish_speech_commands(root)
    with open(root / "testing_list.txt", "a") as file:
        file.write("bed/dan_nohash_0.wav\n")
    spec = TaskSpec(name="speech-commands", sound=SoundSpec(bands=5))
    with pytest.warns(TclifWarning, match="the lists also name recordings of bed, which are no folders there"):
        assert len(load_task(spec, data_dir=tmp_path).test) == 2
    (root / "validation_list.txt").unlink()
    with pytest.raises(DataError, match=r"validation_list.txt: no such file.*Without it: name = the folder's path"):
        load_task(spec, data_dir=tmp_path)
    with pytest.warns(TclifWarning, match="bed"):
        task = load_task(TaskSpec(name=str(root), sound=SoundSpec(bands=5)))
    assert task.validation is None and task.test.groups is not None and set(task.test.groups) == {"cleo"}


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_a_folder_of_validation_by_its_other_names(tmp_path: Path, name: str) -> None:
    for part, count in (("Train", 2), (name, 1), ("test", 1)):
        for label in "ab":
            for i in range(count):
                write_wav(tmp_path / "set" / part / label / f"{i}.wav")
    task = load_task(TaskSpec(name=str(tmp_path / "set"), sound=SoundSpec(bands=4)))
    assert task.validation is not None and task.classes == ("a", "b")
    assert (len(task.train), len(task.validation), len(task.test)) == (4, 2, 2)


def test_what_stands_beside_the_recordings(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    root = tmp_path / "set"
    for label in "ab":
        for i in range(5):
            write_wav(root / label / f"{i}.wav")
        (root / label / ".DS_Store").write_bytes(b"")
        (root / label / "._0.wav").write_bytes(b"no sound")
    spec = TaskSpec(name=str(root), sound=SoundSpec(bands=4))
    assert load_task(spec).classes == ("a", "b")
    assert not recwarn.list
    write_wav(root / "c" / "ann" / "0.wav")
    with pytest.warns(TclifWarning) as said:
        assert load_task(spec).classes == ("a", "b")
    texts = [str(one.message) for one in said]
    assert any("1 files or folders in the folders of its classes are neither" in text for text in texts)
    assert any("no recordings right in c: no class of that name" in text for text in texts)


def test_lists_from_windows(tmp_path: Path) -> None:
    """A mark before the first line, and two bytes at the end of each."""
    root = tmp_path / "taps"
    for label, channel in (("a", 0), ("b", 3)):
        (root / label).mkdir(parents=True)
        for i in range(3):
            text = f"\ufefft,channel\r\n0.1,{channel}\r\n0.2,{channel + i}\r\n"
            (root / label / f"{i}.csv").write_bytes(text.encode())
    (root / "testing_list.txt").write_bytes("\ufeffa/0.csv\r\nb/0.csv\r\n".encode())
    groups = "".join(f"{label}/{i}.csv g{i}\r\n" for label in "ab" for i in range(3))
    (root / "groups.txt").write_bytes(f"\ufeff{groups}".encode())
    task = load_task(TaskSpec(name=str(root)))
    assert (len(task.train), len(task.test), task.inputs) == (4, 2, 6)
    assert task.test.groups is not None and set(task.test.groups) == {"g0"}


def test_a_folder_of_events(tmp_path: Path) -> None:
    for label, first in (("a", 0), ("b", 3)):
        for i in range(4):
            path = tmp_path / "letters" / label / f"{i}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"time,channel\n0.0,{first}\n0.3,{first + 1}  # twice\n0.3,{first + 1}\n1.0,{first + 2}\n")
    spec = TaskSpec(name="./letters", bins=BinsSpec(steps=4, count="sum")).placed(tmp_path)
    task = load_task(spec)
    assert task.x_train.shape == (6, 4, 6)
    sample = task.x_train[task.y_train.tolist().index(1)]
    assert np.argwhere(sample).tolist() == [[0, 3], [1, 4], [3, 5]] and sample[1, 4] == 2
    pooled = load_task(spec.model_copy(update={"bins": BinsSpec(steps=4, pool=3)}))
    assert pooled.inputs == 2 and pooled.x_train.max() == 1
    (tmp_path / "letters" / "a" / "long.csv").write_text("250000 1\n")
    with pytest.warns(
        TclifWarning, match="its last event is at 250000; times are in seconds, are these milli- or micro"
    ):
        load_task(spec)
    with pytest.raises(DataError, match=r"holds events; task.sound is not for it"):
        load_task(TaskSpec(name="./letters", sound=SoundSpec()).placed(tmp_path))
    write_wav(tmp_path / "letters" / "a" / "x.wav")
    with pytest.raises(DataError, match="holds both sound"):
        load_task(spec)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0.1 2\n0.2\n", "a time in seconds and a channel per line"),
        ("0.1 x\n", "a time in seconds and a channel per line"),
        ("0.1 2 3\n0.1 2 3\n", "a time in seconds and a channel per line"),
        ("0.1 -2\n", "event 0: time 0.1, channel -2"),
        ("0 1\n-0.1 2\n", "event 1: time -0.1"),
        ("0.1 1.5\n", "channel 1.5"),
        ("0.1 65536\n", "channel 65536"),
        ("nan 1\n", "event 0: time nan"),
    ],
)
def test_event_text_that_is_none(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(DataError, match=f"a.txt: .*{says}"):
        read_events(tmp_path / "a.txt")


@pytest.mark.parametrize("between", [",", ";", " ", "\t", ", "])
def test_what_stands_between_a_time_and_its_channel(tmp_path: Path, between: str) -> None:
    (tmp_path / "a.txt").write_text(f"t{between}channel\n0.5{between}3\n0.25{between}1\n")
    found = read_events(tmp_path / "a.txt")
    assert (found.times.tolist(), found.channels.tolist()) == ([0.5, 0.25], [3, 1])


def test_a_recording_without_events_is_silent(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# none\n")
    assert read_events(tmp_path / "a.txt").times.size == 0
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="b.txt: is not a text file"):
        read_events(tmp_path / "b.txt")


def test_what_a_folder_of_recordings_must_be(tmp_path: Path) -> None:
    write_wav(tmp_path / "set" / "a" / "0.wav")
    (tmp_path / "set" / "a" / "notes.md").write_text("")
    with (
        pytest.warns(TclifWarning, match="1 files or folders in the folders of its classes are neither"),
        pytest.raises(DataError, match="split"),
    ):
        load_task(TaskSpec(name="./set", sound=SoundSpec(bands=4)).placed(tmp_path))
    (tmp_path / "set" / "a" / "notes.md").unlink()
    write_wav(tmp_path / "set" / "b" / "0.wav", rate=4000)
    with pytest.raises(DataError, match=r"b/0.wav: 4000 samples per second; a/0.wav has 2000: resample it"):
        load_task(TaskSpec(name="./set", sound=SoundSpec(bands=4)).placed(tmp_path))
    with pytest.raises(DataError, match=r"holds sound; task.bins is not for it"):
        load_task(TaskSpec(name="./set", bins=BinsSpec()).placed(tmp_path))
    (tmp_path / "none" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match="none: no recordings"):
        load_task(TaskSpec(name="./none").placed(tmp_path))
    for name in ("0.flac", "1.mp3"):
        (tmp_path / "none" / "a" / name).write_bytes(b"")
    (tmp_path / "none" / "a" / "ann").mkdir()
    with pytest.raises(DataError, match="none: no recordings.*; there are .flac, .mp3, folders in a"):
        load_task(TaskSpec(name="./none").placed(tmp_path))
    with pytest.raises(DataError, match=r"sound is for speech-commands"):
        load_task(TaskSpec(name="digits-rows", sound=SoundSpec()))
