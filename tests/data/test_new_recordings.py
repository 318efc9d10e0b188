"""Recordings that a network has not seen: in the steps of those that it was trained on, or refused."""

from pathlib import Path

import numpy as np
import pytest

from tclif_neuro.data import DataError, Task, TaskSpec, load_task
from tclif_neuro.data.readers.new_recordings import are_recordings, new_recordings
from tclif_neuro.data.spec import BinsSpec, FoundSpec, SoundSpec
from tclif_neuro.errors import TclifWarning
from tests.data.test_recordings import RATE, write_wav

SOUND = SoundSpec(bands=4, step=0.02)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCLIF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TCLIF_DATA", raising=False)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """Words of 0.1 to 0.26 s, low and high."""
    for i in range(5):
        write_wav(tmp_path / "words" / "low" / f"{i}.wav", 0.1 + 0.04 * i, 200 + i)
        write_wav(tmp_path / "words" / "high" / f"{i}.wav", 0.14, 700 + i)
    return tmp_path / "words"


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Letters as events of 8 channels; the longest ends after 0.9 s."""
    for label, channel in (("a", 0), ("b", 4)):
        for i in range(5):
            (tmp_path / "letters" / label).mkdir(parents=True, exist_ok=True)
            lines = f"0.05 {channel}\n{0.1 + 0.2 * i:.2f} {channel + 3}\n"
            (tmp_path / "letters" / label / f"{i}.txt").write_text(lines)
    return tmp_path / "letters"


def trained(folder: Path, **keys: object) -> tuple[TaskSpec, Task]:
    """The [task] that a network carries, and its task."""
    spec = TaskSpec.model_validate({"name": str(folder), **keys})
    task = load_task(spec)
    return spec.model_copy(update={"found": task.found}), task


def by_content(task: Task) -> set[bytes]:
    return {np.ascontiguousarray(x).tobytes() for part in (task.x_train, task.x_test) for x in part}


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("kind", ["words", "letters"])
def test_the_folder_of_the_training_is_the_task_s_samples_again(
    kind: str, lengths: bool, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(kind)
    keys = {"sound": SOUND} if kind == "words" else {"bins": BinsSpec(steps=9, pool=2)}
    spec, task = trained(folder, lengths=lengths, **keys)
    again = new_recordings(folder, spec, task.classes)
    assert {x.tobytes() for x in again.x} == by_content(task) and len(again.x) == 10
    assert again.names == tuple(
        f"{label}/{i}.{'wav' if kind == 'words' else 'txt'}" for label in task.classes for i in range(5)
    )
    assert again.y is not None and again.y.tolist() == [0] * 5 + [1] * 5
    if not lengths:
        assert again.lengths is None and task.train.lengths is None
        return
    expected = {"words": [7] * 5 + [5, 7, 9, 11, 13], "letters": [1, 3, 5, 7, 9] * 2}[kind]
    assert again.lengths is not None and task.train.lengths is not None and task.test.lengths is not None
    assert again.lengths.tolist() == expected
    assert sorted([*task.train.lengths, *task.test.lengths]) == sorted(expected)


def test_one_file_and_a_folder_of_files_have_no_labels(words: Path) -> None:
    spec, task = trained(words, sound=SOUND)
    one = new_recordings(words / "low" / "3.wav", spec, task.classes)
    some = new_recordings(words / "low", spec, task.classes)
    assert (one.y, some.y) == (None, None)
    assert (one.names, some.names) == (("3.wav",), tuple(f"{i}.wav" for i in range(5)))
    assert np.array_equal(one.x[0], some.x[3]) and one.x[0].tobytes() in by_content(task)


def test_of_parts_the_test_set_is_taken(words: Path) -> None:
    spec, task = trained(words, sound=SOUND)
    assert not new_recordings(words, spec, task.classes).test
    (words / "testing_list.txt").write_text("low/1.wav\nhigh/0.wav\n")
    found = new_recordings(words, spec, task.classes)
    assert found.names == ("high/0.wav", "low/1.wav") and found.test and found.groups is None
    (words / "groups.txt").write_text("".join(f"{label}/{i}.wav g{i}\n" for label in ("low", "high") for i in range(5)))
    groups = new_recordings(words, spec, task.classes).groups
    assert groups is not None and groups.tolist() == ["g0", "g1"]


def test_what_is_not_like_the_training_is_refused_or_said(words: Path, letters: Path, tmp_path: Path) -> None:
    spec, task = trained(words, sound=SOUND)
    write_wav(tmp_path / "other" / "fast.wav", rate=2 * RATE)
    with pytest.raises(DataError, match=r"fast.wav: 4000 samples per second; the training recordings had 2000"):
        new_recordings(tmp_path / "other", spec, task.classes)
    write_wav(tmp_path / "long.wav", 0.52)
    with pytest.warns(TclifWarning, match=r"50% of the sound after 0.26 s, the duration of the training"):
        assert new_recordings(tmp_path / "long.wav", spec, task.classes).x.shape == (1, 13, 4)
    with pytest.raises(DataError, match="holds events; the network was trained on sound"):
        new_recordings(letters, spec, task.classes)
    (words / "low").rename(words / "deep")
    with pytest.raises(DataError, match="label 'deep' of sample 0 is none of high, low"):
        new_recordings(words, spec, task.classes)
    for missing in (None, spec.model_copy(update={"found": None})):
        with pytest.raises(DataError, match="does not say how they become steps"):
            new_recordings(words, missing, task.classes)
    spec, task = trained(letters)
    (tmp_path / "wide.txt").write_text("0.1 8\n")
    with pytest.raises(DataError, match=r"wide.txt: an event of channel 8; there are 8 in the training recordings"):
        new_recordings(tmp_path / "wide.txt", spec, task.classes)


def test_arrays_are_no_recordings(words: Path, tmp_path: Path) -> None:
    assert are_recordings(words) and are_recordings(words / "low") and are_recordings(words / "low" / "0.wav")
    np.save(words / "x.npy", np.zeros(3))
    assert (
        not are_recordings(words) and not are_recordings(tmp_path / "x.npz") and not are_recordings(tmp_path / "none")
    )


def test_a_class_s_folder_alone_is_no_task(words: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="recordings without a folder per class"):
        load_task(TaskSpec(name=str(words / "low")))
    (tmp_path / "table.csv").write_text("1,2,3\n")
    with pytest.raises(DataError, match=r"table.csv: a task of one's own is .*; docs/your-data.md makes one of"):
        load_task(TaskSpec(name=str(tmp_path / "table.csv")))
    with pytest.raises(DataError, match="task.lengths is for folders of recordings"):
        np.savez(tmp_path / "own.npz", x=np.zeros((9, 3, 2)), y=np.arange(9) % 3)
        load_task(TaskSpec(name=str(tmp_path / "own.npz"), lengths=True))
    with pytest.raises(DataError, match="lengths is for speech-commands"):
        load_task(TaskSpec(name="digits-rows", lengths=True))


def test_what_was_found_is_part_of_the_task(words: Path, letters: Path) -> None:
    assert trained(words, sound=SOUND)[1].found == FoundSpec(duration=0.26, inputs=4, rate=RATE)
    found = trained(letters, bins=BinsSpec(pool=3))[1].found
    assert found is not None and (found.inputs, found.rate) == (3, None) and found.duration == pytest.approx(0.9)
