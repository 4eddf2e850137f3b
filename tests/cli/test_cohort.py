import pytest

from cli.main import main
from tests.cohort_samples import write_cohort


def test_a_folder_of_runs_becomes_one_page(tmp_path, capsys):
    folder, page = write_cohort(tmp_path / "runs", 12), tmp_path / "cohort.html"

    assert main(["cohort", str(folder), "-o", str(page)]) == 0
    assert "18 runs, 2 without results" in capsys.readouterr().out
    assert "case 007" in page.read_text(encoding="utf-8")
    assert list(tmp_path.glob("*.part")) == []


def test_a_page_is_replaced(tmp_path):
    folder, page = write_cohort(tmp_path / "runs", 4), tmp_path / "cohort.html"
    page.write_text("old")

    assert main(["cohort", str(folder), "-o", str(page), "--numbers"]) == 0
    assert "old" not in page.read_text(encoding="utf-8")
    assert "case" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("runs", "code", "said"), [("missing", 2, "A folder of runs is needed"), (".", 3, "No run of")]
)
def test_without_runs_there_is_no_page(tmp_path, capsys, runs, code, said):
    page = tmp_path / "cohort.html"

    assert main(["cohort", str(tmp_path / runs), "-o", str(page)]) == code
    assert said in capsys.readouterr().err
    assert not page.exists()


def test_a_page_that_cannot_be_written_is_an_error(tmp_path, capsys):
    folder = write_cohort(tmp_path / "runs", 4)
    page = tmp_path / "cohort.html"
    page.mkdir()

    assert main(["cohort", str(folder), "-o", str(page)]) == 6
    assert "Choose another one with -o" in capsys.readouterr().err
    assert list(tmp_path.glob("*.part")) == []
