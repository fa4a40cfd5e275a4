# SPDX-License-Identifier: Apache-2.0
"""What callers do with their own account: recharge, balance, calling cards, call-back."""

from __future__ import annotations

from ivr.apps.selfcare.balance import balance
from ivr.apps.selfcare.callback import callback
from ivr.apps.selfcare.calling_card import calling_card
from ivr.apps.selfcare.desk import Desk
from ivr.apps.selfcare.phones import PROVE, prove_phone
from ivr.apps.selfcare.recharge import recharge
from ivr.apps.selfcare.settings import CardSettings

__all__ = ["PROVE", "CardSettings", "Desk", "balance", "callback", "calling_card", "prove_phone", "recharge"]
