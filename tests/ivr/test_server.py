# SPDX-License-Identifier: Apache-2.0
"""The media server over real sockets: SIP by a phone made of our own protocol core, and real RTP."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ivr.verbs import CallDetails, CallerHungUp, DialResult, Ivr, Recording
from switch.settings import Limits
from switch.sip.mark import Chain, Marks
from switch.sip.message.uri import Uri
from switch.sip.session import Answered, Ended, Failed, Progressed, Replied, Requested
from switch.sip.user_agent import Invited
from tests.ivr.conftest import SECRET
from tests.ivr.rtp_phone import RtpPhone
from tests.patience import PATIENCE_SECONDS
from tests.ports import media_ports
from tests.sip.test_body import LOCATION, MIXED, multi, part
from tests.switch.phone import Phone, sdp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ivr.app import IvrProcess
    from ivr.settings import IvrSettings
    from switch.sip.message.message import Request
    from switch.sip.session import OutgoingInvite
    from tests.ivr.conftest import Composed

    Starter = Callable[..., Awaitable[IvrProcess]]

pytestmark = pytest.mark.asyncio

BEGUN = Chain(1, "account:101", "192.0.2.7")
"""A call to an application by a phone of ours."""


class Caller:
    """A phone with sound, in the place of the switch."""

    def __init__(self, process: IvrProcess) -> None:
        self.sip = Phone("switch", "", process.bound)
        self.rtp = RtpPhone()
        self.marks = Marks(SECRET, "switch", wall=time.time, clock=time.monotonic)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Caller:
        await self._stack.enter_async_context(self.sip)
        await self._stack.enter_async_context(self.rtp)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def invite(
        self,
        user: str,
        *lines: tuple[str, str],
        params: str = "",
        body: bytes | None = None,
        chain: Chain = BEGUN,
        marked: bool = True,
    ) -> OutgoingInvite:
        """Send an INVITE for an application, as the switch does; without a mark: as a stranger does."""
        host, port = self.sip.switch
        offer = self.rtp.sdp if body is None else body
        headers = [*lines, ("Supported", "timer"), *([("Content-Type", "application/sdp")] if offer else [])]
        uri = f"sip:{user}@{host}:{port}{params}"
        request = self.sip.make("INVITE", uri, *headers, to="sip:*98@sip.example.com", body=offer)
        if marked:
            self.marks.put(request, chain)
        invite = self.sip.agent.invite(request, self.sip.flow, natted=False, owner=self)
        self.sip.perform(invite.start(self.sip.now()))
        return invite

    async def connect(self, user: str, *lines: tuple[str, str], params: str = "") -> Answered:
        """Call an application that answers."""
        await self.invite(user, *lines, params=params)
        answered = await self.sip.connected()
        assert answered.response.sdp is not None
        self.rtp.talk_to(answered.response.sdp)
        return answered

    async def failed(self) -> int:
        """The status of a failed call."""
        return (await self.sip.expect(Failed)).response.status


async def test_the_invite_tells_the_application_who_calls_for_whom_and_why(composed: Composed, start: Starter) -> None:
    seen: list[CallDetails] = []

    async def voicemail(call: Ivr) -> None:
        seen.append(call.details)
        await call.hangup(486, cause=17)

    composed.apps["voicemail"] = voicemail
    async with Caller(await start()) as caller:
        await caller.invite(
            "voicemail",
            ("P-Asserted-Identity", '"Jan Novak" <sip:42075553333@sip.example.com>'),
            ("P-Served-User", "<sip:101@sip.example.com>;sescase=orig"),
            params=";target=sip%3A42027777100%40sip.example.com;cause=486;name=x",
        )
        assert await caller.failed() == 486
    (details,) = seen
    assert (details.application, details.target, details.cause) == ("voicemail", "42027777100", 486)
    assert (details.caller, details.caller_name, details.account) == ("42075553333", "Jan Novak", "101")
    assert (details.dialled, dict(details.parameters)) == ("*98", {"name": "x"})
    assert (details.language, details.has_language) == ("en", False)


async def test_the_invite_says_whose_language_is_spoken_else_it_is_that_of_the_configuration(
    composed: Composed, start: Starter
) -> None:
    seen: list[tuple[str, bool]] = []

    async def echo(call: Ivr) -> None:
        seen.append((call.language, call.details.has_language))
        await call.hangup(486, cause=17)

    composed.apps["echo"] = echo
    async with Caller(await start(language="cs")) as caller:
        for params in ("", ";language=", ";language=pt-BR"):
            await caller.invite("echo", params=params)
            assert await caller.failed() == 486
    assert seen == [("cs", False), ("cs", False), ("pt-BR", True)]


async def test_an_application_that_does_not_exist_gets_404(start: Starter) -> None:
    async with Caller(await start()) as caller:
        await caller.invite("nothing")
        assert await caller.failed() == 404


async def test_nobody_but_the_switch_may_call(composed: Composed, start: Starter) -> None:
    composed.apps["echo"] = lambda call: call.answer()
    async with Caller(await start(peers=("127.0.0.9",))) as caller:
        await caller.invite("echo")
        assert await caller.failed() == 403


@pytest.mark.parametrize("user", ["voicemail-access", "nothing", "10150"])
async def test_an_invite_without_a_mark_gets_403_and_leaves_nothing_behind(
    composed: Composed, start: Starter, user: str
) -> None:
    """Cases A4, L2: another one's mailbox by a Contact that leads here, from the very address of the switch."""
    opened: list[CallDetails] = []

    async def mailbox(call: Ivr) -> None:
        opened.append(call.details)
        await call.answer()

    composed.apps["voicemail-access"] = mailbox
    process = await start()
    async with Caller(process) as caller:
        for body in (None, b"", b"v=0\r\nnonsense"):
            await caller.invite(
                user,
                ("P-Served-User", "<sip:10150@sip.example.com>;sescase=orig"),
                ("Softswitch-Mark", "v=1;at=1800000000000;depth=1;by=;from=;mac=" + "0" * 64),
                params=";target=10150",
                body=body,
                marked=False,
            )
            assert await caller.failed() == 403
    assert not opened
    assert not process.server.calls
    assert not process.engine.sessions
    assert process.core.agent.layer.dump() == []
    assert process.server.refused == {403: 3}


