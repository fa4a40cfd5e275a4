# SPDX-License-Identifier: Apache-2.0
"""Cost of the transaction layer: a whole INVITE/100/180/200/ACK/BYE/200 exchange between two layers, in microseconds.

Run: python -m bench.micro.transactions [rounds]. Parsing is measured apart, and so is the making of responses, which is
the work of the transaction user. The figures are medians over all calls, so that a busy machine does not spoil them.
"""

from __future__ import annotations

import sys
import tracemalloc
from itertools import count
from statistics import median
from time import perf_counter

from switch.sip.message.flow import Flow
from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message
from switch.sip.transaction import RequestReceived, ResponseReceived, Send, TransactionLayer

CALLER = ("192.0.2.1", 5060)
CALLEE = ("192.0.2.2", 5060)
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"


def request(method: str, call: int, cseq: int, to_tag: str = "") -> Request:
    """A request as a phone sends it, without Via."""
    lines = [
        ("Max-Forwards", "70"),
        ("From", f'"Alice" <sip:alice@example.com>;tag=a{call}'),
        ("To", f"<sip:bob@example.com>{to_tag}"),
        ("Call-ID", f"call-{call}@192.0.2.1"),
        ("CSeq", f"{cseq} {method}"),
        ("Contact", "<sip:alice@192.0.2.1:5060>"),
        ("User-Agent", "Example 1.0"),
        ("Supported", "replaces, timer, 100rel"),
        ("Allow", "INVITE, ACK, CANCEL, OPTIONS, BYE, UPDATE, PRACK, INFO, REFER, NOTIFY"),
    ]
    if method == "INVITE":
        lines.append(("Content-Type", "application/sdp"))
        return Request(method, "sip:bob@example.com", lines, SDP)
    return Request(method, "sip:bob@192.0.2.2:5060", lines)


class Meter:
    """Two layers and the time spent in them, in the parser and in making responses."""

    def __init__(self) -> None:
        numbers = count(1)
        self.caller, self.callee = (
            TransactionLayer(
                sent_by=lambda flow: f"{flow.local[0]}:5060", new_branch=lambda: f"z9hG4bK{next(numbers):x}"
            )
            for _ in range(2)
        )
        self.out = Flow("udp", CALLER, CALLEE)
        self.back = Flow("udp", CALLEE, CALLER)
        self.layer_seconds = self.parse_seconds = self.make_seconds = 0.0
        self.messages = 0

    def carry(self, effects: list[object], to: TransactionLayer, flow: Flow, now: float) -> object:
        """Bring what was sent to the other layer; returns the last event for its user."""
        event: object = None
        for effect in effects:
            if not isinstance(effect, Send):
                continue
            start = perf_counter()
            message = parse_message(effect.data)
            middle = perf_counter()
            for answer in to.receive(message, flow, now):
                if isinstance(answer, (RequestReceived, ResponseReceived)):
                    event = answer
            end = perf_counter()
            self.parse_seconds += middle - start
            self.layer_seconds += end - middle
            self.messages += 1
        return event

    def ask(self, message: Request, now: float, answers: tuple[int, ...]) -> None:
        """Send a request one way and the answers the other."""
        start = perf_counter()
        _, effects = self.caller.send_request(message, self.out, now)
        self.layer_seconds += perf_counter() - start
        event = self.carry(list(effects), self.callee, self.back, now)
        assert isinstance(event, RequestReceived)
        assert event.transaction is not None
        for status in answers:
            start = perf_counter()
            response: Response = event.request.response(status, to_tag="b")
            middle = perf_counter()
            effects = self.callee.respond(event.transaction, response, now)
            self.make_seconds += middle - start
            self.layer_seconds += perf_counter() - middle
            self.carry(list(effects), self.caller, self.out, now)

    def call(self, number: int, now: float) -> None:
        """One call: seven messages."""
        self.ask(request("INVITE", number, 1), now, (100, 180, 200))
        ack = request("ACK", number, 1, ";tag=b")
        start = perf_counter()
        effects = self.caller.send_ack(ack, self.out)
        self.layer_seconds += perf_counter() - start
        self.carry(list(effects), self.callee, self.back, now)
        self.ask(request("BYE", number, 2, ";tag=b"), now, (200,))

    def tick(self, now: float) -> None:
        """Let the timers run."""
        start = perf_counter()
        self.caller.handle_timer(now)
        self.callee.handle_timer(now)
        self.layer_seconds += perf_counter() - start


def main() -> None:
    """Print the figures."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    meter = Meter()
    layer, parser, making = [], [], []
    for number in range(rounds):
        meter.layer_seconds = meter.parse_seconds = meter.make_seconds = 0.0
        meter.call(number, number * 0.005)
        meter.tick(number * 0.005)
        layer.append(meter.layer_seconds * 1e6)
        parser.append(meter.parse_seconds * 1e6)
        making.append(meter.make_seconds * 1e6)
    each = meter.messages / rounds
    print(f"{rounds} calls of {each:.0f} messages at 200 calls/s of virtual time, both sides")
    print(f"layer, per call         {median(layer):7.1f} us  (sending and receiving, timers)")
    print(f"layer, per message      {median(layer) / each:7.1f} us  (once sent, once received)")
    print(f"parser, per message     {median(parser) / each:7.1f} us")
    print(f"responses, per message  {median(making) / each:7.1f} us")
    print(f"live transactions       {len(meter.caller) + len(meter.callee):7d}")
    memory()


def memory() -> None:
    """Print what an answered transaction holds while it waits for late retransmissions."""
    meter = Meter()
    meter.ask(request("OPTIONS", 0, 1), 0.0, (200,))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    many = 2000
    for number in range(1, many + 1):
        meter.ask(request("OPTIONS", number, 1), 0.0, (200,))
    meter.caller.handle_timer(10.0)
    held = tracemalloc.get_traced_memory()[0] - before
    print(f"answered non-INVITE server transaction  {held / many:7.0f} bytes")
    meter.callee.handle_timer(100.0)
    print(f"after its end                           {(tracemalloc.get_traced_memory()[0] - before) / many:7.0f} bytes")


if __name__ == "__main__":
    main()
