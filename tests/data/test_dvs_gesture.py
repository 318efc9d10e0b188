"""DVS128 Gesture, on files that are written here as they are published."""

import struct
from pathlib import Path

import numpy as np
import pytest

from tclif_neuro.data import DataError, TaskSpec, load_task
from tclif_neuro.data.readers.dvs_gesture import read_aedat
from tclif_neuro.data.spec import BinsSpec

HEADER = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
Event = tuple[int, int, int, int]  # x, y, polarity, microseconds


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCLIF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TCLIF_DATA", raising=False)


def packet(events: list[Event], kind: int = 1, overflow: int = 0, valid: int = 1) -> bytes:
    body = b"".join(struct.pack("<Ii", x << 17 | y << 2 | p << 1 | valid, t) for x, y, p, t in events)
    return struct.pack("<hhiiiiii", kind, 1, 8, 4, overflow, len(events), len(events), len(events)) + body


def publish(root: Path) -> None:
    """Two people, one to train, one to test; each claps (1) and waves (2)."""
    root.mkdir()
    for user, part in (("user01_led", "train"), ("user24_led", "test")):
        (root / f"trials_to_{part}.txt").write_text(f"{user}.aedat\n\n")
        clap, wave = [(0, 0, 1, 1_000_000), (127, 5, 0, 1_500_000)], [(4, 127, 1, 3_000_000), (9, 9, 1, 9_000_000)]
        ignored = packet([(1, 1, 1, 1_100_000)], kind=2) + packet([(1, 1, 1, 1_100_000)], valid=0)
        (root / f"{user}.aedat").write_bytes(HEADER + packet(clap) + ignored + packet(wave))
        (root / f"{user}_labels.csv").write_text(
            "class,startTime_usec,endTime_usec\n1,1000000,2000000\n2,3000000,4000000\n"
        )


def test_as_published(tmp_path: Path) -> None:
    publish(tmp_path / "DvsGesture")
    spec = TaskSpec(name="dvs-gesture", bins=BinsSpec(steps=4, duration=1.0, pool=1))
    task = load_task(spec, data_dir=tmp_path)
    assert task.x_train.shape == (2, 4, 2 * 128 * 128)
    assert (task.y_train.tolist(), task.y_test.tolist()) == ([0, 1], [0, 1])
    assert np.argwhere(task.x_train[0]).tolist() == [[0, 128 * 128], [2, 5 * 128 + 127]]
    assert np.argwhere(task.x_train[1]).tolist() == [[0, 128 * 128 + 127 * 128 + 4]]
    assert task.train.groups is not None and set(task.train.groups) == {"user01"}
    assert task.test.groups is not None and set(task.test.groups) == {"user24"}
    assert len(task.classes) == 11
    by_itself = load_task("dvs-gesture", data_dir=tmp_path)
    assert (by_itself.steps, by_itself.inputs) == (100, 2 * 32 * 32)
    assert np.argwhere(by_itself.x_train[1]).tolist() == [[0, 32 * 32 + 31 * 32 + 1]]


def test_names_of_the_classes(tmp_path: Path) -> None:
    publish(tmp_path / "DvsGesture")
    mapping = tmp_path / "DvsGesture" / "gesture_mapping.csv"
    mapping.write_text("action,label\n" + "".join(f"gesture_{k},{k}\n" for k in range(1, 12)))
    assert load_task("dvs-gesture", data_dir=tmp_path).classes[:2] == ("gesture_1", "gesture_2")
    mapping.write_text("action,label\nclap,1\n")
    with pytest.raises(DataError, match=r"gesture_mapping.csv: has no name of class 2"):
        load_task("dvs-gesture", data_dir=tmp_path)


def test_times_go_on_after_31_bits(tmp_path: Path) -> None:
    (tmp_path / "a.aedat").write_bytes(HEADER + packet([(1, 2, 0, 5)]) + packet([(1, 2, 1, 5)], overflow=1))
    events = read_aedat(tmp_path / "a.aedat")
    assert (events.time.tolist(), events.polarity.tolist()) == ([5, 5 + 2**31], [0, 1])
    (tmp_path / "b.aedat").write_bytes(HEADER)
    assert not read_aedat(tmp_path / "b.aedat").time.size


def test_packets_of_every_other_type_are_passed_over(tmp_path: Path) -> None:
    """Special events, frames of any size, motion; and times that go back within a packet."""
    others = b"".join(
        struct.pack("<hhiiiiii", kind, 1, size, 4, 0, 2, 2, 2) + bytes(2 * size)
        for kind, size in ((0, 8), (2, 32804), (3, 36), (8, 20))
    )
    own = packet([(1, 2, 0, 900), (3, 4, 1, 100)])
    (tmp_path / "a.aedat").write_bytes(HEADER + others + own + others)
    events = read_aedat(tmp_path / "a.aedat")
    assert events.time.tolist() == [900, 100] and events.x.tolist() == [1, 3]


def test_lists_from_windows(tmp_path: Path) -> None:
    publish(tmp_path / "DvsGesture")
    expected = load_task("dvs-gesture", data_dir=tmp_path).digest()
    for path in [*(tmp_path / "DvsGesture").glob("*.txt"), *(tmp_path / "DvsGesture").glob("*.csv")]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_task("dvs-gesture", data_dir=tmp_path).digest() == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"#!AER-DAT2.0\r\n", "is no AEDAT 3.1 file"),
        (HEADER + b"\1\0", "ends in the header of a packet"),
        (HEADER + packet([(1, 2, 1, 5)] * 2)[:-1], "a packet of 2 events of 8 bytes"),
        (HEADER + struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, -1, -1, -1), "a packet of -1 events"),
        (HEADER + struct.pack("<hhiiiiii", 1, 1, 4, 4, 0, 1, 1, 1) + bytes(4), "events of 4 bytes"),
        (HEADER + packet([(128, 2, 1, 5)]), r"pixel \(128, 2\)"),
        (HEADER + packet([(1, 2, 1, 5), (1, 2, 1, -5)]), "an event at -5 microseconds"),
    ],
)
def test_damaged_recordings(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.aedat").write_bytes(content)
    with pytest.raises(DataError, match=f"a.aedat: .*{says}"):
        read_aedat(tmp_path / "a.aedat")


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("user01_led_labels.csv", "1,5\n", "line 1: class, start and end expected"),
        ("user01_led_labels.csv", "12,0,5\n", "line 1: class 1 to 11"),
        ("user01_led_labels.csv", "class,start,end\n1,5,5\n", "line 2: class 1 to 11, start before end"),
        ("user01_led_labels.csv", "", "names no recording with a label"),
        ("trials_to_train.txt", "../user01_led.aedat\n", "is no .aedat file there"),
        ("trials_to_train.txt", "user02_led.aedat\n", "is no .aedat file there"),
    ],
)
def test_damaged_lists(tmp_path: Path, file: str, content: str, says: str) -> None:
    publish(tmp_path / "DvsGesture")
    (tmp_path / "DvsGesture" / file).write_text(content)
    with pytest.raises(DataError, match=says):
        load_task("dvs-gesture", data_dir=tmp_path)


def test_without_lists_or_recordings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="DvsGesture: no such file"):
        load_task("dvs-gesture", data_dir=tmp_path)
    publish(tmp_path / "DvsGesture")
    (tmp_path / "DvsGesture" / "trials_to_test.txt").unlink()
    with pytest.raises(DataError, match=r"trials_to_test.txt: cannot be read"):
        load_task("dvs-gesture", data_dir=tmp_path)