async def test_a_captured_invite_opens_no_second_call(composed: Composed, start: Starter) -> None:
    """Case A4: the same bytes again, in the same transaction and in one of their own, while it runs and afterwards."""
    began: list[str] = []

    async def app(call: Ivr) -> None:
        began.append(call.details.call_id)
        await call.answer()
        await call.sleep(0.2)

    composed.apps["app"] = app
    process = await start()
    async with Caller(process) as caller, Phone("thief", "", process.bound) as thief:
        await caller.connect("app")
        captured = next(one for one in caller.sip.sent if one.start_line().startswith("INVITE"))
        thief._transport.sendto(captured.to_bytes(), process.bound)
        captured.set("Via", f"SIP/2.0/UDP {thief.address};branch=z9hG4bKother;rport")
        for cseq in (1, 2):
            captured.set("CSeq", f"{cseq} INVITE")
            thief._transport.sendto(captured.to_bytes(), process.bound)
        await caller.sip.expect(Ended)
        captured.set("Via", f"SIP/2.0/UDP {thief.address};branch=z9hG4bKlast;rport")
        captured.set("CSeq", "3 INVITE")
        thief._transport.sendto(captured.to_bytes(), process.bound)
        await asyncio.sleep(0.3)
        statuses = {one.start_line().split()[1] for one in thief.received}
    assert len(began) == 1
    assert not process.server.calls
    assert statuses == {"482", "403"}  # 482: the same request by another way, as the transactions see it


