# SPDX-License-Identifier: Apache-2.0
"""Voicemail: callers leave messages (`deposit`), owners listen to them (`access`)."""

from ivr.apps.voicemail.deposit import deposit
from ivr.apps.voicemail.keymaps import KEY_MAPS, Action, KeyMap, KeyMapName, State
from ivr.apps.voicemail.outbox import Outbox
from ivr.apps.voicemail.owner.access import access
from ivr.apps.voicemail.settings import VoicemailSettings

__all__ = [
    "KEY_MAPS",
    "Action",
    "KeyMap",
    "KeyMapName",
    "Outbox",
    "State",
    "VoicemailSettings",
    "access",
    "deposit",
]
