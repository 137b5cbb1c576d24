import pytest

from services.kit.errors import DomainError
from services.orders.domain.errors import OutOfBounds
from services.orders.domain.site import SiteTerms, register
from tests.orders.builders import a_site, codes


def test_swapped_coordinates_and_empty_names_are_told_together() -> None:
    with pytest.raises(DomainError) as refused:
        register("id", "proprete", SiteTerms("  ", " ", -1.55, 47.2, service_seconds=10_000))
    assert codes(refused.value) == [
        ("out-of-bounds", "/name"),
        ("out-of-bounds", "/address"),
        ("out-of-bounds", "/latitude"),
        ("out-of-bounds", "/longitude"),
        ("out-of-bounds", "/service_seconds"),
    ]


def test_an_edition_counts_and_is_checked_too() -> None:
    site = a_site()
    assert site.edited(SiteTerms("Autre", "2 rue", 47.2, -1.5)).version == 2
    with pytest.raises(OutOfBounds):
        site.edited(SiteTerms("", "2 rue", 47.2, -1.5))