async def test_a_call_of_an_application_tells_the_switch_who_began_it(composed: Composed, start: Starter) -> None:
    async with Phone("x", "", ("127.0.0.1", 9)) as sip:
        process, _ = await dialling(composed, start, sip)
        switch = Marks(SECRET, "switch", wall=time.time, clock=time.monotonic)
        async with Caller(process) as caller:
            await caller.invite("app")
            request = (await sip.ringing()).request
            assert switch.take(request) == BEGUN
            assert SECRET.decode() not in request.to_bytes().decode()


async def test_a_prompt_is_heard_and_its_call_ends(composed: Composed, start: Starter) -> None:
    async def app(call: Ivr) -> None:
        await call.answer()
        await call.play("tone-440", "tone-800")

    composed.apps["app"] = app
    async with Caller(await start()) as caller:
        await caller.connect("app")
        await caller.rtp.until_hears(440)
        await caller.rtp.until_hears(800)
        assert (await caller.sip.expect(Ended)).reason == "bye"


async def test_an_announcement_is_early_media_and_the_call_fails_after_it(composed: Composed, start: Starter) -> None:
    async def app(call: Ivr) -> None:
        await call.play("tone-600")
        await call.hangup(404, cause=1)

    composed.apps["announcement"] = app
    async with Caller(await start()) as caller:
        await caller.invite("announcement")
        progressed = await caller.sip.expect(Progressed)
        assert progressed.response.status == 183
        assert progressed.response.sdp is not None
        caller.rtp.talk_to(progressed.response.sdp)
        await caller.rtp.until_hears(600)
        failed = await caller.sip.expect(Failed)
        assert failed.response.status == 404
        assert "Q.850;cause=1" in (failed.response.get("Reason") or "")


@pytest.mark.parametrize("way", ["rfc4733", "dtmf-relay", "dtmf"])
async def test_keys_come_by_rtp_and_by_info(composed: Composed, start: Starter, way: str) -> None:
    found: list[str] = []

    async def app(call: Ivr) -> None:
        await call.answer()
        found.append(await call.ask("long-440", digits=4))

    composed.apps["app"] = app
    async with Caller(await start()) as caller:
        answered = await caller.connect("app")
        await caller.rtp.until_hears(440)
        if way == "rfc4733":
            caller.rtp.press("12#")
        else:
            for key in "12#":
                body = f"Signal={key}\r\nDuration=160\r\n" if way == "dtmf-relay" else key
                caller.sip.perform(
                    answered.session.send(
                        "INFO", caller.sip.now(), body=body.encode(), content_type=f"application/{way}"
                    )
                )
                assert (await caller.sip.expect(Replied)).response.status == 200
        await caller.sip.expect(Ended)
    assert found == ["12"]


async def test_what_is_said_is_recorded_and_played_back(composed: Composed, start: Starter) -> None:
    taken: list[Recording] = []

    async def app(call: Ivr) -> None:
        await call.answer()
        taken.append(await call.record(most_seconds=20, finish="#"))
        await call.play(taken[0].audio)

    composed.apps["app"] = app
    async with Caller(await start()) as caller:
        await caller.connect("app")
        await caller.rtp.until_hears(1000)
        await asyncio.sleep(0.4)
        caller.rtp.say(700)
        await asyncio.sleep(1.5)
        caller.rtp.press("#")
        caller.rtp.say(0)
        await caller.rtp.until_hears(700)
        await caller.sip.expect(Ended)
    assert taken[0].ended_by == "key"
    assert taken[0].seconds == pytest.approx(1.5, abs=0.5)


