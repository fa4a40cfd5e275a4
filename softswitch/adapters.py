# SPDX-License-Identifier: Apache-2.0
"""Adapters that an installation brings along, found by the names that the configuration gives them."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, cast

from billing_client.types import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ivr.post.texting import SmsGateway
    from softswitch.config.model import SmsSettings

__all__ = ["SMS_GROUP", "AdapterError", "factory", "open_sms_gateway"]

SMS_GROUP: Final = "softswitch.sms_gateways"
"""Entry points of gateways: callables that take `SmsSettings` and return an `ivr.post.texting.SmsGateway`."""


class AdapterError(StoreError):
    """An adapter cannot be had; the text says why."""


def factory(owner: str, adapter: str, group: str) -> Callable[[Any], Any]:
    """The callable that `package.module:factory`, or the name of an entry point of `group`, leads to. Raises
    AdapterError, whose text begins with `owner`."""
    module, colon, name = adapter.partition(":")
    try:
        if colon:
            found = getattr(importlib.import_module(module), name)
        else:
            entries = entry_points(group=group, name=adapter)
            if not entries:
                raise AdapterError(f'{owner}: there is no adapter "{adapter}" in {group}')
            found = next(iter(entries)).load()
    except (ImportError, AttributeError) as error:
        raise AdapterError(f"{owner}: the adapter cannot be loaded: {error}") from error
    return cast("Callable[[Any], Any]", found)


def open_sms_gateway(settings: SmsSettings) -> SmsGateway:
    """The gateway of short messages. Raises AdapterError."""
    return cast("SmsGateway", factory("sms", settings.adapter, SMS_GROUP)(settings))
