# SPDX-License-Identifier: Apache-2.0
"""E-mails that tell of messages: written as their reader wants, sent to a real server, once, whatever happens."""

from __future__ import annotations

import asyncio
import email
import functools
import io
import itertools
import logging
import ssl
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest
import pytest_asyncio
import soundfile
from aiosmtpd.smtp import SMTP, AuthResult

from billing_client.mailboxes.mailboxes import StoreMailboxes
from billing_client.mailboxes.words import Deposit, Email, Sound
from billing_client.types import StoreUnavailable
from billing_client.vouchers.receipts import Receipt
from billing_client.vouchers.words import GuessSource
from ivr.post import mail
from ivr.post.handover import MailSettings, Refusals, hand_over, hand_over_apart
from ivr.post.mail import deliver_forever, purge_forever
from ivr.post.mailtext import LANGUAGES, compose, encode
from tests.patience import PATIENCE_SECONDS
from tests.store.conftest import TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from email.message import EmailMessage

CERTIFICATE = Path(__file__).with_name("loopback.pem")
SENDER = "Voicemail <voicemail@example.com>"
ALICE, BOB = "alice@example.net", "bob@example.net"


def tone(seconds: float = 1.0, rate: int = 8000) -> Sound:
    """440 Hz as the store keeps it."""
    samples = np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate) * 8000
    written = io.BytesIO()
    soundfile.write(written, samples.astype(np.int16), rate, format="WAV", subtype="PCM_16")
    return Sound("wav", written.getvalue(), seconds)


WRITTEN = Email(
    message_id="6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
    attempts=1,
    queued_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
    recipients=(ALICE,),
    mailbox="42027777100",
    display="Alice",
    language="",
    timezone="Europe/Prague",
    attach="wav",
    caller="42075553333",
    caller_name="Žofie",
    received_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
    seconds=65.2,
    urgent=False,
    sounds=(tone(),),
)


def text_of(message: EmailMessage) -> str:
    body = message.get_body()
    assert body is not None
    return str(body.get_content())


def test_an_email_says_who_called_when_and_how_long_in_the_owners_time_zone() -> None:
    message = compose(WRITTEN, SENDER, "en")
    assert message["Subject"] == "Voice message from Žofie (42075553333) (1:05)"
    assert (message["From"], message["To"]) == (SENDER, ALICE)
    assert message["Date"] == "Sun, 22 Nov 2026 13:00:00 +0100"
    assert message["Message-ID"] == "<6f9619ff-8b86-4d01-b42d-00cf4fc964ff@example.com>"
    assert text_of(message) == (
        "There is a new voice message in your mailbox.\n\n"
        "From:     Žofie (42075553333)\n"
        "To:       Alice (42027777100)\n"
        "Received: Sunday, 22 November 2026, 13:00 CET\n"
        "Length:   1:05\n\n"
        "The recording is attached.\n"
    )