async def test_a_hang_up_reaches_the_verb_and_keeps_the_recording(composed: Composed, start: Starter) -> None:
    told: list[str] = []

    async def app(call: Ivr) -> None:
        await call.answer()
        recording = await call.record(most_seconds=20, spool="m-1")
        told.append(recording.ended_by)
        with pytest.raises(CallerHungUp):
            await call.play("tone-440")
        told.append("raised")

    composed.apps["voicemail"] = app
    process = await start()
    async with Caller(process) as caller:
        answered = await caller.connect("voicemail", params=";target=sip%3A101%40x")
        await caller.rtp.until_hears(1000)
        await asyncio.sleep(0.4)
        caller.rtp.say(700)
        await asyncio.sleep(2.5)
        caller.sip.perform(answered.session.bye(caller.sip.now()))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "m-1" not in composed.depositor.kept:  # noqa: ASYNC110 (the application left it: it is delivered)
                await asyncio.sleep(0.05)
    assert told == ["hangup", "raised"]
    deposit = composed.depositor.kept["m-1"]
    assert deposit.mailbox == "101"
    assert deposit.sound.seconds == pytest.approx(2.4, abs=0.6)
    assert list(process.spool.directory.iterdir()) == []


async def test_a_caller_who_cancels_ends_the_application(composed: Composed, start: Starter) -> None:
    ended = asyncio.Event()

    async def app(call: Ivr) -> None:
        try:
            await call.play("long-440")
        finally:
            ended.set()

    composed.apps["app"] = app
    process = await start()
    async with Caller(process) as caller:
        invite = await caller.invite("app")
        await caller.sip.expect(Progressed)
        caller.sip.perform(invite.cancel(caller.sip.now()))
        assert await caller.failed() == 487
        await asyncio.wait_for(ended.wait(), PATIENCE_SECONDS)
    await asyncio.sleep(0.05)
    assert not process.server.calls
    assert not process.engine.sessions


async def test_a_caller_without_an_offer_is_offered_and_answers_in_its_ack(composed: Composed, start: Starter) -> None:
    async def app(call: Ivr) -> None:
        await call.answer()
        await call.play("long-440")

    composed.apps["app"] = app
    async with Caller(await start()) as caller:
        await caller.invite("app", body=b"")
        answered = await caller.sip.expect(Answered)
        assert answered.response.sdp is not None
        caller.rtp.talk_to(answered.response.sdp)
        caller.sip.perform(answered.session.ack(answered.invite.request, caller.sip.now(), caller.rtp.sdp))
        await caller.rtp.until_hears(440)


async def test_a_late_offer_in_early_media_is_answered_in_the_prack(composed: Composed, start: Starter) -> None:
    async def app(call: Ivr) -> None:
        await call.play("long-600")

    composed.apps["app"] = app
    async with Caller(await start()) as caller:
        host, port = caller.sip.switch
        request = caller.sip.make("INVITE", f"sip:app@{host}:{port}", ("Supported", "100rel"))
        caller.marks.put(request, BEGUN)
        invite = caller.sip.agent.invite(request, caller.sip.flow, natted=False, owner=caller)
        caller.sip.perform(invite.start(caller.sip.now()))
        progressed = await caller.sip.expect(Progressed)
        assert progressed.reliable
        assert progressed.session is not None
        assert progressed.response.sdp is not None
        caller.rtp.talk_to(progressed.response.sdp)
        caller.sip.perform(progressed.session.prack(progressed.response, caller.sip.now(), body=caller.rtp.sdp))
        assert (await caller.sip.expect(Replied)).response.status == 200
        await caller.rtp.until_hears(600)


async def test_an_offer_beside_other_parts_is_an_offer(composed: Composed, start: Starter) -> None:
    """Case D1."""

    async def talk(call: Ivr) -> None:
        await call.answer()
        await call.hangup()

    composed.apps["talk"] = talk
    async with Caller(await start()) as caller:
        body = multi(part(LOCATION, "c: application/pidf+xml"), part(caller.rtp.sdp, "c: application/sdp"))
        invite = await caller.invite("talk", ("Content-Type", MIXED), body=b"", marked=False)
        assert await caller.failed() == 403
        invite.request.body = body
        caller.marks.put(invite.request, BEGUN)
        caller.sip.perform(invite.resend([], caller.sip.now()))
        answered = await caller.sip.connected()
        assert answered.response.sdp is not None
        assert answered.response.content_type == "application/sdp"
        await caller.sip.expect(Ended)


