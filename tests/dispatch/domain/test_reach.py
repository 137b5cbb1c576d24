from services.dispatch.domain.reach import EVERYTHING, NOTHING, Reach


def test_a_cooperative_reaches_its_own_things_and_the_administration_everybodys() -> None:
    assert Reach("erdre").covers("erdre")
    assert not Reach("erdre").covers("loire")
    assert EVERYTHING.covers("loire")


def test_what_is_no_cooperatives_is_the_administrations_alone() -> None:
    assert EVERYTHING.covers("")
    assert not Reach("erdre").covers("")
    assert not NOTHING.covers("")
