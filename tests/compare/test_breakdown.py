"""An accuracy in its parts: every sample is in one cell, one class and one group."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tclif_neuro.compare.breakdown import breakdown
from tclif_neuro.score import score

K = 4


@given(st.data(), st.sampled_from([(7,), (5, 7)]))
def test_the_parts_add_up_to_the_whole(data: st.DataObject, shape: tuple[int, ...]) -> None:
    labels = data.draw(arrays(np.int64, shape, elements=st.integers(-1, K - 1)))
    said = data.draw(arrays(np.int64, shape, elements=st.integers(0, K - 1)))
    groups = data.draw(arrays(np.int64, (7,), elements=st.integers(0, 2)))
    found = breakdown(said, labels, "abcd", groups)
    whole = score(np.eye(K)[said], labels)
    assert np.array(found.confusion).sum() == whole.count
    for parts in (found.classes, found.groups):
        assert sum(part.count for part in parts) == whole.count
        right = sum(part.count * part.accuracy for part in parts if part.accuracy is not None)
        assert round(right, 9) == np.trace(np.array(found.confusion))
    for i, part in enumerate(found.classes):
        assert part.count == (labels == i).sum()
        assert (part.accuracy is None) == (part.count == 0)


def test_rows_are_true_and_columns_said() -> None:
    found = breakdown(np.array([1, 1, 2, 0]), np.array([0, 1, 2, 2]), "abc", np.array(["ann", "bob", "ann", "ann"]))
    assert found.confusion == ((0, 1, 0), (0, 1, 0), (1, 0, 1))
    assert [(p.name, p.count, p.accuracy) for p in found.classes] == [("a", 1, 0.0), ("b", 1, 1.0), ("c", 2, 0.5)]
    assert [(p.name, p.count, p.accuracy) for p in found.groups] == [("ann", 3, 1 / 3), ("bob", 1, 1.0)]
    assert breakdown(np.array([0]), np.array([0]), "a").groups == ()