@pytest.mark.parametrize("line", ["Q.850;cause=²", "Q.850;cause=" + "9" * 5_000, 'Q.850;text="'])
async def test_a_hang_up_with_an_odd_reason_is_a_hang_up(composed: Composed, start: Starter, line: str) -> None:
    """Case D4."""
    over = asyncio.Event()

    async def talk(call: Ivr) -> None:
        await call.answer()
        try:
            await call.sleep(30)
        except CallerHungUp:
            over.set()
            raise

    composed.apps["talk"] = talk
    process = await start()
    async with Caller(process) as caller:
        answered = await caller.connect("talk")
        caller.sip.perform(answered.session.bye(caller.sip.now(), [("Reason", line)]))
        await asyncio.wait_for(over.wait(), PATIENCE_SECONDS)


async def test_an_offer_without_a_codec_of_ours_gets_488(composed: Composed, start: Starter) -> None:
    composed.apps["app"] = lambda call: call.answer()
    process = await start()
    async with Caller(process) as caller:
        await caller.invite("app", body=sdp(4000, codec="18"))
        assert await caller.failed() == 488
    assert not process.engine.sessions


@pytest.mark.parametrize(
    "old_and_new",
    [
        (b"RTP/AVP 8", b"RTP/AVP 8 " + b"9" * 4400),
        (b"RTP/AVP 8", b"RTP/AVP 8 99999"),
        (b" RTP/AVP", b"\tRTP/AVP"),
        (b"m=audio 4000", b"m=audio " + b"4" * 4400),
        (b"m=audio 4000", b"m=audio 4000/" + b"4" * 4400),
        (b"c=IN IP4 127.0.0.1", b"c=IN IP4 " + b"1" * 4000),
        (b"v=0", b"\xff"),
    ],
)
async def test_an_offer_that_makes_no_sense_gets_488_and_leaves_neither_session_nor_ports(
    composed: Composed, start: Starter, old_and_new: tuple[bytes, bytes]
) -> None:
    """Case D5: no answer, and a session and two ports leaked each time."""
    composed.apps["app"] = lambda call: call.answer()
    process = await start()
    async with Caller(process) as caller:
        await caller.invite("app", body=sdp(4000, codec="8").replace(*old_and_new, 1))
        assert await caller.failed() == 488
    assert not process.engine.sessions


