"""docs/deploy.md and its pages: links lead somewhere, names are those of the applications."""

import re

import pytest

from imaging.outcome import ExitCode
from maps.describe_app import ROOT, app_names, describe_app

INDEX = ROOT / "docs" / "deploy.md"
PAGES = [INDEX, *sorted((ROOT / "docs" / "deploy").glob("*.md")), ROOT / "deploy" / "README.md"]
DOCUMENTS = sorted({*PAGES, *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")})


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def anchors(page):
    """Names of a page's headings in links, as GitHub makes them: letters, digits, - and _; blanks become -."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_headings(page):
    for target, heading in re.findall(r"\]\(([\w./-]*)#([^)]+)\)", page.read_text()):
        assert heading in anchors(page.parent / target if target else page), f"{target}#{heading}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_files_that_are_named_exist(page):
    for name in re.findall(r"deploy/[a-z-]+/[\w-]+\.(?:sh|json|yaml|lua|py)", page.read_text()):
        assert (ROOT / name.replace("APP", "spine")).exists(), name


def test_ae_titles_are_those_of_the_applications():
    rows = dict(re.findall(r"^ *\| `(\w+)` \| `([A-Z-]+)` \|", INDEX.read_text(), re.MULTILINE))

    assert rows == {name: describe_app(name).deployment.ae_title for name in app_names()}


def test_every_host_has_a_page_and_every_page_is_listed():
    hosts = {path.name for path in (ROOT / "deploy").iterdir() if path.is_dir()}
    pages = {path.stem for path in PAGES if path.parent.name == "deploy" and path.name != "README.md"}

    assert hosts == pages
    assert all(f"(deploy/{name}.md)" in INDEX.read_text() for name in pages)


def test_exit_codes_are_those_of_the_applications():
    codes = dict(re.findall(r"exit code (\d+), `(\w+)`", INDEX.read_text()))

    assert codes == {
        str(ExitCode[name.upper()].value): name for name in ("nothing_eligible", "refused", "model", "output")
    }
