# SPDX-License-Identifier: Apache-2.0
"""Commands that explain: a call that was, and one that is not made."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from billing_client.rules.currencies import amount_text as amount
from softswitch.cli.context import Column, amount_text, json_option
from softswitch.cli.times import Instant
from softswitch.shown import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from softswitch.cli.context import Shell
    from softswitch.config import Configuration
    from switch.explain.explain import Question
    from switch.trace.recorder import Record
    from switch.trace.trace import Step

__all__ = ["asked", "explain", "trace"]

MOST_CALLS = 20
TRACES = (
    Column("call_id", "Call"),
    Column("started_at", "Started"),
    Column("caller", "From"),
    Column("dialled", "To"),
    Column("seconds", "Seconds", is_number=True),
    Column("sip_status", "SIP", is_number=True),
    Column("ended_by", "Ended by"),
    Column("account", "Pays", is_dispensable=True),
    Column("cause", "Q.850", is_number=True, is_dispensable=True),
    Column("node", "Node", is_dispensable=True),
)
LOCKS = (
    Column("call_id", "Call"),
    Column("account", "Account"),
    Column("dialled", "To"),
    Column("started_at", "Started"),
    Column("locked", "Locked", is_number=True),
)


@click.command()
@click.argument("call", required=False)
@click.option("--number", metavar="N", multiple=True, help="Calling or called number; twice: both.")
@click.option("--account", metavar="A", help="Number of the account that paid.")
@click.option("--sip-call-id", metavar="X", help="Call-ID of either leg.")
@click.option("--since", metavar="TIME", type=Instant(), help="Begun since then: 1h, 7d, 2026-11-22 23:10.")
@click.option("--limit", default=MOST_CALLS, show_default=True, type=click.IntRange(1, 10_000), help="Calls at most.")
@click.option("--text", "text_file", type=click.Path(dir_okay=False, path_type=Path), help="Write it for a carrier.")
@click.option("--pcap", "pcap_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a capture file.")
@json_option
@click.pass_obj
def trace(
    shell: Shell,
    call: str | None,
    number: tuple[str, ...],
    account: str | None,
    sip_call_id: str | None,
    since: datetime | None,
    limit: int,
    text_file: Path | None,
    pcap_file: Path | None,
    as_json: bool,
) -> None:
    """Explain a call that was: its ladder, reasons and money.

    CALL is its id, or how it begins. Without it, calls are looked for; one that is found alone is shown.

    --text FILE is for a carrier's ticket: ladder and messages of both legs, numbers masked, neither reasons nor money.
    --pcap FILE is for a packet analyser.
    """
    keys = [*number, *([sip_call_id] if sip_call_id else [])]
    with shell.store():
        from billing.customers.queries import number_of
        from billing.traces import queries

        account = number_of(account) if account else None
        found = queries.traces(call=call, keys=keys or None, account=account, since=since, limit=limit)
        exact = [row for row in found if row["call_id"] == call]
        one = queries.trace((exact or found)[0]["call_id"]) if exact or len(found) == 1 else None
    if one is None:
        if call and not found:
            raise click.ClickException(f'nothing is kept of a call "{call}" (a running one is written after its end)')
        if text_file or pcap_file:
            raise click.UsageError(f"{len(found)} calls were found: name one")
        shell.show(found, TRACES, as_json=as_json, nothing="No calls were found.")
        return
    _tell(shell, one, text_file, pcap_file, as_json=as_json)


def _tell(shell: Shell, call: dict[str, Any], text_file: Path | None, pcap_file: Path | None, *, as_json: bool) -> None:
    from switch.trace.recorder import read_record

    record = read_record(bytes(call.pop("body")))
    if text_file is not None:
        from softswitch.explaining.ticket import ticket

        text_file.write_text(ticket(call, record.crossings), encoding="utf-8")
    if pcap_file is not None:
        from softswitch.explaining.pcap import pcap

        pcap_file.write_bytes(pcap(record.crossings, call["started_at"]))
    for file in filter(None, (text_file, pcap_file)):
        shell.done(f"{file} written: {len(record.crossings)} messages")
    if as_json:
        shell.json(_as_json(call, record))
    elif text_file is None and pcap_file is None:
        _show(shell, call, record)


def _as_json(call: Mapping[str, Any], record: Record) -> dict[str, Any]:
    messages = [
        {
            "at": crossing.at,
            "leg": crossing.leg,
            "sent": crossing.is_sent,
            "transport": crossing.flow.transport,
            "local": crossing.flow.local,
            "remote": crossing.flow.remote,
            "message": crossing.data.decode("utf-8", "replace"),
        }
        for crossing in record.crossings
    ]
    return {**call, "reasons": [_step(step) for step in record.steps], "messages": messages}


def _step(step: Step) -> dict[str, Any]:
    return {"at": step.offset, "kind": step.kind, "text": step.text, "data": dict(step.data)}


def _show(shell: Shell, call: Mapping[str, Any], record: Record) -> None:
    from softswitch.explaining.ladder import ladder, legs

    status = f"{call['sip_status']}, " if call["sip_status"] else ""
    _heading(shell, f"Call {call['call_id']}")
    _line(
        shell,
        f"{call['caller']} to {call['dialled']}, {call['started_at'].astimezone():%Y-%m-%d %H:%M:%S} on {call['node']}",
    )
    _line(shell, f"ended by {call['ended_by']} after {call['seconds']} s ({status}Q.850 cause {call['cause']})")
    if record.crossings:
        _heading(shell, "Ladder")
        for line in legs(record.crossings):
            _line(shell, line)
        for line in ladder(record.crossings).split("\n"):
            _line(shell, line)
    _heading(shell, "Reasons")
    _steps(shell, record.steps)
    _heading(shell, "Money")
    for line in _money(call):
        _line(shell, line)


def _money(call: Mapping[str, Any]) -> Iterable[str]:
    xdr = call["xdr"]
    if xdr is None:
        yield "no xDR: the call was refused before it was registered, or is not settled yet"
        return
    yield f"account {xdr['account']} of {xdr['customer']}, {xdr['direction']}, {xdr['destination'] or 'no destination'}"
    unit = xdr["currency"]
    if xdr["prefix"] is not None and xdr["next_price"]:
        price = {name: amount(xdr[name], unit) for name in ("connect_fee", "first_price", "next_price")}
        yield (
            f"rate {xdr['prefix']}: {price['connect_fee']} at the answer, {price['first_price']} a minute "
            f"for the first {xdr['first_increment']} s, then {price['next_price']} by {xdr['next_increment']} s"
        )
    if xdr["transferred_by"]:
        yield f"account {xdr['transferred_by']} gave it away"
    yield f"{xdr['billed_seconds']} s charged: {amount(xdr['amount'], unit)} {unit}"
    for entry in call["ledger"]:
        moved, freed = amount(entry["amount"], unit), amount(entry["released"], unit)
        yield f"ledger {entry['key']}: {moved}, {freed} of locks freed"


@click.command()
@click.option(
    "--from", "caller", metavar="X", required=True, help="Account (101, Spring/17) or alias; a carrier's number."
)
@click.option("--to", "dialled", metavar="Y", required=True, help="The number dialled.")
@click.option("--at", metavar="TIME", type=Instant(), help="When the rates count.  [default: now]")
@click.option("--source-ip", metavar="A", help="Where it comes from: a carrier is known by it.")
@click.option("--transfer", is_flag=True, help="The account transfers a call to there.")
@json_option
@click.pass_obj
def explain(
    shell: Shell, caller: str, dialled: str, at: datetime | None, source_ip: str | None, transfer: bool, as_json: bool
) -> None:
    """Explain a call that is not made.

    Runs what live calls run, on the store as it is now; nothing rings and nothing is locked.
    """
    from switch.explain.explain import Question

    if "/" in caller:
        with shell.store():
            from billing.customers.queries import number_of

            caller = number_of(caller)
    moment = at or datetime.now(UTC)
    question = Question(caller=caller, dialled=dialled, at=moment, source=source_ip, is_transfer=transfer)
    answer = asked(shell, question)
    if as_json:
        shell.json(answer)
    else:
        _show_answer(shell, answer)


def asked(shell: Shell, question: Question) -> dict[str, Any]:
    """The running switch answers, which is ready for it; where none runs, this process does on the store."""
    from billing_client.types import StoreError as Refused
    from softswitch.explaining.menus import with_menus
    from softswitch.processes.store import StoreError, open_store
    from softswitch.settings import questions_socket
    from switch.explain.questions import ask

    configuration = shell.configuration()
    answer = asyncio.run(ask(questions_socket(configuration), question))
    if answer is None:
        with open_store(configuration) as dsn:
            try:
                answer = asyncio.run(_ask_store(configuration, dsn, question))
            except Refused as error:
                raise StoreError(str(error)) from error
    answer["reasons"] = with_menus(answer["reasons"], configuration.ivr.menus, question.at)
    return answer


async def _ask_store(configuration: Configuration, dsn: str, question: Question) -> dict[str, Any]:
    from time import perf_counter

    from billing_client.inquiry import Inquiry
    from softswitch.settings import explain_conditions
    from switch.explain.explain import explain as explained
    from switch.explain.questions import answer_of

    inquiry = await Inquiry.connect(dsn)
    try:
        answer = answer_of(await explained(inquiry, question, explain_conditions(configuration)))
        answer["took_ms"] = round((perf_counter() - inquiry.opened_at) * 1000, 3)
        return answer
    finally:
        await inquiry.close()


def _show_answer(shell: Shell, answer: Mapping[str, Any]) -> None:
    from switch.trace.trace import KINDS

    at = datetime.fromisoformat(answer["at"])
    _heading(shell, f"{answer['from']} to {answer['to']}, {at.astimezone():%Y-%m-%d %H:%M:%S}")
    for step in answer["reasons"]:
        _line(shell, f"{KINDS.get(step['kind'], step['kind']):<15} {step['text']}")
    if answer["is_paid"]:
        _heading(shell, "Funds")
        currency, longest, first_slice = answer["currency"], answer["longest_seconds"], answer["first_slice"]
        _line(shell, f"account {answer['payer']} has {amount_text(answer['available'], currency)} {currency} available")
        _line(shell, "enough for any length" if longest is None else f"enough for {longest} s")
        if first_slice is not None:
            _line(shell, f"the first slice would lock {amount_text(first_slice, currency)} {currency}")
        locks = [
            {**lock, "started_at": datetime.fromisoformat(lock["started_at"]), "locked": Decimal(lock["locked"])}
            for lock in answer["locks"]
        ]
        shell.show(locks, LOCKS, as_json=False, nothing="no live call holds funds of it")
    shell.out.print()
    if answer["refusal"] is None:
        shell.done("the call would ring")
    else:
        shell.out.print(Text.assemble(("✗ ", "red"), f"there would be no call: {one_line(answer['refusal']['text'])}"))


def _heading(shell: Shell, text: str) -> None:
    shell.out.print()
    shell.out.print(Text(one_line(text), style="bold"))


def _line(shell: Shell, text: str) -> None:
    shell.out.print(Text(one_line(text)), soft_wrap=True)


def _steps(shell: Shell, steps: Iterable[Step]) -> None:
    from switch.trace.trace import KINDS

    for step in steps:
        _line(shell, f"{step.offset:8.3f}  {KINDS.get(step.kind, step.kind):<15} {step.text}")