async def test_a_bug_in_taking_a_call_is_500_and_leaves_neither_session_nor_ports(
    composed: Composed, start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    composed.apps["app"] = lambda call: call.answer()
    process = await start()
    monkeypatch.setattr("media.session.session.MediaSession.answer", fail)
    async with Caller(process) as caller:
        await caller.invite("app", body=sdp(4000, codec="8"))
        assert await caller.failed() == 500
    assert not process.engine.sessions


async def test_a_caller_on_hold_hears_nothing_and_then_the_prompt_again(composed: Composed, start: Starter) -> None:
    async def app(call: Ivr) -> None:
        await call.answer()
        await call.play("long-500")

    composed.apps["app"] = app
    async with Caller(await start()) as caller:
        answered = await caller.connect("app")
        await caller.rtp.until_hears(500)
        for direction, hears in (("inactive", False), ("sendrecv", True)):
            offer = caller.rtp.sdp + f"a={direction}\r\n".encode()
            caller.sip.perform(answered.session.send("INVITE", caller.sip.now(), body=offer))
            replied = await caller.sip.expect(Replied)
            assert replied.response.status == 200
            assert direction.encode() in (replied.response.sdp or b"") or direction == "sendrecv"
            caller.sip.perform(answered.session.ack(replied.request, caller.sip.now()))
            await asyncio.sleep(0.1)
            before = len(caller.rtp.heard)
            await asyncio.sleep(0.3)
            assert (len(caller.rtp.heard) > before) is hears


async def test_more_calls_than_allowed_get_503_and_the_rest_goes_on(composed: Composed, start: Starter) -> None:
    async def app(call: Ivr) -> None:
        await call.answer()
        await call.play("long-500")

    composed.apps["app"] = app
    process = await start(limits=Limits(total=1, reserved=0))
    async with Caller(process) as first, Caller(process) as second:
        await first.connect("app")
        await second.invite("app")
        failed = await second.sip.expect(Failed)
        assert failed.response.status == 503
        assert failed.response.get("Retry-After")
        await first.rtp.until_hears(500)


async def test_an_application_that_breaks_costs_its_own_call_only(composed: Composed, start: Starter) -> None:
    async def broken(_: Ivr) -> None:
        raise LookupError("broken")

    async def app(call: Ivr) -> None:
        await call.answer()
        await call.play("long-500")

    composed.apps.update(broken=broken, app=app)
    process = await start()
    async with Caller(process) as first, Caller(process) as second:
        await first.connect("app")
        await second.invite("broken")
        assert await second.failed() == 500
        await first.rtp.until_hears(500)
    assert process.server.failed == 1


async def test_the_switch_asks_by_options_whether_we_are_there(start: Starter) -> None:
    process = await start()
    async with Caller(process) as caller:
        request = caller.sip.make("OPTIONS", f"sip:{process.bound[0]}:{process.bound[1]}")
        assert (await caller.sip.request(request)).status == 200
        process.server.draining = True
        request = caller.sip.make("OPTIONS", f"sip:{process.bound[0]}:{process.bound[1]}")
        assert (await caller.sip.request(request)).status == 503


async def test_a_draining_server_lets_calls_end_and_then_hangs_up(composed: Composed, start: Starter) -> None:
    async def app(call: Ivr) -> None:
        await call.answer()
        await call.play("long-500")

    composed.apps["app"] = app
    process = await start()
    async with Caller(process) as caller, Caller(process) as late:
        await caller.connect("app")
        draining = asyncio.create_task(process.server.drain(0.5))
        await asyncio.sleep(0.1)
        await late.invite("app")
        assert await late.failed() == 503
        await caller.sip.expect(Ended)
        await draining
    assert not process.server.calls


# calls of applications ------------------------------------------------------------------------------------------------
class Callee(Caller):
    """A phone with sound that the switch (this very phone) rings."""

    async def is_called(self) -> Request:
        """Wait for the INVITE and ring."""
        self.invited = await self.sip.ringing()
        offer = self.invited.request.sdp
        assert offer is not None
        self.rtp.talk_to(offer)
        return self.invited.request

    async def answer(self) -> None:
        """Answer it."""
        self.sip.perform(self.invited.accept(self.sip.now(), body=self.rtp.sdp))


async def dialling(
    composed: Composed, start: Starter, callee: Phone, **options: object
) -> tuple[IvrProcess, list[DialResult]]:
    results: list[DialResult] = []

    async def app(call: Ivr) -> None:
        results.append(
            await call.dial(
                "420273333444",
                account="42027777100",
                caller="42027777100",
                caller_name="Jan",
                **options,  # type: ignore[arg-type]
            )
        )
        await call.answer()
        await call.play("long-900")

    composed.apps["app"] = app
    return await start(switch=callee.local, domain="sip.example.com"), results


async def test_a_dialled_call_goes_to_the_switch_and_both_hear_each_other(composed: Composed, start: Starter) -> None:
    async with Phone("x", "", ("127.0.0.1", 9)) as sip, RtpPhone() as rtp:
        process, results = await dialling(composed, start, sip)
        callee = Callee(process)
        callee.sip, callee.rtp = sip, rtp
        async with Caller(process) as caller:
            await caller.invite("app")
            request = await callee.is_called()
            assert (request.uri.user, request.uri.host) == ("420273333444", "sip.example.com")
            assert request.get("P-Served-User") == "<sip:42027777100@sip.example.com>;sescase=orig"
            assert request.from_.uri == Uri.parse("sip:42027777100@sip.example.com")
            assert request.from_.display == "Jan"
            assert (await caller.sip.expect(Progressed)).response.status == 180
            await callee.answer()
            answered = await caller.sip.connected()
            assert answered.response.sdp is not None
            caller.rtp.talk_to(answered.response.sdp)
            caller.rtp.say(300)
            rtp.say(700)
            await rtp.until_hears(300)
            await caller.rtp.until_hears(700)
            sip.perform(callee.invited.session().bye(sip.now()))
            await caller.rtp.until_hears(900)
    (result,) = results
    assert (result.answered, result.ended_by) == (True, "callee")


async def test_a_dialled_call_that_fails_tells_its_status_and_cause(composed: Composed, start: Starter) -> None:
    async with Phone("x", "", ("127.0.0.1", 9)) as sip:
        process, results = await dialling(composed, start, sip)
        async with Caller(process) as caller:
            await caller.invite("app")
            invite = await sip.ringing()
            sip.perform(invite.reject(486, sip.now(), headers=[("Reason", "Q.850;cause=17")]))
            await caller.sip.connected()
    assert (results[0].status, results[0].cause) == (486, 17)


async def test_a_caller_who_gives_up_cancels_the_dialled_call(composed: Composed, start: Starter) -> None:
    async with Phone("x", "", ("127.0.0.1", 9)) as sip:
        process, results = await dialling(composed, start, sip, diverted=True)
        async with Caller(process) as caller:
            invite = await caller.invite("app", ("Diversion", "<sip:5@x>;reason=no-answer"))
            called = await sip.ringing()
            assert (called.request.get("P-Served-User") or "").endswith("sescase=orig-cdiv")
            assert called.request.get("Diversion") == "<sip:5@x>;reason=no-answer"
            caller.sip.perform(invite.cancel(caller.sip.now()))
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not called.cancelled:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
    assert results == []
    assert not process.engine.sessions


async def test_the_key_of_the_caller_ends_the_dialled_call(composed: Composed, start: Starter) -> None:
    async with Phone("x", "", ("127.0.0.1", 9)) as sip, RtpPhone() as rtp:
        process, results = await dialling(composed, start, sip, hangup_key="**")
        callee = Callee(process)
        callee.sip, callee.rtp = sip, rtp
        async with Caller(process) as caller:
            await caller.invite("app")
            await callee.is_called()
            await callee.answer()
            answered = await caller.sip.connected()
            assert answered.response.sdp is not None
            caller.rtp.talk_to(answered.response.sdp)
            rtp.say(700)
            await caller.rtp.until_hears(700)
            caller.rtp.press("**")
            await sip.expect(Ended)
            await caller.rtp.until_hears(900)
    assert results[0].ended_by == "key"


async def test_who_answers_is_asked_before_the_two_are_connected(composed: Composed, start: Starter) -> None:
    async def confirm(callee: Ivr) -> bool:
        return await callee.menu(["long-440"], {"1": True, "2": False})

    async with Phone("x", "", ("127.0.0.1", 9)) as sip, RtpPhone() as rtp:
        process, _ = await dialling(composed, start, sip, on_answer=confirm)
        callee = Callee(process)
        callee.sip, callee.rtp = sip, rtp
        async with Caller(process) as caller:
            await caller.invite("app")
            await callee.is_called()
            await callee.answer()
            await rtp.until_hears(440)
            assert not [one for one in caller.sip.received if one.start_line().startswith("SIP/2.0 200")]
            rtp.press("1")
            answered = await caller.sip.connected()
            assert answered.response.sdp is not None
            caller.rtp.talk_to(answered.response.sdp)
            caller.rtp.say(300)
            await rtp.until_hears(300)


async def test_a_phone_that_falls_silent_is_hung_up_on(composed: Composed, start: Starter) -> None:
    from media.settings import EngineSettings

    async def app(call: Ivr) -> None:
        await call.answer()
        await call.play("long-500")

    composed.apps["app"] = app
    media = EngineSettings(rtp_host="127.0.0.1", rtp_ports=media_ports("engine"), timeout_seconds=1.0)
    async with Caller(await start(media=media)) as caller:
        await caller.invite("app")
        await caller.sip.connected()
        ended = await caller.sip.expect(Ended)
        assert ended.request is not None
        assert "cause=102" in (ended.request.get("Reason") or "")


async def test_a_reload_brings_other_applications_and_leaves_running_calls_alone(
    composed: Composed, start: Starter
) -> None:
    async def app(call: Ivr) -> None:
        await call.answer()
        await call.play("long-500")

    composed.apps["app"] = app
    process = await start()
    reloads: asyncio.Queue[IvrSettings] = asyncio.Queue()
    following = asyncio.create_task(process.follow(reloads))
    async with Caller(process) as caller, Caller(process) as other:
        await caller.connect("app")
        composed.apps = {"late": app}
        reloads.put_nowait(replace(process.settings, language="cs", limits=Limits(total=7, reserved=0)))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while process.settings.language != "cs":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await other.invite("app")
        assert await other.failed() == 404
        await other.connect("late")
        await other.rtp.until_hears(500)
        before = len(caller.rtp.heard)
        await asyncio.sleep(0.2)
        assert len(caller.rtp.heard) > before
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


@pytest.mark.parametrize("reliable", [True, False])
async def test_what_the_called_party_says_before_its_answer_is_heard_by_the_caller(
    composed: Composed, start: Starter, reliable: bool
) -> None:
    async with Phone("x", "", ("127.0.0.1", 9)) as sip, RtpPhone() as rtp:
        process, results = await dialling(composed, start, sip)
        async with Caller(process) as caller:
            await caller.invite("app")
            invited = (await sip.expect(Invited)).invite
            invited.owner = sip
            assert invited.request.sdp is not None
            rtp.talk_to(invited.request.sdp)
            rtp.say(600)
            sip.perform(invited.progress(183, sip.now(), body=rtp.sdp, reliable=reliable))
            progressed = await caller.sip.expect(Progressed)
            assert progressed.response.status == 183
            assert progressed.response.sdp is not None
            caller.rtp.talk_to(progressed.response.sdp)
            await caller.rtp.until_hears(600)
            if reliable:
                pracked = await sip.expect(Requested)
                assert pracked.request.method == "PRACK"
                sip.perform(pracked.session.respond(pracked.transaction, 200, sip.now()))
            sip.perform(invited.accept(sip.now()))
            await caller.sip.connected()
            rtp.say(700)
            await caller.rtp.until_hears(700)
            sip.perform(invited.session().bye(sip.now()))
            await caller.rtp.until_hears(900)
    assert results[0].answered


async def test_an_answered_caller_hears_the_ringing(composed: Composed, start: Starter) -> None:
    async def app(call: Ivr) -> None:
        await call.answer()
        await call.dial("420273333444", account="101", caller="101")

    composed.apps["app"] = app
    async with Phone("x", "", ("127.0.0.1", 9)) as sip, Caller(await start(switch=sip.local)) as caller:
        await caller.connect("app")
        await sip.ringing()
        await caller.rtp.until_hears(425)


async def test_nobody_answers_in_time_and_the_call_is_cancelled(composed: Composed, start: Starter) -> None:
    async with Phone("x", "", ("127.0.0.1", 9)) as sip:
        process, results = await dialling(composed, start, sip, ring_seconds=0.5)
        async with Caller(process) as caller:
            await caller.invite("app")
            called = await sip.ringing()
            await caller.sip.connected()
            assert called.cancelled
    assert results[0].status == 408
