from pathlib import Path

import pytest

from imaging.model_card import MOST_LETTERS, read_model_card

MODELS = Path(__file__).resolve().parents[2] / "models"


def test_a_card_says_what_a_model_is_for_and_where_it_fails(tmp_path):
    (tmp_path / "card.md").write_text(
        "# Card\n\n## Intended use\n\nFor **research** on `T1`.\n\n* Not for [infants](x.md).\n\n## Training\n\n"
        "On much.\n\n## Other\n\nno\n\n## Limits\n\nSmall.\n\n| a | b |\n|---|---|\n"
    )
    found = read_model_card(tmp_path)

    assert [(one.heading, one.text, one.cut) for one in found] == [
        ("Intended use", "For research on T1. Not for infants.", False),
        ("Training", "On much.", False),
        ("Limits", "Small.", True),
    ]


def test_a_long_section_ends_with_a_sentence(tmp_path):
    (tmp_path / "card.md").write_text("## Limits\n\n" + "A sentence of words. " * 100)
    (found,) = read_model_card(tmp_path)

    assert found.text.endswith("words.")
    assert MOST_LETTERS - 30 < len(found.text) <= MOST_LETTERS
    assert found.cut


def test_one_endless_sentence_is_cut_visibly(tmp_path):
    (tmp_path / "card.md").write_text("## Limits\n\n" + "word " * 400)

    assert read_model_card(tmp_path)[0].text.endswith(" ...")


@pytest.mark.parametrize("content", [None, b"", b"# Nothing of it", b"\xff\xfe## Limits"])
def test_a_card_that_says_nothing_is_no_error(tmp_path, content):
    if content is not None:
        (tmp_path / "card.md").write_bytes(content)

    assert read_model_card(tmp_path) == ()


@pytest.mark.parametrize("name", sorted(path.parent.name for path in MODELS.glob("*/card.md")))
def test_every_card_of_the_suite_states_use_data_and_limits(name):
    headings = [one.heading for one in read_model_card(MODELS / name)]

    assert headings[0] == "Intended use"
    assert headings[1].startswith("Training")
    assert headings[2] == "Limits"
