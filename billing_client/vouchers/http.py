# SPDX-License-Identifier: Apache-2.0
"""The generic adapter of voucher stores outside: JSON over HTTP/1.1 (docs/vouchers.md has the protocol).

`http.client` in a few threads: a redemption asks twice, and nothing else here speaks HTTP. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from billing_client.vouchers.words import VoucherStoreUnavailable

__all__ = ["HttpVoucherStore"]

LONGEST_ANSWER: Final = 65_536
REQUESTS_AT_A_TIME: Final = 16


class HttpVoucherStore:
    """A store that is asked by POST at URL/check and URL/deplete."""

    def __init__(self, name: str, url: str, *, token: str = "", timeout_seconds: float = 5.0) -> None:
        """`token` is sent as a bearer token (RFC 6750); `timeout_seconds` bounds each request as a whole."""
        self.name = name
        self._url = urlsplit(url)
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(REQUESTS_AT_A_TIME, f"voucher store {name}")

    async def check(self, code: str) -> Decimal | None:
        """See `VoucherStore`."""
        answer = await self._ask("check", {"code": code}, None)
        if answer.get("valid") is False:
            return None
        amount = answer.get("amount")
        if answer.get("valid") is not True or not isinstance(amount, str):
            raise VoucherStoreUnavailable('its answer has no "valid" and "amount"')
        try:
            return Decimal(amount)
        except InvalidOperation:
            raise VoucherStoreUnavailable("its amount is no number") from None

    async def deplete(self, code: str, key: str) -> bool:
        """See `VoucherStore`."""
        answer = await self._ask("deplete", {"code": code, "key": key}, key)
        depleted = answer.get("depleted")
        if not isinstance(depleted, bool):
            raise VoucherStoreUnavailable('its answer has no "depleted"')
        return depleted

    async def close(self) -> None:
        """See `VoucherStore`."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, what: str, body: dict[str, str], key: str | None) -> dict[str, Any]:
        asking = asyncio.get_running_loop().run_in_executor(self._threads, partial(self._post, what, body, key))
        try:
            return await asyncio.wait_for(asking, self._timeout_seconds)
        except (OSError, http.client.HTTPException, ValueError) as error:  # TimeoutError is an OSError
            raise VoucherStoreUnavailable(f"{what}: {type(error).__name__}") from error

    def _post(self, what: str, body: dict[str, str], key: str | None) -> dict[str, Any]:
        """Ask once, in a thread. What an error says may hold the code, so only its kind is told."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connection()
        try:
            connection.request("POST", f"{self._url.path}/{what}", json.dumps(body), headers)
            response = connection.getresponse()
            answer = response.read(LONGEST_ANSWER)
            if response.status != http.HTTPStatus.OK:
                raise VoucherStoreUnavailable(f"{what}: status {response.status}")
        finally:
            connection.close()
        found = json.loads(answer)
        if not isinstance(found, dict):
            raise ValueError("no object")
        return found

    def _connection(self) -> http.client.HTTPConnection:
        host, port, timeout = self._url.hostname or "", self._url.port, self._timeout_seconds
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=timeout)
