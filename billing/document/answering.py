# SPDX-License-Identifier: Apache-2.0
"""How an account answers, in the document of `softswitch apply`.

    accounts:
      - number: "42027777100"
        answering:
          mode: forward_then_voicemail
          ring_seconds: 20
          do_not_disturb: false
          on_decline: next                  # or end: a phone that declines ends the call
          no_answer_seconds: 15
          messages: own                     # or forwarded: in the mailbox of whom the call is forwarded to
          forward: {busy: "102", no_answer: {to: "420600000001", seconds: 30, caller_id: forwarder}, always: null}
          follow_me:
            order: as_listed                # simultaneous, random, percentage
            entries:
              - {name: mobile, to: "420600000001", seconds: 25, caller_id: forwarder, max_calls: 2, confirm: true,
                 periods: [{days: [mon, tue, wed, thu, fri], from: "08:00", to: "18:00"}]}

What is said replaces what there was under the same key; null takes it away; what is not said stays. The follow-me list
is complete. The store keeps the same form as JSON, which `billing_client.rules.incoming` reads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from billing.document.forward_targets import forward_problem
from billing.reading.reader import Reader, read_list, shown
from billing_client.rules.incoming import CALLER_IDS, DAYS, MESSAGES, MODES, ORDERS, TRIGGERS
from billing_client.rules.numbering import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["forwards_of", "merge_answering", "read_answering"]

MOST_ENTRIES: Final = 20
MOST_SECONDS: Final = 180

_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00")
_DESTINATION: Final = re.compile(r"[^\s@<>]+|sips?:[^\s<>]+@[^\s<>]+")


def read_answering(account: Reader) -> dict[str, Any] | None:
    """The section `answering` of an account; None where it has none."""
    if not account.has("answering"):
        return None
    fields = Reader(account.bare("answering") or {}, account.where("answering"), account.problems)
    found = fields.given(
        mode=fields.choice("mode", MODES),
        ring_seconds=fields.integer("ring_seconds", least=1, most=MOST_SECONDS),
        do_not_disturb=fields.flag("do_not_disturb"),
        on_decline=fields.choice("on_decline", ("next", "end")),
        messages=fields.choice("messages", MESSAGES),
        no_answer_seconds=fields.integer("no_answer_seconds", least=1, most=MOST_SECONDS),
        forward=_forwards(fields),
        follow_me=_follow_me(fields),
    )
    fields.end()
    return found


def merge_answering(present: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """What an account has after a document: keys set to null are gone."""
    merged = {**present, **change}
    if change.get("forward") is not None:
        merged["forward"] = _without_nulls({**present.get("forward", {}), **change["forward"]})
    return _without_nulls(merged)


def forwards_of(answering: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(path, destination) of each forward that `read_answering` has read."""
    for trigger, forward in (answering.get("forward") or {}).items():
        if forward:
            yield f"answering.forward.{trigger}.to", forward["to"]
    for index, entry in enumerate((answering.get("follow_me") or {}).get("entries", ())):
        yield f"answering.follow_me.entries[{index}].to", entry["to"]


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and value != {}}


def _forwards(account: Reader) -> dict[str, Any] | None:
    value = account.bare("forward")
    if value is None:
        return None
    fields = Reader(value, account.where("forward"), account.problems)
    forwards: dict[str, Any] = {}
    for trigger in TRIGGERS:
        written = fields.bare(trigger)
        if not fields.has(trigger):
            continue
        if written is None:
            forwards[trigger] = None
            continue
        mapping = {"to": written} if isinstance(written, str | int) else written
        entry = Reader(mapping, fields.where(trigger), fields.problems)
        forwards[trigger] = {key: value for key, value in _entry(entry).items() if key != "name"}
        entry.end()
    fields.end()
    return forwards


def _follow_me(account: Reader) -> dict[str, Any] | None:
    value = account.bare("follow_me")
    if value is None:
        return None
    if isinstance(value, list):
        value = {"entries": value}
    fields = Reader(value, account.where("follow_me"), account.problems)
    order = fields.choice("order", ORDERS) or "as_listed"
    entries = read_list(fields, "entries", _entry, short="to")
    names = [entry["name"] for entry in entries]
    if len(entries) > MOST_ENTRIES:
        fields.problem("entries", f"has {len(entries)} entries, {MOST_ENTRIES} at most")
    for name in {name for name in names if name and names.count(name) > 1}:
        fields.problem("entries", f"has two entries named {name!r}")
    if order == "percentage" and not any(entry.get("percent") for entry in entries):
        fields.problem("entries", "need percent, by which calls are split")
    fields.end()
    return {"order": order, "entries": list(entries)}


def _entry(fields: Reader) -> dict[str, Any]:
    to = fields.text("to", required=True)
    if to and not _DESTINATION.fullmatch(to):
        fields.problem("to", f"{to!r} is neither a number nor a SIP URI")
    elif to and read(_user(to)).refusal:
        fields.problem("to", f"{to!r} is nothing that can be dialled")
    elif (problem := forward_problem(to)) is not None:
        fields.problem("to", f"{to!r} {problem}")
    given = {
        "seconds": fields.integer("seconds", least=1, most=MOST_SECONDS),
        "caller_id": fields.choice("caller_id", CALLER_IDS),
        "max_calls": fields.integer("max_calls", least=1, most=1000),
        "active": fields.flag("active"),
        "confirm": fields.flag("confirm"),
        "keep_cld": fields.flag("keep_cld"),
        "percent": fields.integer("percent", least=0, most=100),
        "periods": list(read_list(fields, "periods", _period)) or None,
    }
    return {"name": fields.text("name") or to, "to": to, **_without_nulls(given)}


def _user(to: str) -> str:
    """The user part of a SIP URI, without escapes; a number as it is."""
    scheme, _, rest = to.partition(":")
    return unquote(rest.rpartition("@")[0].partition(":")[0]) if scheme in ("sip", "sips") else to


def _period(fields: Reader) -> dict[str, Any]:
    days = fields.bare("days")
    listed = [days] if isinstance(days, str) else days or []
    if not isinstance(listed, list) or any(not isinstance(day, str) or day not in DAYS for day in listed):
        fields.problem("days", f"{shown(days)} are not days such as mon, tue")
        listed = []
    period: dict[str, Any] = {"days": [str(day) for day in listed]} if listed else {}
    for edge in ("from", "to"):
        clock = _clock(fields, edge)
        if clock:
            period[edge] = clock
    return period


def _clock(fields: Reader, edge: str) -> str:
    """`08:30`."""
    clock = fields.text(edge)
    if clock and not _CLOCK.fullmatch(clock):
        fields.problem(edge, f"{shown(clock)} is not a time of day such as 08:30")
        return ""
    return clock.zfill(5) if clock else ""
