# SPDX-License-Identifier: Apache-2.0
"""Adapters of voucher stores outside are found by the names that the configuration gives them."""

from __future__ import annotations

import pytest

from billing_client.vouchers.http import HttpVoucherStore
from softswitch.adapters import open_sms_gateway
from softswitch.config.model import SmsSettings, VoucherStoreSettings
from softswitch.vouchers import AdapterError, open_store_adapter


@pytest.mark.asyncio
async def test_an_adapter_is_a_factory_in_a_module() -> None:
    """The specification: "The use of external vouchers is enabled on the Configuration server"."""
    store = open_store_adapter(
        VoucherStoreSettings(name="a", adapter="tests.softswitch.adapters:small", options={"code": "123"})
    )
    assert await store.check("123") == 5
    assert await store.check("124") is None
    assert store.name == "a"


@pytest.mark.asyncio
@pytest.mark.parametrize("adapter", ["http", "softswitch.vouchers:http_store"])
async def test_the_generic_one_is_built_in(adapter: str) -> None:
    store = open_store_adapter(VoucherStoreSettings(name="b", adapter=adapter, url="http://192.0.2.1"))
    assert isinstance(store, HttpVoucherStore)
    await store.close()


@pytest.mark.parametrize("adapter", ["nobody", "tests.softswitch.nowhere:small", "tests.softswitch.adapters:nothing"])
def test_one_that_is_not_there_is_told(adapter: str) -> None:
    with pytest.raises(AdapterError, match=r"^acme: "):
        open_store_adapter(VoucherStoreSettings(name="acme", adapter=adapter, url="http://192.0.2.1"))


@pytest.mark.asyncio
async def test_a_gateway_of_short_messages_is_an_adapter_too() -> None:
    gateway = open_sms_gateway(SmsSettings(adapter="tests.softswitch.adapters:notes", options={"sender": "Acme"}))
    await gateway.send("42073723123", "Account 101 was recharged.", "call 1")
    assert vars(gateway) == {"sender": "Acme", "sent": [("42073723123", "Account 101 was recharged.")]}
    await gateway.close()
    with pytest.raises(AdapterError, match=r'^sms: there is no adapter "nobody" in softswitch.sms_gateways'):
        open_sms_gateway(SmsSettings(adapter="nobody"))
