"""Settings and data that tests share."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("suite")

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is imported and collected stays: no use in looking through it for garbage, now or after any test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture
def rng():
    return np.random.default_rng(20260101)


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real images that are too large, or not free enough, for the repository."""
    folder = Path(os.environ.get("MAP_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no shared data: set MAP_SHARED_DATA to its folder")
    return folder
