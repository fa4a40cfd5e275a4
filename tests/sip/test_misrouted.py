# SPDX-License-Identifier: Apache-2.0
"""RFC 3261 section 8.1.3.3, RFC 4475 section 3.3.10: a response with a second Via reaches nobody."""

from __future__ import annotations

from itertools import count

from switch.sip.message.flow import Flow
from switch.sip.transaction import TransactionLayer
from tests.sip.torture_messages import response


def test_the_transaction_layer_drops_bcast() -> None:
    numbers = count()
    layer = TransactionLayer(sent_by=lambda flow: "192.0.2.198:5060", new_branch=lambda: f"z9hG4bK{next(numbers)}")
    flow = Flow("udp", ("192.0.2.198", 5060), ("192.0.2.1", 5060))
    assert layer.receive(response("rfc4475", "bcast"), flow, 0.0) == []
    assert layer.receive(response("rfc4475", "unreason"), flow, 0.0) != []
