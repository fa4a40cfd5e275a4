# SPDX-License-Identifier: Apache-2.0
"""Names that lead somewhere else than to their account are refused, by whichever door they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from billing.customers.batch_error import BatchError
from billing.customers.names import Reserved
from billing_client.inquiry import Inquiry
from billing_client.selfcare import Quote, StoreSelfCare
from tests.billing.back_office import ACTOR
from tests.store.test_operations import ops

if TYPE_CHECKING:
    from billing_client.store import Store
    from tests.store.conftest import Tenant

__all__ = ["ops"]

RESERVED = Reserved(
    {"112": "an emergency number (sip.emergency_numbers)", "8001": "an access number (ivr.access_numbers: echo)"},
    {"800200": "access number 800200, after which a destination is dialled"},
    {"192.0.2.50": "our own address"},
)
ACME: dict[str, Any] = {"customers": [{"name": "Acme", "currency": "USD"}]}
CARRIER: dict[str, Any] = {"gateways": [{"name": "carrier", "host": "192.0.2.60"}]}


def problems(ops: Any, document: dict[str, Any], reserved: Reserved = RESERVED) -> list[str]:
    """Why a document is refused."""
    from billing.document.apply import ApplyError

    with pytest.raises(ApplyError) as refused:
        ops.apply(document, reserved=reserved)
    return refused.value.problems


def account(number: str, *aliases: Any) -> dict[str, Any]:
    """A document with one account."""
    one = {"number": number, "customer": "Acme", "kind": "subordinate", "aliases": list(aliases)}
    return {**ACME, **CARRIER, "accounts": [one]}


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("*72", "'*72' is a star code"), ("#21#", "'#21#' is a star code"), ("*43", "'*43' is a star code"),
        ("112", "'112' is an emergency number (sip.emergency_numbers)"),
        ("8001", "'8001' is an access number (ivr.access_numbers: echo)"),
        ("800200777", "'800200777' begins with access number 800200"),
        ("+30001", "'+30001' is another spelling of the number 30001"),
        ("30-001", "'30-001' is another spelling of the number 30001"),
        ("30001#", "'30001#' is another spelling of the number 30001"),
        ("30001;npdi", "'30001;npdi' is another spelling of the number 30001"),
        ("urn:service:sos", "'urn:service:sos' is an emergency service"),
        ("URN:Service:sos.police", "is an emergency service"),
        ("192.0.2.10", "'192.0.2.10' is no name that can be dialled"), ("::1", "'::1' is no name that can be dialled"),
        ("30001@pstn", "is no name that can be dialled"), ("300%2B01", "is no name that can be dialled"),
        ("bob;x", "is no name that can be dialled"),
        ("\u0663\u0660\u0660", "is neither a number in digits 0 to 9 nor a name"), ("++30001", "is neither a number"),
    ],
)  # fmt: skip
def test_an_account_that_nobody_could_call_is_refused_with_what_it_collides_with(
    ops: Any, number: str, told: str
) -> None:
    """Case L24."""
    (problem,) = problems(ops, account(number))
    assert problem.startswith("accounts[0].number: ")
    assert told in problem
    if number not in ("192.0.2.10", "::1", "30001@pstn"):  # which are aliases of who calls from there
        (problem,) = problems(ops, account("30001", number))
        assert told in problem


@pytest.mark.parametrize(
    ("alias", "told"),
    [
        ("192.0.2.50", "192.0.2.50 is our own address"),
        ("192.0.2.60", "192.0.2.60 is the address of gateway carrier"),
        ("::ffff:192.0.2.60", "192.0.2.60 is the address of gateway carrier"),
        ("+42073723123@pstn", "write it in digits, as 42073723123@pstn"),
        ("420 737@pstn", "write it in digits, as 420737@pstn"),
        ("*72@pstn", "is no calling number"),
        ("112", "is an emergency number"),
    ],
)
def test_an_alias_that_is_somebody_elses_is_refused(ops: Any, alias: str, told: str) -> None:
    """Case L24."""
    (problem,) = problems(ops, account("30001", "30002", alias))
    assert problem.startswith("accounts[0].aliases[1].name: ")
    assert told in problem


@pytest.mark.parametrize(
    "alias",
    ["192.0.2.10", "2001:db8::1", "42073723123@pstn", "alice@pstn", "48291744@pin", "534564#5550@pin", "bob.smith"],
)
def test_honest_names_are_taken(ops: Any, alias: str) -> None:
    ops.apply(account("30001", alias), reserved=RESERVED)
    assert ops.account("30001") is not None


def test_a_gateway_does_not_take_the_address_of_an_account(ops: Any) -> None:
    ops.apply({**ACME, "accounts": account("30001", "192.0.2.70")["accounts"]})
    assert problems(ops, {"gateways": [{"name": "other", "host": "192.0.2.70"}]}) == [
        "gateways[0].host: 192.0.2.70 is an alias of account 30001"
    ]


def test_generated_accounts_keep_off_what_is_dialled_for_something_else(ops: Any) -> None:
    """Case L24: the row of numbers would run over an access number."""
    ops.apply(ACME)
    from billing.customers.generation import AccountGeneration, generate
    from billing.models import Account

    def make(**asked: Any) -> None:
        generate(ACTOR, AccountGeneration(customer="Acme", kind="debit", reserved=RESERVED, **asked), lambda *_: None)

    with pytest.raises(BatchError, match="'8001' is an access number"):
        make(batch="row", count=5, first_number=7999)
    with pytest.raises(BatchError, match="800200"):
        make(batch="row", count=5, first_number=800200100)
    with pytest.raises(BatchError, match="800200"):
        make(batch="random", count=5, prefix="8002001")
    assert Account.objects.count() == 0


@pytest.mark.parametrize("name", ["+30001", "*72", "#21#", "urn:service:sos"])
def test_the_store_takes_no_other_spelling_whoever_writes_it(ops: Any, dsn: str, name: str) -> None:
    """Case L24: doors that are still to come."""
    ops.apply(account("30001"))
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("INSERT INTO billing_alias (name, account_id) SELECT %s, id FROM billing_account", [name])


def test_a_prefix_may_be_put_before_a_number_with_a_plus(ops: Any) -> None:
    """Case B4: it was "not up to 18 digits"."""
    routes = [{"prefix": "849", "prepend": "+"}, {"prefix": "1", "strip": 1, "prepend": "+44"}]
    ops.apply({"gateways": [{"name": "g", "host": "192.0.2.1", "number_format": "e164", "routes": routes}]})
    for wrong in ("1+", "++", "+x", "+\u0664", "+" * 2 + "1", "1" * 19):
        (problem,) = problems(ops, {"gateways": [{"name": "g", "routes": [{"prefix": "849", "prepend": wrong}]}]})
        assert "is not up to 18 digits after an optional" in problem
    (problem,) = problems(ops, {"gateways": [{"name": "g", "number_format": "e.164"}]})
    assert 'did you mean "e164"' in problem


@pytest.mark.parametrize("to", ["sip:420737%40pstn@sip.example.com", "192.0.2.10", "sip:4829%40pin@x", "sip:4%0D%0A@x"])
def test_nobody_forwards_to_what_identifies_callers(ops: Any, to: str) -> None:
    """Case L3."""
    document = account("30001")
    document["accounts"][0]["answering"] = {"forward": {"busy": to}}
    (problem,) = problems(ops, document)
    assert "nothing that can be dialled" in problem


CREDENTIALS = ("42073723123@pstn", "48291744@pin", "192.0.2.10", "2001:db8::1")


@pytest.mark.asyncio
async def test_the_store_knows_nobody_by_what_identifies_callers(store: Store, dsn: str, tenant: Tenant) -> None:
    """Case L3: whoever asks, by whichever door; and who calls by it is still known."""
    for name in CREDENTIALS:
        await tenant.sql.execute(
            "INSERT INTO billing_alias (name, account_id, allow_authentication) VALUES ($1, 1, true)", name
        )
    inquiry = await Inquiry.connect(dsn)
    for name in CREDENTIALS:
        assert (await store.parties(caller="201", ani=None, dialled=name)).callee is None
        assert (await inquiry.parties(caller="201", ani=None, dialled=name)).callee is None
        assert await store.subscriber(name) is None
    await inquiry.close()
    known = await store.parties(caller=None, ani="42073723123", dialled="201")
    assert known.caller is not None
    by_address = await store.parties(caller="192.0.2.10", ani=None, dialled="201")
    assert by_address.caller is not None


@pytest.mark.asyncio
async def test_a_card_is_quoted_the_price_of_the_line_and_not_of_its_alias(dsn: str, tenant: Tenant) -> None:
    """Case L16: 201 is dear, numbers that begin with 10 are free."""
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ('1055', 2)")
    door = await StoreSelfCare.connect(dsn, node="test")
    status = await door.status("101")
    assert status is not None
    by_alias: Quote = await door.quote(status, "1055")
    assert by_alias == await door.quote(status, "201")
    assert by_alias.price is not None
    assert by_alias.price > 0
    await door.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("caller", ["+42073723123", "4207\u0663", "420/7", "*72", "", "a@pstn"])
async def test_a_phone_that_shall_be_recognised_has_a_number(dsn: str, tenant: Tenant, caller: str) -> None:
    """Case L24: the card's "register this phone" makes names too."""
    door = await StoreSelfCare.connect(dsn, node="test")
    assert await door.claim_phone("101", caller, "") == "unknown"
    await door.close()
    assert isinstance(tenant.sql, asyncpg.Connection)
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_alias WHERE name LIKE '%@pstn'") == 0
