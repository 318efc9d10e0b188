"""Text from outside: nothing of it is obeyed by a terminal, and no more than a length of it is printed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.text import MAX_NESTING, MAX_QUOTED, check_nesting, clean, cut, quoted

ANYTHING = st.text(st.characters())  # lone surrogates and controls too


@given(ANYTHING)
def test_a_clean_text_is_one_line_that_nothing_obeys(text):
    found = clean(text)
    assert not {unicodedata.category(c) for c in found} & {"Cc", "Cs", "Cf", "Zl", "Zp"}
    assert len(found.splitlines()) <= 1
    assert found.encode() and clean(found) == found if text else found == ""


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"])))
def test_what_is_fit_is_left_as_it_is(text):
    assert clean(text) == text


def test_escapes_say_what_was_there():
    assert clean("a\x1b[31m\u202egnp.\n\u2028\ud800") == r"a\x1b[31m\u202egnp.\n\u2028\ud800"


@given(ANYTHING, st.integers(20, 300))
def test_a_cut_text_begins_and_ends_as_it_did(text, length):
    found = cut(text, length)
    assert len(found) <= length
    assert found == text if len(text) <= length else text.startswith(found[:5]) and text.endswith(found[-5:])


def test_a_value_is_quoted_within_the_limit():
    assert quoted("a") == "'a'" and len(quoted("x" * 10**6)) <= MAX_QUOTED


def test_nesting_has_a_limit():
    value = 1
    for _ in range(MAX_NESTING):
        value = {"a": [value]} if isinstance(value, int) else [value]
    with pytest.raises(ValueError, match="nested deeper"):
        check_nesting(value)
    check_nesting(value[0])
