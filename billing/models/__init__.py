# SPDX-License-Identifier: Apache-2.0
"""Tables of the billing store.

What Django can say about a table stands in its model; functions, views and triggers stand in
`billing/store/sql`, and how a table lies on the disk in the migrations (`billing/store/migrations`).
"""

from __future__ import annotations

from billing.models.batches import AuditLog, Batch
from billing.models.calls import ActiveCall, Correction, Node, Spending, SpendingAlert, Xdr
from billing.models.customers import Account, AccountUse, Alias, Customer, usual_calls_out
from billing.models.known_numbers import NumberWay, RingBack
from billing.models.money import Balance, LedgerEntry
from billing.models.pricing import Product, Rate, Tariff
from billing.models.registrations import Binding, Subscription
from billing.models.routing import Gateway, GatewayRoute
from billing.models.traces import CallTrace
from billing.models.voicemail import Greeting, Mailbox, PinFailure, VoiceEmail, VoiceMessage, VoiceSound
from billing.models.vouchers import Receipt, Redemption, Voucher, VoucherGuess

__all__ = [
    "Account",
    "AccountUse",
    "ActiveCall",
    "Alias",
    "AuditLog",
    "Balance",
    "Batch",
    "Binding",
    "CallTrace",
    "Correction",
    "Customer",
    "Gateway",
    "GatewayRoute",
    "Greeting",
    "LedgerEntry",
    "Mailbox",
    "Node",
    "NumberWay",
    "PinFailure",
    "Product",
    "Rate",
    "Receipt",
    "Redemption",
    "RingBack",
    "Spending",
    "SpendingAlert",
    "Subscription",
    "Tariff",
    "VoiceEmail",
    "VoiceMessage",
    "VoiceSound",
    "Voucher",
    "VoucherGuess",
    "Xdr",
    "usual_calls_out",
]
