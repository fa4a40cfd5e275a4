# SPDX-License-Identifier: Apache-2.0
"""The phone's own process: pjsua2 on one side, JSON lines on the other.

PJSIP keeps its state in global variables and wants to be called by one thread, so a phone is a process. Orders come in
on standard input, one JSON object a line: the first one holds the settings, the others `{"id": 1, "do": "call", ...}`.
What happens goes out on standard output: `{"event": "done", "id": 1}`, `{"event": "state", "call": 0, ...}`. The phone
ends by the order "quit", or when its standard input does.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import pjsua2 as pj
except ImportError as missing:
    sys.exit(f"pjsua2 cannot be imported: {missing}")

CLOCK_RATE: Final = 16000
POLL_MILLISECONDS: Final = 10
INVALID_OPERATION: Final = 70013
"""PJ_EINVALIDOP, which the bindings do not name."""
PATIENCE_SECONDS: Final = 2.0
FAREWELL_SECONDS: Final = 2.0
"""How long the answers to the last BYE and REGISTER are waited for."""
TONE_SECONDS: Final = 60
VOLUME: Final = 12000
EVENT_MAP: Final = re.compile(r"a=rtpmap:(\d+) telephone-event/")
INVITE_STATES: Final = {
    pj.PJSIP_INV_STATE_CALLING: "calling",
    pj.PJSIP_INV_STATE_INCOMING: "incoming",
    pj.PJSIP_INV_STATE_EARLY: "early",
    pj.PJSIP_INV_STATE_CONNECTING: "connecting",
    pj.PJSIP_INV_STATE_CONFIRMED: "confirmed",
    pj.PJSIP_INV_STATE_DISCONNECTED: "ended",
}
MEDIA_STATES: Final = {
    pj.PJSUA_CALL_MEDIA_NONE: "none",
    pj.PJSUA_CALL_MEDIA_ACTIVE: "active",
    pj.PJSUA_CALL_MEDIA_LOCAL_HOLD: "held here",
    pj.PJSUA_CALL_MEDIA_REMOTE_HOLD: "held there",
    pj.PJSUA_CALL_MEDIA_ERROR: "failed",
}
LOGGED_MESSAGE: Final = re.compile(
    r"(RX|TX) \d+ bytes .*? (?:from|to) (?:UDP|TCP) (\S+):\n(.*)\n--end msg--", re.DOTALL
)


class Output:
    """Standard output, kept clear of what the library prints there."""

    def __init__(self) -> None:
        self._descriptor = os.dup(1)
        os.dup2(2, 1)

    def say(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, "at": time.monotonic(), **fields}) + "\n"
        try:
            os.write(self._descriptor, line.encode())
        except BrokenPipeError:
            sys.exit(0)


class Log(pj.LogWriter):  # type: ignore[misc]
    """The library's log goes to standard error; SIP messages in it become events."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def write(self, entry: Any) -> None:
        text = str(entry.msg)
        found = LOGGED_MESSAGE.search(text)
        if found:
            way, peer, message = found.groups()
            self._output.say("message", sent=way == "TX", peer=peer, text=message)
        sys.stderr.write(text if text.endswith("\n") else text + "\n")


