# SPDX-License-Identifier: Apache-2.0
"""Cost of a subscription to a message lamp in the pure core: SUBSCRIBE in, NOTIFY out, its answer in; and of keeping.

Run: python -m bench.micro.lamp [subscriptions]. Times are CPU time of the switch's side with parsing, medians. Memory
is what the user agent keeps for each subscription, transactions gone, with its timer running.
"""

from __future__ import annotations

import sys
import tracemalloc
from itertools import count
from statistics import median
from time import thread_time
from typing import Any

from switch.sip.message.address import NameAddr
from switch.sip.message.flow import Flow
from switch.sip.message.message import Request
from switch.sip.message.parsing import parse_message
from switch.sip.message.uri import Uri
from switch.sip.message_summary import CONTENT_TYPE, NO_MESSAGES, PACKAGE, message_summary
from switch.sip.subscription import Notifier, Subscription, Wanted
from switch.sip.transaction import Send
from switch.sip.user_agent import Arrived, UserAgent

SWITCH = ("192.0.2.2", 5060)
WANTED = Wanted(PACKAGE, 3600)


class Desk:
    """The switch's side of many subscriptions."""

    def __init__(self) -> None:
        numbers = count(1)
        self.agent = UserAgent(
            sent_by=lambda flow: f"{flow.local[0]}:{flow.local[1]}",
            contact=lambda flow: f"<sip:{flow.local[0]}:{flow.local[1]}>",
            new_token=lambda: f"{next(numbers):016x}",
        )
        self.notifier = Notifier(
            self.agent.layer,
            contact=lambda flow: f"<sip:{flow.local[0]}:{flow.local[1]}>",
            route=lambda subscription: subscription.dialog.next_flow(),
            watch=self.agent.watch,
            sleep=self.agent.forget,
            content_type=CONTENT_TYPE,
        )
        self.held: dict[Any, Subscription] = {}

    def subscribe(self, number: int) -> float:
        """One phone subscribes, is told, and answers; returns CPU seconds."""
        data, flow = _subscribe(number)
        began = thread_time()
        (arrived,) = self.agent.receive(parse_message(data), flow, 0.0)
        assert isinstance(arrived, Arrived)
        request, tag = arrived.request, self.agent.new_token()
        made = Subscription.begin(self.notifier, request, flow, WANTED, tag, 0.0, owner=self, subject=str(number))
        self.held[made.dialog.id] = made
        self.agent.layer.respond(arrived.transaction, request.response(200, to_tag=tag), 0.0)
        (sent,) = made.notify(message_summary(f"sip:{number}@sip.example.com", NO_MESSAGES), 0.0)
        spent = thread_time() - began
        assert isinstance(sent, Send)
        notify = parse_message(sent.data)
        assert isinstance(notify, Request)
        answer = notify.response(200).to_bytes()
        began = thread_time()
        self.agent.receive(parse_message(answer), flow, 0.0)
        return spent + thread_time() - began


def _subscribe(number: int) -> tuple[bytes, Flow]:
    """What a phone sends, and where it comes from."""
    host = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    lines = [
        ("Via", f"SIP/2.0/UDP {host}:5060;branch=z9hG4bK{number};rport"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:{number}@sip.example.com>;tag={number:016x}"),
        ("To", f"<sip:{number}@sip.example.com>"),
        ("Call-ID", f"{number:032x}"),
        ("CSeq", f"{number} SUBSCRIBE"),
        ("Contact", f"<sip:{number}@{host}:5060;ob>"),
        ("Event", PACKAGE),
        ("Accept", CONTENT_TYPE),
        ("Expires", "3600"),
    ]
    request = Request("SUBSCRIBE", f"sip:{number}@sip.example.com", lines)
    return request.to_bytes(), Flow("udp", SWITCH, (host, 5060))


def main() -> None:
    subscriptions = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    desk = Desk()
    times = [desk.subscribe(number) for number in range(1, subscriptions + 1)]
    print(f"a subscription with its first NOTIFY: {median(times) * 1e6:.0f} us")
    desk = Desk()
    tracemalloc.start()
    for number in range(1, subscriptions + 1):
        desk.subscribe(number)
    desk.agent.handle_timer(100.0)
    Uri.forget()
    NameAddr.forget()
    print(f"held: {tracemalloc.get_traced_memory()[0] / subscriptions:.0f} bytes")


if __name__ == "__main__":
    main()
