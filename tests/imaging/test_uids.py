from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from imaging.uids import derived_uid

PARTS = [("a", "bc"), ("ab", "c"), ("abc",), ("a", "b", "c"), ("abc", ""), ("", "abc"), ()]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_the_same_parts_give_the_same_valid_identifier(parts):
    found = derived_uid(*parts)

    assert found == derived_uid(*parts)
    assert UID(found).is_valid
    assert found.startswith("2.25.")
    assert len(found) <= 64


def test_other_parts_give_another_identifier():
    assert all(derived_uid(*one) != derived_uid(*other) for one, other in combinations(PARTS, 2) if {one, other} - {()})
