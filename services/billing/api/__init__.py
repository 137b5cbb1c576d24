"""Billing over HTTP: contracts and their gauge, charges, statements. The only place that knows HTTP statuses."""

from fastapi import APIRouter

from services.billing.api import (
    acceptance,
    after_closing,
    amendments,
    approvals,
    charges,
    contracts,
    credit_invoices,
    forecast,
    indices,
    invoices,
    packs,
    penalties,
    statements,
)
from services.billing.domain import ceiling_errors, errors
from services.kit.errors import DomainError

routers: list[APIRouter] = [contracts.router, charges.router, statements.router, invoices.router, packs.router]
routers += [acceptance.router, after_closing.router, credit_invoices.router]
routers += [amendments.router, approvals.router, forecast.router, indices.router, penalties.router]

# What is not here is a conflict with the present state: 409.
PROBLEMS: dict[type[DomainError], int] = {
    errors.ContractNotFound: 404,
    errors.StatementNotFound: 404,
    errors.InvoiceNotFound: 404,
    errors.CreditInvoiceNotFound: 404,
    errors.InvalidSiret: 422,
    errors.IbanInvalid: 422,
    errors.BicInvalid: 422,
    errors.VatNumberInvalid: 422,
    errors.DateTwice: 422,
    errors.ServiceCodeMissing: 422,
    errors.EngagementNumberMissing: 422,
    errors.PeriodReversed: 422,
    errors.ZoneUnknown: 422,
    errors.PartyTwice: 422,
    errors.CeilingMissing: 422,
    errors.AlertLevelsInvalid: 422,
    errors.VatRateMissing: 422,
    errors.VatRateTwice: 422,
    errors.PriceLineTwice: 422,
    errors.LoadKindMisplaced: 422,
    errors.PenaltyNotFound: 404,
    errors.PenaltyRuleTwice: 422,
    errors.PenaltyRuleInvalid: 422,
    errors.PenaltyReductionInvalid: 422,
    errors.AdvanceInvalid: 422,
    errors.IndexUnknown: 404,
    errors.IndexValueRefused: 422,
    errors.MonthBeforeContract: 422,
    errors.ChargeNotFound: 404,
    errors.LineNotCharged: 422,
    errors.CutTooHigh: 422,
    errors.CutIsRejection: 422,
    errors.ListOrMonth: 422,
    errors.LegNotOnStatement: 422,
    errors.CreditTooHigh: 422,
    errors.CreditNotWhole: 422,
    errors.StatusUnknown: 422,
    errors.StatusReasonMissing: 422,
    errors.PrintingUnavailable: 503,
    errors.RulesUnavailable: 503,
    ceiling_errors.PeriodsNotInSequence: 422,
    ceiling_errors.FirmPeriodMisplaced: 422,
    ceiling_errors.MaximumMissing: 422,
    ceiling_errors.MaximaDisagree: 422,
    ceiling_errors.NamedTwice: 422,
    ceiling_errors.PartyUnknown: 422,
    ceiling_errors.BudgetForEverything: 422,
    ceiling_errors.SharesIncomplete: 422,
    ceiling_errors.ReasonMissing: 422,
    ceiling_errors.AmountsDisagree: 422,
    ceiling_errors.AmendmentChangesNothing: 422,
    ceiling_errors.DatesReversed: 422,
    ceiling_errors.LotUnknown: 422,
    ceiling_errors.PeriodUnknown: 404,
    ceiling_errors.ApprovalNotFound: 404,
}
