# SPDX-License-Identifier: Apache-2.0
"""Tables of the billing store.

What Django can say about a table stands in its model; functions, views and triggers stand in
`billing/store/sql`, and how a table lies on the disk in the migrations (`billing/store/migrations`).
"""

from __future__ import annotations

from billing.audit_log.models import AuditLog
from billing.calls.models import ActiveCall, Correction, Node, Spending, SpendingAlert, Xdr
from billing.carriers.models import EmergencyRoute, Gateway, GatewayRoute
from billing.customers.models import Account, AccountUse, Alias, Batch, Customer, usual_calls_out
from billing.emergency.models import EmergencyCall
from billing.money.models import Balance, LedgerEntry
from billing.numbers.models import NumberRange, NumberWay, RingBack, TrunkNetwork
from billing.registrations.models import Binding, Subscription
from billing.tariffs.models import Product, Rate, Tariff
from billing.traces.models import CallTrace
from billing.voicemail.models import Greeting, Mailbox, PinFailure, VoiceEmail, VoiceMessage, VoiceSound
from billing.vouchers.models import Receipt, Redemption, Voucher, VoucherGuess

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
    "EmergencyCall",
    "EmergencyRoute",
    "Gateway",
    "GatewayRoute",
    "Greeting",
    "LedgerEntry",
    "Mailbox",
    "Node",
    "NumberRange",
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
    "TrunkNetwork",
    "VoiceEmail",
    "VoiceMessage",
    "VoiceSound",
    "Voucher",
    "VoucherGuess",
    "Xdr",
    "usual_calls_out",
]
