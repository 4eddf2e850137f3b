"""Cases are written once in a run of tests."""

from pathlib import Path

import pytest

from tests.dicom_cases.case import Case


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Return the folder of a case; tests leave it as it is."""
    folders: dict[str, Path] = {}

    def folder_of(case: Case) -> Path:
        if case.name not in folders:
            folders[case.name] = tmp_path_factory.mktemp(case.name, numbered=False)
            case.write(folders[case.name])
        return folders[case.name]

    return folder_of
