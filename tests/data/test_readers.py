"""Readers of published data sets, on files that are written here in the published layout, and on the real ones."""

import base64
import os
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from tclif_neuro.data import DataError, TaskSpec, load_task
from tclif_neuro.data.events import Bins, Recording, binned
from tclif_neuro.data.readers.nmnist import decode
from tclif_neuro.data.sequences import Packed
from tclif_neuro.data.spec import BinsSpec
from tclif_neuro.errors import TclifWarning

REAL = Path(os.environ.get("TCLIF_DATA", "no such folder")) / "events" / "nmnist-small.zip"
EVENTS = [(0, 0, 1, 5), (33, 2, 0, 250_000), (33, 2, 0, 250_001), (7, 33, 1, 299_999)]  # x, y, polarity, microseconds


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TCLIF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TCLIF_DATA", raising=False)
    return tmp_path / "cache"


def nmnist_bytes(events: list[tuple[int, int, int, int]]) -> bytes:
    return b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for x, y, p, t in events)


@given(
    st.lists(st.tuples(st.floats(0, 2), st.integers(0, 4)), max_size=30),
    st.integers(1, 7),
    st.sampled_from(["binary", "sum"]),
)
def test_every_event_is_in_its_step_or_counted_as_late(events: list[tuple[float, int]], steps: int, count: str) -> None:
    recording = Recording(np.array([t for t, _ in events]), np.array([c for _, c in events], int))
    spikes, late = binned(recording, 5, Bins(steps=steps, duration=1.0, count=count))
    expected = [[0] * 5 for _ in range(steps)]
    missed = 0
    for time, channel in events:
        step = int(time * steps)
        if step >= steps:
            missed += 1
        else:
            expected[step][channel] = 1 if count == "binary" else expected[step][channel] + 1
    assert spikes.tolist() == expected
    assert late == missed


@pytest.mark.parametrize(
    ("times", "channels", "says"),
    [([-0.1], [0], "negative"), ([np.nan], [0], "not finite"), ([0.1], [5], "channel 5; there are 5")],
)
def test_impossible_events_are_refused(times: list[float], channels: list[int], says: str) -> None:
    with pytest.raises(DataError, match=says):
        binned(Recording(np.array(times), np.array(channels)), 5, Bins(steps=2, duration=1.0))


def test_a_recording_of_five_bytes_per_event() -> None:
    recording = decode(nmnist_bytes(EVENTS))
    np.testing.assert_array_equal(recording.times, [t * 1e-6 for *_, t in EVENTS])
    assert recording.channels.tolist() == [(p * 34 + y) * 34 + x for x, y, p, _ in EVENTS]
    assert decode(nmnist_bytes(EVENTS), pool=2).channels.tolist() == [
        (p * 17 + y // 2) * 17 + x // 2 for x, y, p, _ in EVENTS
    ]
    with pytest.raises(DataError, match="7 bytes are no events of 5 bytes"):
        decode(b"1234567")
    with pytest.raises(DataError, match=r"pixel \(34, 0\)"):
        decode(nmnist_bytes([(34, 0, 0, 0)]))


def test_a_clock_that_overflows() -> None:
    """A y of 240 is no pixel: later times are 8192 microseconds more each; times may go back between events."""
    recording = decode(nmnist_bytes([(1, 2, 0, 8000), (0, 240, 0, 0), (3, 4, 1, 100), (9, 240, 1, 0), (5, 6, 0, 50)]))
    assert np.rint(recording.times * 1e6).tolist() == [8000, 8192 + 100, 2 * 8192 + 50]
    assert recording.channels.tolist() == [2 * 34 + 1, (34 + 4) * 34 + 3, 6 * 34 + 5]
    back = decode(nmnist_bytes(EVENTS[::-1]))
    bins = Bins(steps=30, duration=0.3)
    assert (binned(back, 2312, bins)[0] == binned(decode(nmnist_bytes(EVENTS)), 2312, bins)[0]).all()
    assert decode(b"").times.size == 0


def test_what_stands_beside_the_recordings_of_nmnist(tmp_path: Path) -> None:
    publish_nmnist(tmp_path / "nmnist")
    (tmp_path / "nmnist" / "Train" / "0" / "._00000.bin").write_bytes(b"macOS")
    (tmp_path / "nmnist" / "Test" / ".DS_Store").write_bytes(b"")
    assert len(load_task("nmnist", data_dir=tmp_path).train) == 6
    list_nmnist(tmp_path / "small.zip")
    with zipfile.ZipFile(tmp_path / "small.zip", "a") as archive:
        archive.writestr("__MACOSX/._1.bs2", b"macOS")
        archive.writestr("__MACOSX/._train.txt", b"\0\1")
    assert len(load_task(TaskSpec(name="nmnist", data=str(tmp_path / "small.zip"))).train) == 2
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "Train.zip").write_bytes(b"")
    with pytest.raises(DataError, match=r"no training recordings.*; unpack Train.zip"):
        load_task(TaskSpec(name="nmnist", data=str(tmp_path / "packed")))