class WorkerCall(pj.Call):  # type: ignore[misc]
    """A call as PJSIP sees it."""

    def __init__(self, worker: Worker, identity: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(worker.account, identity)
        self._worker = worker
        self._recorder: Any = None
        self._tone: Any = None
        self._sound: Any = None

    def onCallState(self, prm: Any) -> None:  # noqa: N802
        info = self.getInfo()
        state = INVITE_STATES.get(info.state, "none")
        self._worker.say("state", call=info.id, state=state, code=info.lastStatusCode, reason=info.lastReason)
        if state == "ended":
            self._tone = self._recorder = self._sound = None
            self._worker.forget(info.id)

    def onCallSdpCreated(self, prm: Any) -> None:  # noqa: N802
        if not self._worker.events:
            prm.sdp.wholeSdp = without_events(prm.sdp.wholeSdp)

    def onCallMediaState(self, prm: Any) -> None:  # noqa: N802
        info = self.getInfo()
        for media in info.media:
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            status = MEDIA_STATES.get(media.status, "none")
            codec = self.getStreamInfo(media.index).codecName if media.status != pj.PJSUA_CALL_MEDIA_NONE else ""
            directions = (bool(media.dir & pj.PJMEDIA_DIR_ENCODING), bool(media.dir & pj.PJMEDIA_DIR_DECODING))
            if media.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
                self._connect(info.id, self.getAudioMedia(media.index))
            self._worker.say(
                "media",
                call=info.id,
                status=status,
                codec=codec,
                sends=directions[0],
                receives=directions[1],
                recording=str(self._worker.recording(info.id)),
            )
            break

    def onDtmfDigit(self, prm: Any) -> None:  # noqa: N802
        way = "info" if prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO else "rfc4733"
        self._worker.say("digit", call=self.getId(), digit=prm.digit, way=way)

    def _connect(self, identity: int, sound: Any) -> None:
        self._sound = sound
        if self._recorder is None:
            self._recorder = pj.AudioMediaRecorder()
            self._recorder.createRecorder(str(self._worker.recording(identity)), 0, 0, pj.PJMEDIA_FILE_WRITE_PCM)
        sound.startTransmit(self._recorder)
        if self._tone is not None:
            self._tone.startTransmit(sound)

    def _silent_tone(self) -> Any:
        if self._tone is None:
            self._tone = pj.ToneGenerator()
            self._tone.createToneGenerator(CLOCK_RATE, 1)
            if self._sound is not None:
                self._tone.startTransmit(self._sound)
        self._tone.stop()
        return self._tone

    def play_digits(self, digits: str) -> None:
        """The tones of keys, once."""
        tones = pj.ToneDigitVector()
        for digit in digits:
            tone = pj.ToneDigit()
            tone.digit, tone.on_msec, tone.off_msec, tone.volume = digit, 100, 60, VOLUME
            tones.append(tone)
        self._silent_tone().playDigits(tones)

    def play(self, hertz: int) -> None:
        """A tone until the next order; 0: silence."""
        generator = self._silent_tone()
        if hertz:
            tone = pj.ToneDesc()
            tone.freq1, tone.freq2, tone.on_msec, tone.off_msec, tone.volume = hertz, 0, TONE_SECONDS * 500, 0, VOLUME
            generator.play(pj.ToneDescVector([tone, tone]), True)


class WorkerAccount(pj.Account):  # type: ignore[misc]
    """The account on the phone."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._worker = worker

    def onRegState(self, prm: Any) -> None:  # noqa: N802
        active = self.getInfo().regIsActive
        self._worker.say("registration", code=prm.code, reason=prm.reason, active=active, expires=prm.expiration)

    def onMwiInfo(self, prm: Any) -> None:  # noqa: N802
        whole = str(prm.rdata.wholeMsg).replace("\r\n", "\n")
        self._worker.say("lamp", text=whole.partition("\n\n")[2])

    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
        self._worker.incoming(prm.callId)


def without_events(description: str) -> str:
    """A session description that knows no telephone events."""
    kinds = EVENT_MAP.findall(description)
    kept = [
        " ".join(word for word in line.split(" ") if word not in kinds) if line.startswith("m=audio") else line
        for line in description.splitlines()
        if not any(line.startswith((f"a=rtpmap:{kind} ", f"a=fmtp:{kind} ")) for kind in kinds)
    ]
    return "\r\n".join(kept) + "\r\n"


class Worker:
    """The phone: its endpoint, its account, its calls."""

    def __init__(self, settings: dict[str, Any], output: Output) -> None:
        self.settings = settings
        self.say = output.say
        self.calls: dict[int, WorkerCall] = {}
        self._serial = 0
        self._recordings: dict[int, Path] = {}
        self._ended: list[WorkerCall] = []
        self._is_running = True
        self._log = Log(output)
        self._endpoint = pj.Endpoint()
        self._endpoint.libCreate()
        self._endpoint.libInit(self._endpoint_config())
        transport = self._open_transport()
        self._endpoint.audDevManager().setNullDev()
        self._endpoint.libStart()
        self.set_codecs(settings["codecs"])
        self.events = bool(settings["events"])
        self.account = WorkerAccount(self)
        self.account.create(self._account_config(transport))
        address = self._endpoint.transportGetInfo(transport).localName
        self.say("ready", address=address, version=self._endpoint.libVersion().full)

    # setting up -------------------------------------------------------------------------------------------------
    def _endpoint_config(self) -> Any:
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.userAgent = "Softswitch phone (PJSUA)"
        config.logConfig.level = config.logConfig.consoleLevel = 4
        config.logConfig.decor = pj.PJ_LOG_HAS_SENDER | pj.PJ_LOG_HAS_TIME | pj.PJ_LOG_HAS_MICRO_SEC
        config.logConfig.writer = self._log
        config.medConfig.clockRate = config.medConfig.sndClockRate = CLOCK_RATE
        config.medConfig.noVad = True
        config.medConfig.ecTailLen = 0
        config.medConfig.sndAutoCloseTime = -1
        return config

    def _open_transport(self) -> int:
        config = pj.TransportConfig()
        config.port = self.settings["port"]
        config.boundAddress = self.settings["host"]
        kind = pj.PJSIP_TRANSPORT_TCP if self.settings["transport"] == "tcp" else pj.PJSIP_TRANSPORT_UDP
        return int(self._endpoint.transportCreate(kind, config))

    def _account_config(self, transport: int) -> Any:
        said = self.settings
        config = pj.AccountConfig()
        display = f'"{said["display"]}" ' if said["display"] else ""
        suffix = ";transport=tcp" if said["transport"] == "tcp" else ""
        config.idUri = f"{display}<sip:{said['number']}@{said['domain']}>"
        config.regConfig.registrarUri = f"sip:{said['domain']}"
        config.regConfig.registerOnAdd = False
        config.regConfig.timeoutSec = said["expires"]
        config.regConfig.retryIntervalSec = 0
        config.sipConfig.proxies.append(f"sip:{said['proxy']};lr{suffix}")
        config.sipConfig.transportId = transport
        if said["password"]:
            config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", said["number"], 0, said["password"]))
        if said["said_contact"]:
            config.sipConfig.contactForced = said["said_contact"]
            config.natConfig.contactRewriteUse = config.natConfig.viaRewriteUse = 0
        config.mwiConfig.enabled = said["subscribes"]
        config.mwiConfig.expirationSec = said["expires"]
        config.callConfig.prackUse = pj.PJSUA_100REL_OPTIONAL if said["reliable"] else pj.PJSUA_100REL_NOT_USED
        media = config.mediaConfig.transportConfig
        media.boundAddress, media.port = said["host"], 0
        media.publicAddress = said["said_media_host"] or said["host"]
        config.mediaConfig.streamKaEnabled = False
        config.mediaConfig.lockCodecEnabled = False
        return config

    def set_codecs(self, names: list[str]) -> None:
        """Only these are offered and taken from now on, best first."""
        for codec in self._endpoint.codecEnum2():
            name = codec.codecId.partition("/")[0]
            rank = names.index(name) if name in names else None
            self._endpoint.codecSetPriority(codec.codecId, 0 if rank is None else 250 - rank)

    # calls ------------------------------------------------------------------------------------------------------
    def recording(self, identity: int) -> Path:
        """Where what is heard in a call goes."""
        return self._recordings[identity]

    def _remember(self, identity: int, call: WorkerCall) -> None:
        self.calls[identity] = call
        self._serial += 1
        self._recordings[identity] = Path(self.settings["directory"]) / f"heard-{self._serial}.wav"

    def forget(self, identity: int) -> None:
        """The call has ended; the object lives until the library has returned from telling so."""
        call = self.calls.pop(identity, None)
        if call is not None:
            self._ended.append(call)

    def incoming(self, identity: int) -> None:
        call = WorkerCall(self, identity)
        self._remember(identity, call)
        info = call.getInfo()
        self.say("incoming", call=identity, caller=info.remoteUri, dialled=info.localUri)
        if self.settings["rings"]:
            self._answer(call, 180)

    @staticmethod
    def _answer(call: WorkerCall, code: int) -> None:
        prm = pj.CallOpParam(True)
        prm.statusCode = code
        call.answer(prm)

    # orders -----------------------------------------------------------------------------------------------------
    def obey(self, order: dict[str, Any]) -> None:
        """Carries one order out and says so."""
        identity = order.pop("id")
        try:
            result = self._persist(getattr(self, f"do_{order.pop('do')}"), order)
        except pj.Error as error:
            self.say("failed", id=identity, text=error.info(True))
        except (AttributeError, KeyError, TypeError) as error:
            self.say("failed", id=identity, text=repr(error))
        else:
            self.say("done", id=identity, result=result)

    def _persist(self, action: Callable[..., Any], fields: dict[str, Any]) -> Any:
        """Tries again for a while: during a re-INVITE of the other side the library refuses to begin one."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return action(**fields)
            except pj.Error as error:
                if error.status != INVALID_OPERATION or time.monotonic() > deadline:
                    raise
            self._endpoint.libHandleEvents(POLL_MILLISECONDS)

    def do_register(self, renew: bool = True) -> None:
        self.account.setRegistration(renew)

    def do_call(self, uri: str, late_offer: bool = False, headers: dict[str, str] | None = None) -> int:
        call = WorkerCall(self)
        prm = pj.CallOpParam(True)
        if late_offer:
            prm.opt.flag |= pj.PJSUA_CALL_NO_SDP_OFFER
        for name, value in (headers or {}).items():
            header = pj.SipHeader()
            header.hName, header.hValue = name, value
            prm.txOption.headers.append(header)
        call.makeCall(uri, prm)
        identity = int(call.getId())
        self._remember(identity, call)
        return identity

    def do_answer(self, call: int, code: int = 200) -> None:
        self._answer(self.calls[call], code)

    def do_hold(self, call: int) -> None:
        self.calls[call].setHold(pj.CallOpParam(True))

    def do_resume(self, call: int) -> None:
        prm = pj.CallOpParam(True)
        prm.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.calls[call].reinvite(prm)

    def do_transfer(self, call: int, uri: str) -> None:
        self.calls[call].xfer(uri, pj.CallOpParam(True))

    def do_transfer_to(self, call: int, other: int) -> None:
        self.calls[call].xferReplaces(self.calls[other], pj.CallOpParam(True))

    def do_change(self, call: int, codecs: list[str], method: str = "INVITE", late_offer: bool = False) -> None:
        self.set_codecs(codecs)
        prm = pj.CallOpParam(True)
        if late_offer:
            prm.opt.flag |= pj.PJSUA_CALL_NO_SDP_OFFER
        target = self.calls[call]
        (target.update if method == "UPDATE" else target.reinvite)(prm)

    def do_digits(self, call: int, digits: str, way: str = "rfc4733") -> None:
        if way == "inband":
            self.calls[call].play_digits(digits)
            return
        prm = pj.CallSendDtmfParam()
        prm.digits = digits
        prm.duration = 100
        prm.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if way == "info" else pj.PJSUA_DTMF_METHOD_RFC2833
        self.calls[call].sendDtmf(prm)

    def do_play(self, call: int, hertz: int) -> None:
        self.calls[call].play(hertz)

    def do_hang_up(self, call: int, code: int = 0) -> None:
        prm = pj.CallOpParam(True)
        prm.statusCode = code
        self.calls[call].hangup(prm)

    def do_packets(self, call: int) -> dict[str, int]:
        """RTP packets so far."""
        rtcp = self.calls[call].getStreamStat(0).rtcp
        return {"sent": rtcp.txStat.pkt, "received": rtcp.rxStat.pkt, "lost": rtcp.rxStat.loss}

    def do_quit(self) -> None:
        self._is_running = False

    def run(self) -> None:
        """Serves orders and the network until told to quit."""
        reader = selectors.DefaultSelector()
        reader.register(0, selectors.EVENT_READ)
        rest = b""
        while self._is_running:
            self._endpoint.libHandleEvents(POLL_MILLISECONDS)
            self._ended.clear()
            if not reader.select(0):
                continue
            data = os.read(0, 65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self.obey(json.loads(line))

    def close(self) -> None:
        """Hangs up and unregisters; the library's own end would wait a second for nothing."""
        self._endpoint.hangupAllCalls()
        if self.account.getInfo().regIsActive:
            self.account.setRegistration(False)
        deadline = time.monotonic() + FAREWELL_SECONDS
        while (self.calls or self.account.getInfo().regIsActive) and time.monotonic() < deadline:
            self._endpoint.libHandleEvents(POLL_MILLISECONDS)


def main() -> None:
    output = Output()
    with os.fdopen(os.dup(0), "rb", buffering=0) as orders:
        worker = Worker(json.loads(orders.readline()), output)
    try:
        worker.run()
    finally:
        worker.close()
    output.say("ended")
    sys.stderr.flush()
    os._exit(0)  # the library's objects do not survive the interpreter's end in every order


if __name__ == "__main__":
    main()
