import pytest

from services.dispatch.domain.errors import french_of


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Amel", "d’Amel"),
        ("Élise", "d’Élise"),
        ("ôde", "d’ôde"),
        ("Hugo", "d’Hugo"),
        ("Yves", "d’Yves"),
        ("Yasmine", "de Yasmine"),
        ("Bastien", "de Bastien"),
        ("Çelik", "de Çelik"),
        ("", "de "),
    ],
)
def test_whose_something_is_reads_as_it_is_spoken(name: str, words: str) -> None:
    assert french_of(name) == words
