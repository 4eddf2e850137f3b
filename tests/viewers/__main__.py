"""Write into docs/viewers.md what each reader makes of each variant: ``python -m tests.viewers``."""

import tempfile
from pathlib import Path

from tests.system.command import ROOT
from tests.viewers.compare import verdicts
from tests.viewers.readers import READERS, Reader
from tests.viewers.variants import VARIANTS

DOCUMENT = ROOT / "docs" / "viewers.md"
START, END = "<!-- table of python -m tests.viewers -->\n", "<!-- end of the table -->\n"


def column(reader: Reader) -> list[str]:
    """Return what a reader makes of the variants."""
    with tempfile.TemporaryDirectory() as folder:
        return verdicts(VARIANTS, reader, Path(folder))


def table() -> str:
    """Return the whole table, in Markdown."""
    columns = [column(reader) for reader in READERS.values()]
    rows = [("how it is written", *READERS), ("---",) * (1 + len(READERS))]
    rows += [(variant.title, *cells) for variant, cells in zip(VARIANTS, zip(*columns, strict=True), strict=True)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def written_column(name: str) -> list[str]:
    """Return what the document says of a reader."""
    text = DOCUMENT.read_text()
    lines = text[text.index(START) + len(START) : text.index(END)].splitlines()
    header, _, *rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines)
    return [row[header.index(name)] for row in rows]


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text().partition(START)
    DOCUMENT.write_text(before + START + table() + END + rest.partition(END)[2])
