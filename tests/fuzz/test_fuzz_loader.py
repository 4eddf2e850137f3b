"""Damaged folders end with a volume or a reason."""

from pathlib import Path

import pytest

from tests.fuzz.fuzz_loader import KEEP, damaged_files, fuzz, seed_files
from tests.fuzz.mutate import mutated, places_of, random_numbers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def seeds():
    """The good folders that are damaged."""
    return seed_files()


def test_60_damaged_folders_end_with_a_volume_or_a_reason():
    result = fuzz(60, seed=2, processes=1, keep=ROOT / KEEP)

    assert not result.faults, result
    assert sum(result.ends.values()) == 60
    assert len(result.ends) > 4, result
    assert result.ends["volume"] > 8, result


@pytest.mark.system
def test_ten_thousand_damaged_folders_end_with_a_volume_or_a_reason():
    result = fuzz(10_000, seed=1, processes=2, keep=ROOT / KEEP)

    assert not result.faults, result


def test_a_case_is_the_same_every_time(seeds):
    assert damaged_files(seeds, seed=7, number=5) == damaged_files(seed_files(), seed=7, number=5)
    assert damaged_files(seeds, seed=7, number=5) != damaged_files(seeds, seed=7, number=6)


def test_every_element_of_a_good_file_can_be_found(seeds):
    files, places = seeds[0]
    content, found = next(iter(files.items()))[1], next(iter(places.values()))

    assert len(found) > 30
    assert places_of(content) == found
    assert mutated(content, found, random_numbers(1, 1)) != content
