# SPDX-License-Identifier: Apache-2.0
"""What is done to running calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection

from billing.audit_log.action import Action
from billing.audit_log.actor import ActionError

if TYPE_CHECKING:
    from billing.audit_log.actor import Actor

__all__ = ["CallError", "disconnect"]

DISCONNECT: Final = Action("calls.disconnect", "call")
ASK: Final = """
SELECT a.number, c.node, c.caller, c.dialled,
       pg_notify('softswitch', concat_ws(':', 'disconnect', c.node, c.call_id, %s::text))
  FROM billing_activecall c JOIN billing_account a ON a.id = c.account_id WHERE c.call_id = %s"""


class CallError(ActionError):
    """It cannot be done to this call; the text says why."""


def disconnect(actor: Actor, call_id: str, reason: str) -> None:
    """Ask the node that holds a call to end it; both phones are told `reason`. Raises CallError if it is not live."""
    with DISCONNECT.by(actor, call_id, reason=reason) as deed, connection.cursor() as cursor:
        cursor.execute(ASK, [reason, call_id])
        found = cursor.fetchone()
        if found is None:
            raise CallError(f'the call "{call_id}" has just ended')
        deed.changed({"call": "running"}, {"call": "being ended"})
        deed.tell(account=found[0], node=found[1], caller=found[2], dialled=found[3])
