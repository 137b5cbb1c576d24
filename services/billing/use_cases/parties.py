"""Completing what an e-invoice needs of a registered contract's parties; who they are does not change."""

from dataclasses import replace

from services.billing.domain.contract import Buyer, Contract, Cooperative
from services.billing.repository import Ceilings
from services.kit.database import Transaction
from services.kit.ids import new_id


def complete_parties(
    tx: Transaction, contract_id: str, *, buyer: Buyer | None, cooperatives: tuple[Cooperative, ...]
) -> Contract:
    """Replace the invoicing data of the parties given; name, SIRET and id stay as registered, closed months too.

    Raises
    ------
    ContractNotFound, SellerNotInContract, and what `Contract.check` does.
    """
    ceilings = Ceilings(tx)
    contract = ceilings.lock(contract_id).terms.contract
    for given in cooperatives:
        contract.seller(given.id)
    given_by_id = {given.id: given for given in cooperatives}
    completed = replace(
        contract,
        buyer=replace(buyer, name=contract.buyer.name, siret=contract.buyer.siret) if buyer else contract.buyer,
        cooperatives=tuple(
            replace(given_by_id[party.id], name=party.name, siret=party.siret, address=party.address)
            if party.id in given_by_id
            else party
            for party in contract.cooperatives
        ),
    )
    completed.check()
    ceilings.replace_contract(completed, terms_id=new_id())
    return completed