def publish_nmnist(folder: Path) -> None:
    for part in ("Train", "Test"):
        for digit in range(2):
            (folder / part / str(digit)).mkdir(parents=True)
            for i in range(3):
                (folder / part / str(digit) / f"{i:05}.bin").write_bytes(nmnist_bytes(EVENTS[i:]))


def list_nmnist(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(3):
            archive.writestr(f"{i + 1}.bs2", nmnist_bytes(EVENTS[i:]))
        archive.writestr("train.txt", "#sample #class\n1\t5\n3\t0\n")
        archive.writestr("test100.txt", "#sample #class\n2\t7\n")


def test_nmnist_as_published(tmp_path: Path) -> None:
    publish_nmnist(tmp_path / "nmnist")
    task = load_task("nmnist", data_dir=tmp_path)
    assert task.x_train.shape == (6, 30, 2312)
    assert task.y_train.tolist() == [0, 0, 0, 1, 1, 1]
    expected, _ = binned(decode(nmnist_bytes(EVENTS)), 2312, Bins(steps=30, duration=0.3))
    assert (task.x_train[0] == expected).all() and expected.sum() == 3


def test_nmnist_with_lists_in_an_archive(tmp_path: Path) -> None:
    list_nmnist(tmp_path / "small.zip")
    bins = BinsSpec(steps=10, duration=0.25, count="sum", pool=2)
    with pytest.warns(TclifWarning, match="the train set in .*: [0-9]+% of the events come after 0.25 s"):
        task = load_task(TaskSpec(name="nmnist", data="small.zip", bins=bins).placed(tmp_path))
    assert (task.y_train.tolist(), task.y_test.tolist()) == ([5, 0], [7])
    assert task.x_train.shape == (2, 10, 2 * 17 * 17)
    assert task.test.source == f"the test set in {tmp_path / 'small.zip'}"


def test_what_was_read_once_is_not_read_again(tmp_path: Path, cache: Path) -> None:
    list_nmnist(tmp_path / "small.zip")
    spec = TaskSpec(name="nmnist", data=str(tmp_path / "small.zip"))
    first = load_task(spec)
    assert isinstance(first.train.x, Packed)
    digest = first.digest()
    stored = sorted((cache / "events").glob("*.npy"))
    written = [path.stat().st_mtime_ns for path in stored]
    assert load_task(spec).digest() == digest
    assert [path.stat().st_mtime_ns for path in stored] == written
    del first  # a file that is mapped must not become shorter
    for path in stored:
        path.write_bytes(path.read_bytes()[:50])
    assert load_task(spec).digest() == digest, "a damaged cache is made again"
    assert load_task(spec.model_copy(update={"bins": BinsSpec(steps=5)})).steps == 5
    assert not list((cache / "events").glob("*.tmp"))


def write_shd(path: Path, samples: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    kept = []
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (samples,), h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (samples,), h5py.vlen_dtype(np.uint16))
        for i in range(samples):
            times[i], units[i] = np.sort(rng.random(20 + i)).astype(np.float16), rng.integers(0, 700, 20 + i)
            kept.append((times[i], units[i]))
        file["labels"] = (np.arange(samples) % 2).astype(np.uint16)
        file["extra/keys"] = np.array([b"null", b"eins"])
        file["extra/speaker"] = np.arange(samples, dtype=np.uint16) // 2
    return kept


def test_shd_as_published(tmp_path: Path) -> None:
    recordings = write_shd(tmp_path / "shd_train.h5", 6, 0)
    write_shd(tmp_path / "shd_test.h5", 4, 1)
    task = load_task(TaskSpec(name="shd", bins=BinsSpec(steps=50, duration=1.0, pool=5)), data_dir=tmp_path)
    assert task.x_train.shape == (6, 50, 140)
    assert task.classes == ("null", "eins")
    assert task.train.groups is not None and task.train.groups.tolist() == [0, 0, 1, 1, 2, 2]
    for x, (times, units) in zip(task.x_train, recordings, strict=True):
        on = {(int(float(t) * 50), int(u) // 5) for t, u in zip(times, units, strict=True)}
        assert {(int(t), int(c)) for t, c in np.argwhere(x)} == {(t, c) for t, c in on if t < 50}


def test_shd_without_what_is_extra(tmp_path: Path) -> None:
    """Without names classes are numbers, without speakers there are no groups; speakers may be text."""
    for part in ("train", "test"):
        write_shd(tmp_path / f"shd_{part}.h5", 4, 0)
        with h5py.File(tmp_path / f"shd_{part}.h5", "a") as file:
            del file["extra"]
    task = load_task("shd", data_dir=tmp_path)
    assert task.classes == ("0", "1") and task.train.groups is None
    with h5py.File(tmp_path / "shd_train.h5", "a") as file:
        file["extra/speaker"] = ["ann", "bob", "ann", "bob"]
    task = load_task("shd", data_dir=tmp_path)
    assert task.train.groups is not None and task.train.groups.tolist() == ["ann", "bob", "ann", "bob"]


DAMAGE: list[tuple[str, object, str]] = [
    ("extra/speaker", [1, 2], r"groups_train: one group per sample expected, \[4\], got \[2\]"),
    ("extra/keys", [b"null"], r"labels: label 1 of sample 1 is outside \[0, 0\]"),
    ("labels", [0.0, 1, 0, 1], "labels: integers expected, got float64"),
    ("labels", [0, 1, -1, 1], "labels: label -1 of sample 2"),
    ("labels", [0, 1, 1], "4 times, 4 units and 3 labels"),
    ("labels", np.zeros((4, 1), int), "one label per sample expected"),
    ("spikes/units", np.full((4, 3), 700), "unit 700 of sample 0; there are 700"),
    ("spikes/units", np.zeros((4, 3), int), "20 times of 3 events"),
    ("spikes/times", np.full((4, 20), np.nan), "not finite|times of"),
    ("spikes/times", {str(i): [0.1] for i in range(4)}, "is not laid out as SHD|cannot be read"),
]


@pytest.mark.parametrize(("name", "value", "says"), DAMAGE)
def test_shd_with_something_else_in_a_place(tmp_path: Path, name: str, value: object, says: str) -> None:
    for part in ("train", "test"):
        write_shd(tmp_path / f"shd_{part}.h5", 4, 0)
    with h5py.File(tmp_path / "shd_train.h5", "a") as file:
        del file[name]
        for key, content in value.items() if isinstance(value, dict) else [("", value)]:
            file[f"{name}/{key}" if key else name] = content
    with pytest.raises(DataError, match=says):
        load_task("shd", data_dir=tmp_path)


def test_shd_without_samples_or_still_packed(tmp_path: Path) -> None:
    write_shd(tmp_path / "shd_train.h5", 0, 0)
    with pytest.raises(DataError, match="0 times, 0 units and 0 labels"):
        load_task("shd", data_dir=tmp_path)


# 4 samples in SHD's layout, a byte of which was changed: HDF5 1.14 ends the process that reads its spikes.
DAMAGED = (
    "c-rk*U2F_d6h7x{x7Mausn%-IMMH^J>2~+-T#27{siY|NQ_=@p*~Ds9)2)PfDKBkBqC|p3h#+{`CynTXkcN8j(?m+*Cp-"
    "#~@PHS=Oy|z-?8Me@WYzs9lan)Z?me^L{r24C+^(w1Wn-LqPSD_RKnA$Lj4uL3Gm?Gd{T5+S*iK<DlJOje-nqr|@nU{!+`6^Fpce"
    "hb0wd20yKWsIkq)@~m-"
    "AHxm(*ysPWT>SZ&Pwyv?bCQjsi4=8p2Jg4exGi4Vm=Gell+={Z`p@f1CZs^vi^BT~a##C9L{2^weojj%$nT(Buodnj>vdlWrIPV&"
    "2+St1A&~@qDFIlIwMy@OKv^>(iA#{JcgT_Sll=v;Hqe3J~o2Z$!h_8Aa3|WQaJ!+SCfAy_qC99q$<jBp7zu!8uOE*;OXBI3j&!hn"
    "Uxf-Og{Xe0y5(q3ep`Iw%@7e7vEn_R+Ey{GP7dx~{J1oN70j7*4IHfxK_)sWYwkn4sPR&O}YgG5K0)$u;>}iJ55fH3=@SSY3@K!5"
    "MX_NZ6B;c;U*TMYB)OU*o;w?enc?o7iLK4m?z^{Yr=ORC%ea<a;?;#^qtQnty|ua}ampO}q>-"
    "%%v<`ioH}uF&d4}@dWjwD1R_V*idn8X|U|0cV_vv^4{`*uhMtR?`22W4fcuc58Mh=E0>h1ynyfF$?I&4e+Cy|4u#3De#s!dhQk<v"
    "&BU>lis=oW0XG%GA<W0Cl;A|eTw(7QUoUA`(C>Xze$SWXulK+A16#<>vk%M>*b;ClE0jjw#gFl`{KL=}WLm}_03S@po2s6&=pA;@"
    "LD~m3P!FH+0(H>?JWnBVLM_x&Aif3~N{oH3uwvG{*?ewaX-nBsZ>~S)&to<06}u65qGsQ&990VVR=$%*`9*%4C-"
    "xO%e2g|@HT7T#^y51?1;x0P&QSw&VGi}cHMj&vU<aL0-"
    ")vMb6UNHgA|W9mAt50lAt50lF_K~KACRSgkYVW`WLo+Mj$i7>xQ0Sg_hHD=hjGnFWHX~XE&2Q&A4Z>q;(X}8I~#S5QuE+W!Nc*i)"
    ">o?YAZs7}d*?xKE&X<h{|l+kgN_#@$2ErcXvaVhZ3%}O!>xblJSfq(_e>r>-q0tTCfDp|>f-"
    "P36P|x+pBPCitKH4Jnwr9q=BQEgzXH(*=$r"
)


def test_a_damaged_file_ends_no_process(tmp_path: Path) -> None:
    write_shd(tmp_path / "shd_test.h5", 3, 1)
    (tmp_path / "shd_train.h5").write_bytes(zlib.decompress(base64.b85decode(DAMAGED)))
    code = (
        "import sys; from tclif_neuro.data import DataError, load_task\n"
        "try: load_task('shd', data_dir=sys.argv[1])\nexcept DataError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and done.stdout.count("\n") <= 1, done


def test_ssc_has_a_validation_set_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "SSC").mkdir()
    for part, samples in (("train", 4), ("valid", 3), ("test", 2)):
        write_shd(tmp_path / "SSC" / f"ssc_{part}.h5", samples, samples)
    task = load_task("ssc", data_dir=tmp_path)
    assert task.validation is not None
    assert (len(task.train), len(task.validation), len(task.test)) == (4, 3, 2)
    (tmp_path / "SSC" / "ssc_valid.h5").unlink()
    with pytest.raises(DataError, match="ssc_valid.h5: is not in"):
        load_task("ssc", data_dir=tmp_path)


def test_what_is_not_laid_out_so_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="shd_train.h5: is not in .*; unpack it there"):
        load_task("shd", data_dir=tmp_path)
    write_shd(tmp_path / "shd_train.h5", 2, 0)
    (tmp_path / "shd_test.h5").write_bytes(b"none")
    with pytest.raises(DataError, match="shd_test.h5: is not laid out as SHD"):
        load_task("shd", data_dir=tmp_path)
    with pytest.raises(DataError, match="nmnist: no such file"):
        load_task("nmnist", data_dir=tmp_path)
    (tmp_path / "nmnist").mkdir()
    with pytest.raises(DataError, match="no training recordings"):
        load_task("nmnist", data_dir=tmp_path)
    with pytest.raises(DataError, match="bins are for nmnist, shd, ssc, dvs-gesture"):
        load_task(TaskSpec(name="digits-rows", bins=BinsSpec(steps=3)))


def test_ecg_has_a_class_per_step(tmp_path: Path) -> None:
    (tmp_path / "ecg").mkdir()
    y = np.eye(6, dtype=np.uint8)[np.arange(24).reshape(3, 8) % 6]
    for part in ("train", "test"):
        savemat(tmp_path / "ecg" / f"QTDB_{part}.mat", {"x": np.ones((3, 8, 4), np.int16), "y": y, "max_i": [[1]]})
    task = load_task("ecg", data_dir=tmp_path)
    assert (task.kind, task.steps, task.inputs, len(task.classes)) == ("class per step", 8, 4, 6)
    assert task.y_train.tolist() == (np.arange(24).reshape(3, 8) % 6).tolist()
    (tmp_path / "ecg" / "QTDB_test.mat").write_bytes(b"MATLAB 5.0" + bytes(200))
    with pytest.raises(DataError, match="QTDB_test.mat: is not a MATLAB file"):
        load_task("ecg", data_dir=tmp_path)


@pytest.mark.skipif(not REAL.parent.exists(), reason="set TCLIF_DATA to a folder with ecg/")
def test_the_real_ecg() -> None:
    task = load_task("ecg", data_dir=REAL.parents[1])
    assert (task.x_train.shape, task.x_test.shape) == ((618, 1301, 4), (141, 1301, 4))


@pytest.mark.skipif(not REAL.exists(), reason="set TCLIF_DATA to a folder with events/nmnist-small.zip")
def test_the_real_recordings() -> None:
    task = load_task(TaskSpec(name="nmnist", data=str(REAL)))
    assert (len(task.train), len(task.test)) == (399, 100)
    assert task.x_test.shape == (100, 30, 2312)
    assert set(task.y_train) == set(range(10))
    assert 0.005 < task.x_test.mean() < 0.05, "about a hundredth of the pixels see an event in 10 ms"
