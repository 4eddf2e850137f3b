import pytest
from pydicom import Dataset

from imaging.marked_kind import Kind, chosen, kind_of


def coded(value, scheme="SCT"):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, "nodule or not"
    return item


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("27925004", "SCT"), ("786838002", "SCT"), ("M-03010", "SRT"), ("M-8FFFF", "SRT"), ("108369006", "SCT"),
        ("228791009", "SCT"), ("RID50149", "RADLEX"),
    ],
)  # fmt: skip
def test_codes_of_nodules_and_tumours_count_whatever_the_name(value, scheme):
    assert kind_of([coded(value, scheme)], ["LUNG"]) is Kind.NODULE


@pytest.mark.parametrize("value", ["39607008", "51185008", "10200004"])
def test_an_organ_is_no_nodule_even_when_its_name_speaks_of_one(value):
    assert kind_of([coded(value)], ["LUNG WITH NODULE"]) is Kind.OTHER


@pytest.mark.parametrize("value", ["49755003", "85756007"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NODULE 1", Kind.NODULE), ("GTV-1", Kind.NODULE), ("TUMOUR", Kind.NODULE), ("RIGHT UPPER MASS", Kind.NODULE),
        ("LUNG_L", Kind.OTHER), ("HEART", Kind.OTHER), ("MASSETER", Kind.OTHER), ("PTV TUMOR", Kind.OTHER),
        ("SEGMENT_1", Kind.UNSAID), ("3", Kind.UNSAID), ("", Kind.UNSAID),
    ],
)  # fmt: skip
def test_a_code_that_tells_nothing_leaves_it_to_the_name(value, name, kind):
    assert kind_of([coded(value)], [name]) is kind
    assert kind_of([], [name]) is kind


def test_a_code_of_another_scheme_is_another_code():
    assert kind_of([coded("27925004", "99LOCAL")]) is Kind.OTHER


def test_an_item_without_a_code_tells_nothing():
    assert kind_of([Dataset()]) is Kind.UNSAID


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([Kind.OTHER, Kind.NODULE, Kind.UNSAID, Kind.NODULE], (1, 3)), ([Kind.UNSAID, Kind.UNSAID], (0, 1)),
        ([Kind.UNSAID, Kind.OTHER], ()), ([Kind.OTHER], ()), ([], ()),
    ],
)  # fmt: skip
def test_nodules_count_and_what_is_unsaid_only_alone(kinds, expected):
    assert chosen(kinds) == expected