def test_an_email_is_in_the_owners_language() -> None:
    message = compose(replace(WRITTEN, language="cs-CZ", urgent=True, timezone="UTC"), SENDER, "en")
    assert message["Subject"] == "Naléhavé: Hlasová zpráva, volal(a) Žofie (42075553333) (1:05)"
    assert message["Importance"] == "high"
    assert "Přijato:  neděle 22. listopadu 2026 v 12:00 UTC\n" in text_of(message)
    assert "Length" in text_of(compose(replace(WRITTEN, language="xx"), SENDER, "yy"))
    assert "Délka" in text_of(compose(WRITTEN, SENDER, "cs"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("month", range(1, 13))
def test_every_language_has_a_word_for_every_day_and_month(language: str, month: int) -> None:
    for day in range(1, 8):
        at = datetime(2026, month, day, tzinfo=UTC)
        assert str(day) in text_of(compose(replace(WRITTEN, received_at=at, language=language), SENDER, "en"))


def test_what_comes_from_the_wire_stays_within_its_header() -> None:
    odd = replace(WRITTEN, caller="1\r\nBcc: x@example.org", caller_name="a\nb\0c\u2028d", timezone="Nowhere/None")
    message = compose(odd, SENDER, "en")
    read = email.message_from_bytes(message.as_bytes())
    assert read["Bcc"] is None
    assert "a b c d (1 Bcc: x@example.org)" in message["Subject"]
    assert "unknown number" in compose(replace(WRITTEN, caller="anonymous", caller_name=""), SENDER, "en")["Subject"]


@pytest.mark.parametrize(
    ("attach", "kind", "ending"),
    [("wav", "audio/wav", "wav"), ("mp3", "audio/mpeg", "mp3"), ("opus", "audio/ogg", "ogg")],
)
@pytest.mark.parametrize("rate", [8000, 16000])
def test_the_recording_is_attached_as_the_owner_wants_it(attach: str, kind: str, ending: str, rate: int) -> None:
    message = compose(replace(WRITTEN, attach=attach, sounds=(tone(2.0, rate),)), SENDER, "en")
    (attached,) = message.iter_attachments()
    assert attached.get_content_type() == kind
    assert attached.get_filename() == f"42075553333-20261122-1300.{ending}"
    samples, found_rate = soundfile.read(io.BytesIO(attached.get_content()))
    assert found_rate in {rate, 48000}
    assert 1.9 < len(samples) / found_rate < 2.2
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    loudest = np.argmax(np.abs(np.fft.rfft(middle))) * found_rate / len(middle)
    assert abs(loudest - 440) < 5


def test_a_message_that_introduces_another_has_both_attached() -> None:
    message = compose(replace(WRITTEN, sounds=(tone(), tone(2.0))), SENDER, "en")
    names = [part.get_filename() for part in message.iter_attachments()]
    assert names == ["42075553333-20261122-1300.wav", "42075553333-20261122-1300-2.wav"]


def test_without_the_recording_the_mailbox_is_to_be_called() -> None:
    message = compose(replace(WRITTEN, attach="none", sounds=()), SENDER, "en")
    assert list(message.iter_attachments()) == []
    assert text_of(message).endswith("Call your mailbox to listen to it.\n")


def test_what_cannot_be_read_is_attached_as_it_is() -> None:
    assert encode(Sound("raw", b"\1\2", 1.0), "mp3") == (b"\1\2", "raw")


@dataclass
class Inbox:
    """A mail server's other side: keeps what is accepted, and refuses as it is told."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    """What is answered next to "RCPT address", or to "DATA"; then all is well."""
    messages: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    before_data: Callable[[], Any] = lambda: None

    def _answer(self, command: str) -> str:
        waiting = self.answers.get(command)
        return waiting.pop(0) if waiting else "250 OK"

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's names)
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        answer = self._answer(f"RCPT {address}")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        answer = self._answer("DATA")
        if answer.startswith("2"):
            read = email.message_from_bytes(envelope.content, policy=email.policy.default)
            self.messages.append((list(envelope.rcpt_tos), read))
            self.before_data()
        return answer

    @property
    def recipients(self) -> list[list[str]]:
        return [found for found, _ in self.messages]


class Post:
    """A real SMTP server on a free port, and our settings for it."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.options: dict[str, Any] = {}

    async def open(self) -> MailSettings:
        made = lambda: SMTP(self.inbox, **self.options)  # noqa: E731
        self._server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return MailSettings(sender=SENDER, host="127.0.0.1", port=self.port, timeout_seconds=5)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None


@pytest_asyncio.fixture
async def post() -> AsyncIterator[Post]:
    """A post office that is still closed."""
    post = Post()
    yield post
    await post.close()


class Clock:
    """The time, which tests move."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    """Begins now, a little ahead of the store."""
    clock = Clock()
    clock.now += timedelta(seconds=5)
    return clock


@pytest_asyncio.fixture
async def queue(dsn: str) -> AsyncIterator[StoreMailboxes]:
    """A store whose mailbox 101 tells Alice of messages."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(TENANT.encode())
        connection.execute(
            "INSERT INTO billing_mailbox (account_id, email, delete_after_email) VALUES (1, ARRAY[%s], true)", [ALICE]
        )
    queue = await StoreMailboxes.connect(dsn, node="test")
    yield queue
    await queue.close()


async def left(queue: StoreMailboxes, mailbox: str = "101") -> str:
    """Leave a message."""
    message_id = str(uuid.uuid4())
    deposit = Deposit(message_id=message_id, mailbox=mailbox, caller="42075553333", caller_name="",
                      received_at=datetime.now(UTC), sound=tone(0.2))  # fmt: skip
    assert await queue.deposit(deposit) == "stored"
    return message_id


async def in_thread(settings: MailSettings, email: Email) -> Refusals:
    """As `hand_over_apart`, but without the time that another process takes to start."""
    return await asyncio.to_thread(hand_over, settings, email)


deliver_due = functools.partial(mail.deliver_due, hand_over=in_thread)


def ask(dsn: str, sql: str) -> Any:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(sql.encode()).fetchone()
        assert row is not None
        return row[0]


def waiting(dsn: str) -> int:
    """How many e-mails are in the queue."""
    return int(ask(dsn, "SELECT count(*) FROM billing_voiceemail"))


def next_due(dsn: str) -> datetime | None:
    """When the next one is due."""
    found: datetime | None = ask(dsn, "SELECT min(due_at) FROM billing_voiceemail")
    return found


def change(dsn: str, sql: str, *arguments: object) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.encode(), arguments)


pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning")


@pytest.mark.asyncio
async def test_a_message_is_told_of_once_and_deleted_where_its_owner_wants_that(
    queue: StoreMailboxes, post: Post, clock: Clock, dsn: str
) -> None:
    settings = await post.open()
    message_id = await left(queue)
    await left(queue, "201")  # wants no e-mail
    assert await deliver_due(queue, settings, clock=clock) == 1
    assert await deliver_due(queue, settings, clock=clock) == 0
    ((recipients, message),) = post.inbox.messages
    assert recipients == [ALICE]
    assert message["Message-ID"] == f"<{message_id}@example.com>"
    (attached,) = message.iter_attachments()
    assert attached.get_content() == tone(0.2).data
    assert await queue.messages("101", "new") == []
    assert len(await queue.messages("201", "new")) == 1
    assert waiting(dsn) == 0


@pytest.mark.asyncio
async def test_a_receipt_of_a_recharge_goes_to_the_same_server(post: Post) -> None:
    receipt = Receipt(
        key="call 1", attempts=1, queued_at=datetime(2026, 11, 22, 12, tzinfo=UTC), recipients=(ALICE,), account="101",
        language="cs", timezone="UTC", amount=Decimal(10), currency="USD", available=Decimal(20), expires_on=None,
    )  # fmt: skip
    assert await hand_over_apart(await post.open(), receipt) == Refusals()
    [(recipients, message)] = post.inbox.messages
    assert (recipients, message["Subject"]) == ([ALICE], "Váš účet 101 byl dobit částkou 10.00 USD")


@pytest.mark.asyncio
async def test_the_message_stays_where_its_owner_does_not_want_it_deleted(
    queue: StoreMailboxes, post: Post, clock: Clock, dsn: str
) -> None:
    settings = await post.open()
    change(dsn, "UPDATE billing_mailbox SET delete_after_email = false, attach = 'none'")
    await left(queue)
    assert await deliver_due(queue, settings, clock=clock) == 1
    assert list(post.inbox.messages[0][1].iter_attachments()) == []
    assert len(await queue.messages("101", "new")) == 1


@pytest.mark.asyncio
async def test_without_a_server_it_is_tried_again_with_growing_pauses_for_a_day(
    queue: StoreMailboxes, post: Post, clock: Clock, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = await post.open()
    await post.close()
    await left(queue)
    began, tries = clock.now, []
    while (due := next_due(dsn)) is not None:
        clock.now = max(clock.now, due)
        assert await deliver_due(queue, settings, clock=clock) == 1
        tries.append(clock.now - began)
    pauses = [(after - before).total_seconds() / 60 for before, after in itertools.pairwise(tries)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 64, 120]
    assert timedelta(hours=20) < tries[-1] < timedelta(hours=24)
    assert len(await queue.messages("101", "new")) == 1  # told of by the lamp alone
    assert "given up" in caplog.text
    assert ALICE not in caplog.text


@pytest.mark.asyncio
async def test_a_server_that_comes_back_gets_it(queue: StoreMailboxes, post: Post, clock: Clock) -> None:
    settings = await post.open()
    await post.close()
    await left(queue)
    await deliver_due(queue, settings, clock=clock)
    await post.open()
    assert await deliver_due(queue, settings, clock=clock) == 0  # its pause is not over
    clock.now += timedelta(minutes=1)
    assert await deliver_due(queue, settings, clock=clock) == 1
    assert post.inbox.recipients == [[ALICE]]


@pytest.mark.asyncio
@pytest.mark.parametrize("command", ["DATA", f"RCPT {ALICE}"])
async def test_4xx_is_tried_again_and_5xx_is_not(
    queue: StoreMailboxes, post: Post, clock: Clock, dsn: str, command: str
) -> None:
    settings = await post.open()
    post.inbox.answers = {command: ["451 later", "552 never"]}
    await left(queue)
    assert await deliver_due(queue, settings, clock=clock) == 1
    assert waiting(dsn) == 1
    clock.now += timedelta(minutes=1)
    assert await deliver_due(queue, settings, clock=clock) == 1
    assert waiting(dsn) == 0
    assert post.inbox.messages == []
    assert len(await queue.messages("101", "new")) == 1


@pytest.mark.asyncio
async def test_only_recipients_that_have_not_got_it_are_tried_again(
    queue: StoreMailboxes, post: Post, clock: Clock, dsn: str
) -> None:
    settings = await post.open()
    change(dsn, "UPDATE billing_mailbox SET email = ARRAY[%s, %s, 'no@example.net']", ALICE, BOB)
    post.inbox.answers = {f"RCPT {BOB}": ["450 busy"], "RCPT no@example.net": ["550 unknown"]}
    await left(queue)
    await deliver_due(queue, settings, clock=clock)
    assert len(await queue.messages("101", "new")) == 1
    clock.now += timedelta(minutes=1)
    await deliver_due(queue, settings, clock=clock)
    assert post.inbox.recipients == [[ALICE], [BOB]]
    assert await queue.messages("101", "new") == []


@pytest.mark.asyncio
async def test_a_worker_that_dies_before_sending_leaves_it_to_another_after_its_lease(
    queue: StoreMailboxes, post: Post, clock: Clock
) -> None:
    settings = await post.open()
    await left(queue)
    (taken,) = await queue.take_emails(clock.now, timedelta(minutes=15), 4)  # and it dies
    clock.now += timedelta(minutes=14)
    assert await deliver_due(queue, settings, clock=clock) == 0
    clock.now += timedelta(minutes=2)
    assert await deliver_due(queue, settings, clock=clock) == 1
    # It was only slow: what it says now changes nothing.
    await queue.email_again(taken, [ALICE], clock.now)
    assert await deliver_due(queue, settings, clock=clock) == 0
    assert post.inbox.recipients == [[ALICE]]


@pytest.mark.asyncio
async def test_a_kill_after_acceptance_sends_it_again_under_the_same_id(
    queue: StoreMailboxes, post: Post, clock: Clock
) -> None:
    settings = await post.open()
    await left(queue)

    class Killed(Forwarding):
        async def email_accepted(self, email: Email) -> None:
            raise KeyError("killed")

    with pytest.raises(KeyError):
        await deliver_due(Killed(queue), settings, clock=clock)
    clock.now += timedelta(minutes=16)
    assert await deliver_due(queue, settings, clock=clock) == 1
    first, second = (message for _, message in post.inbox.messages)
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]


class Forwarding:
    """A queue in front of another."""

    def __init__(self, queue: StoreMailboxes) -> None:
        self._queue = queue

    async def take_emails(self, at: datetime, lease: timedelta, most: int) -> list[Email]:
        return await self._queue.take_emails(at, lease, most)

    async def email_accepted(self, email: Email) -> None:
        await self._queue.email_accepted(email)

    async def email_again(self, email: Email, recipients: Sequence[str], at: datetime) -> None:
        await self._queue.email_again(email, recipients, at)

    async def email_given_up(self, email: Email) -> None:
        await self._queue.email_given_up(email)


@pytest.mark.asyncio
async def test_a_store_that_is_away_after_acceptance_is_told_when_it_is_back(
    queue: StoreMailboxes, post: Post, clock: Clock
) -> None:
    settings = await post.open()
    await left(queue)

    class Away(Forwarding):
        attempts = 0

        async def email_accepted(self, email: Email) -> None:
            self.attempts += 1
            if self.attempts < 4:
                raise StoreUnavailable("away")
            await super().email_accepted(email)

    assert await deliver_due(Away(queue), settings, clock=clock, sleep=clock.sleep) == 1
    clock.now += timedelta(hours=1)
    assert await deliver_due(queue, settings, clock=clock) == 0
    assert post.inbox.recipients == [[ALICE]]


@pytest.mark.asyncio
async def test_the_end_of_the_process_waits_for_what_the_server_has_in_hand(
    queue: StoreMailboxes, post: Post, dsn: str
) -> None:
    settings = await post.open()
    await left(queue)
    worker = asyncio.create_task(deliver_forever(queue, settings))
    post.inbox.before_data = worker.cancel
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(worker, PATIENCE_SECONDS)
    assert post.inbox.recipients == [[ALICE]]
    assert waiting(dsn) == 0


@pytest.mark.asyncio
async def test_two_workers_send_many_messages_once_each(
    queue: StoreMailboxes, post: Post, clock: Clock, dsn: str
) -> None:
    settings = await post.open()
    sent = {await left(queue) for _ in range(12)}

    async def work() -> None:
        while await deliver_due(queue, settings, clock=clock):
            pass

    await asyncio.gather(work(), work())
    ids = [message["Message-ID"][1:].partition("@")[0] for _, message in post.inbox.messages]
    assert sorted(ids) == sorted(sent)
    assert waiting(dsn) == 0


@pytest.mark.asyncio
async def test_the_worker_goes_on_while_the_store_is_away(
    queue: StoreMailboxes, post: Post, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    settings = await post.open()
    await left(queue)

    class Away(Forwarding):
        asked = 0

        async def take_emails(self, at: datetime, lease: timedelta, most: int) -> list[Email]:
            self.asked += 1
            if self.asked < 5:
                raise StoreUnavailable("away")
            return await super().take_emails(at, lease, most)

    worker = asyncio.create_task(
        deliver_forever(Away(queue), settings, clock=clock, sleep=clock.sleep, hand_over=in_thread)
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not post.inbox.messages:  # noqa: ASYNC110 (the server sets no event)
            await asyncio.sleep(0.01)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert caplog.text.count("e-mails wait for the store") == 1


@pytest.mark.asyncio
async def test_tls_and_a_password_are_used_where_they_are_set(
    queue: StoreMailboxes, post: Post, clock: Clock, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = (data.login, data.password) == (b"we", b"open sesame")
        return AuthResult(success=right, handled=False)

    post.options = {"tls_context": context, "require_starttls": True, "authenticator": authenticate,
                    "auth_required": True}  # fmt: skip
    settings = replace(
        await post.open(), starttls=True, user="we", password="open sesame", certificates=str(CERTIFICATE)
    )
    await left(queue)
    caplog.set_level(logging.INFO, "ivr.post.mail")
    for wrong in (
        replace(settings, password="wrong"),
        replace(settings, certificates=None),  # nobody vouches for the certificate
        replace(settings, starttls=False, user=""),
    ):
        assert await deliver_due(queue, wrong, clock=clock) == 1
        assert post.inbox.messages == []
        clock.now += timedelta(hours=2)
    assert "refuses our credentials" in " ".join(str(record.__dict__) for record in caplog.records)
    assert await deliver_due(queue, settings, clock=clock) == 1
    assert post.inbox.recipients == [[ALICE]]


@pytest.mark.asyncio
async def test_without_tls_nothing_is_sent_to_a_server_that_must_have_it(
    queue: StoreMailboxes, post: Post, clock: Clock, dsn: str
) -> None:
    settings = replace(await post.open(), starttls=True)
    await left(queue)
    await deliver_due(queue, settings, clock=clock)
    assert post.inbox.messages == []
    assert waiting(dsn) == 1


@pytest.mark.asyncio
async def test_deleted_messages_are_purged_when_their_hours_are_over(
    queue: StoreMailboxes, clock: Clock, dsn: str
) -> None:
    change(dsn, "UPDATE billing_mailbox SET email = '{}'")
    ids = [await left(queue) for _ in range(3)]
    await queue.delete(ids[:2])
    sweeps = 0

    class Enough(Exception):  # noqa: N818
        pass

    async def sleep(seconds: float) -> None:
        nonlocal sweeps
        sweeps += 1
        await clock.sleep(seconds)
        if sweeps == 200:
            raise Enough

    begin = clock.now
    with pytest.raises(Enough):
        await purge_forever(queue, timedelta(hours=24), clock=clock, sleep=sleep)
    assert clock.now - begin > timedelta(hours=24)
    assert await queue.sound(ids[0]) is None
    assert await queue.sound(ids[2]) is not None


@pytest.mark.asyncio
async def test_a_message_that_is_still_to_be_sent_outlives_its_deletion_by_a_day_at_most(
    queue: StoreMailboxes, clock: Clock, dsn: str
) -> None:
    message_id = await left(queue)
    await queue.delete([message_id])
    assert await queue.purge(clock.now, 10) == 0
    # Nobody sends: no server is configured.
    change(dsn, "UPDATE billing_voiceemail SET queued_at = now() - interval '26 hours'")
    change(dsn, "UPDATE billing_voiceemail SET due_at = queued_at")
    await queue.purge(clock.now, 10)
    assert waiting(dsn) == 0
    assert await queue.purge(clock.now, 10) == 1


@pytest.mark.asyncio
async def test_wrong_pins_that_count_no_more_are_forgotten(queue: StoreMailboxes, clock: Clock, dsn: str) -> None:
    await queue.check_pin("101", "0000", GuessSource("420"))
    await queue.purge(clock.now, 10)
    assert ask(dsn, "SELECT count(*) FROM billing_pinfailure") == 1
    change(dsn, "UPDATE billing_pinfailure SET at = now() - interval '25 hours'")
    await queue.purge(clock.now, 10)
    assert ask(dsn, "SELECT count(*) FROM billing_pinfailure") == 0


@pytest.mark.asyncio
async def test_a_process_that_cannot_send_is_a_reason_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = MailSettings(sender=SENDER, host="127.0.0.1", port=1)
    refused = await hand_over_apart(settings, WRITTEN)  # it starts, and nobody listens there
    assert (refused.later, refused.never) == ((ALICE,), ())
    assert "ConnectionRefusedError" in refused.reason
    for program in ("/bin/false", "/nowhere/python"):
        monkeypatch.setattr("sys.executable", program)
        assert (await hand_over_apart(settings, WRITTEN)).later == (ALICE,)
