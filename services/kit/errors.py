"""Refusals with names; standard library only, the one kit file the domain may import.

Two families. Refused (`DomainError`): the caller can act, nothing is ever retried. Failed (any other exception, and
`NotYet` on purpose): the machine may retry.
"""

from collections.abc import Sequence
from typing import ClassVar


class DomainError(Exception):
    """A refusal: what was asked is understood and will not be done.

    Subclasses give `code` (stable, kebab-case) and `title` (French, a few words). `detail` is a French sentence that
    says what to do; `pointer` is the JSON Pointer of the offending member of the request body; `facts` are figures
    the caller can use.
    """

    code: ClassVar[str] = "refused"
    title: ClassVar[str] = "Demande refusée"

    def __init__(self, detail: str, *, pointer: str | None = None, **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.facts = facts


class Refusals(DomainError):
    """Several refusals of one request, told together."""

    code = "several-refusals"
    title = "Plusieurs points à corriger"

    def __init__(self, errors: Sequence[DomainError]) -> None:
        super().__init__(f"{len(errors)} points sont à corriger ; chacun est décrit dans « errors ».")
        self.errors = tuple(errors)


def refuse_all(errors: Sequence[DomainError]) -> None:
    """Raise what was collected: nothing for none, the error itself for one, `Refusals` for several."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Refusals(errors)


class NotYet(Exception):
    """A fact that this handler needs has not arrived yet; the event is given again later."""
