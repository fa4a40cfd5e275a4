# SPDX-License-Identifier: Apache-2.0
"""From the configuration to what each process is told at its start; the composition root's only translation."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from billing.customers.names import Reserved
from billing_client.mailboxes.words import DepositPace
from billing_client.rules.numbering import as_address
from ivr.apps.voicemail.settings import VoicemailSettings
from ivr.post.handover import MailSettings
from ivr.settings import IvrSettings
from media.settings import EngineSettings, MediaSettings
from softswitch.adapters import open_sms_gateway
from softswitch.config.fields import shared
from softswitch.processes.runfiles import media_secret, nonce_secret
from softswitch.processes.store import store_dsn
from softswitch.vouchers import keys_file, voucher_settings
from switch.explain.explain import Conditions
from switch.routing.plan import Applications
from switch.settings import FloodSettings, Limits, RelaySettings, SwitchSettings
from switch.sip.message.flow import Listen
from switch.sip.message.host import bracketed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from softswitch.config import Configuration, Endpoint

__all__ = [
    "CarrierSettings",
    "carrier_settings",
    "explain_conditions",
    "ivr_settings",
    "mail_settings",
    "media_settings",
    "reachable_at",
    "recordings",
    "switch_settings",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierSettings:
    """Where the sample carrier listens: a UDP address for each gateway that it plays."""

    listen: tuple[tuple[str, int], ...]


def mail_settings(configuration: Configuration) -> MailSettings | None:
    """How e-mails that tell of messages are sent; None: they are not."""
    email = configuration.voicemail.email
    if email.smtp is None or email.sender is None:
        return None
    return MailSettings(
        sender=email.sender,
        host=email.smtp.host,
        port=email.smtp.port,
        user=email.user,
        password=email.password,
        starttls=email.starttls,
        language=configuration.ivr.language,
    )


def switch_settings(configuration: Configuration) -> SwitchSettings:
    """How the switch process runs; what has the same name in the file is taken as it is."""
    sip, security, ivr = configuration.sip, configuration.security, configuration.ivr
    metrics = configuration.metrics.switch
    taken = shared(security, SwitchSettings) | shared(sip, SwitchSettings) | shared(ivr, SwitchSettings)
    return SwitchSettings(
        **taken
        | {
            "node": configuration.node,
            "domains": (*configuration.domains, *_own_addresses(configuration)),
            "listen": tuple(_listen(endpoint) for endpoint in sip.listen),
            "store_dsn": store_dsn(configuration),
            "nonce_secret": nonce_secret(configuration),
            "own_addresses": _machine_addresses(),
            "mailbox_numbers": tuple(_mailbox_numbers(configuration)),
            "flood": FloodSettings(**shared(security.flood, FloodSettings), drop_user_agents=security.drop_user_agents),
            "caller_id": configuration.caller_id,
            "routing": configuration.routing,
            "credit": configuration.credit,
            "trace": configuration.trace,
            "relay": RelaySettings(
                addresses=tuple(_relay_addresses(configuration)), secrets=_relay_secrets(configuration)
            ),
            "number_price": security.number_max_price,
            "numbers": configuration.numbers,
            "media_server": _media_server(configuration),
            "media_secret": media_secret(configuration),
            "application_limits": _application_limits(configuration),
            "http": _listen(metrics) if metrics else None,
            "questions": questions_socket(configuration),
            "keys_file": keys_file(configuration),
            "journal_dir": configuration.data_dir / "journal",
        }
    )


def _application_limits(configuration: Configuration) -> Limits:
    """How many calls the media server has at a time, and for whom."""
    ivr = configuration.ivr
    return Limits(
        per_account=ivr.max_calls_per_account,
        per_number=ivr.max_calls_per_number,
        per_address=ivr.max_calls_per_address,
        total=ivr.max_calls,
        reserved=ivr.max_calls * ivr.deposit_reserve_percent // 100,
    )


def _mailbox_numbers(configuration: Configuration) -> Iterator[str]:
    """What callers dial for voicemail; *97 and *98 are in the fingers of users of other systems."""
    yield from ("*97", "*98")
    for number, application in configuration.ivr.access_numbers.items():
        if application.startswith("voicemail"):
            yield number


def questions_socket(configuration: Configuration) -> Path:
    """Where the switch answers `softswitch explain`."""
    return configuration.data_dir / "run" / "questions.sock"


def _media_server(configuration: Configuration) -> tuple[str, int]:
    """Where the media server is reached, and calls from."""
    server = configuration.media.server.listen
    return reachable_at(server.host)[-1], server.port


def reserved_names(configuration: Configuration) -> Reserved:
    """What is dialled for something else than an account, and the addresses that are ours."""
    ivr = configuration.ivr
    numbers = {"anonymous": "what callers are called who withhold their number"}
    numbers |= {number: f"an access number (ivr.access_numbers: {app})" for number, app in ivr.access_numbers.items()}
    numbers |= dict.fromkeys(ivr.feature_codes, "a star code (ivr.feature_codes)")
    numbers |= dict.fromkeys(configuration.sip.emergency_numbers, "an emergency number (sip.emergency_numbers)")
    beginnings = {
        number.removesuffix("%"): f"access number {number.removesuffix('%')}, after which a destination is dialled"
        for number in ivr.access_numbers
        if number.endswith("%")
    }
    ours = [*_own_addresses(configuration), *reachable_at(configuration.media.server.listen.host)]
    addresses = {address: "our own address" for address in ours if as_address(address) is not None}
    return Reserved(numbers, beginnings, addresses)


def explain_conditions(configuration: Configuration) -> Conditions:
    """What calls depend on, for a call that is not made."""
    applications = Applications(configuration.ivr.access_numbers, configuration.ivr.feature_codes, is_served=True)
    return Conditions(
        credit=configuration.credit,
        emergency=configuration.sip.emergency_numbers,
        emergency_services=configuration.sip.emergency_services,
        domains=(*configuration.domains, *_own_addresses(configuration)),
        applications=applications,
        ring_seconds=configuration.sip.ring_seconds,
        number_price=configuration.security.number_max_price,
        caller_id=configuration.caller_id,
        numbers=configuration.numbers,
    )


def media_settings(configuration: Configuration) -> MediaSettings:
    """How the relay process runs."""
    media = configuration.media
    return MediaSettings(
        **shared(media, MediaSettings)
        | {
            "ng": (media.control.host, media.control.port),
            "secret": media_secret(configuration),
            "rtp_host": media.listen,
            "rtp_host_ipv6": media.listen_ipv6,
        }
    )


def engine_settings(configuration: Configuration) -> EngineSettings:
    """How the sessions of the media server run."""
    media = configuration.media
    return EngineSettings(
        **shared(media, EngineSettings)
        | {
            "rtp_host": media.listen,
            "rtp_host_ipv6": media.listen_ipv6,
            "relay_hosts": tuple(host for host, _ in _relay_addresses(configuration)),
        }
    )


def ivr_settings(configuration: Configuration) -> IvrSettings:
    """How the media server process runs; what has the same name in the file is taken as it is."""
    voicemail, sip, sms = configuration.voicemail, configuration.sip, configuration.ivr.sms
    logins, metrics = configuration.security.login_attempts, configuration.metrics.ivr
    return IvrSettings(
        **shared(configuration.ivr, IvrSettings)
        | {
            "node": configuration.node,
            "listen": _listen(configuration.media.server.listen),
            "switch": _switch_address(configuration),
            "peers": tuple(_peers(configuration)),
            "secret": media_secret(configuration),
            "domain": configuration.domains[0],
            "store_dsn": store_dsn(configuration),
            "data_dir": configuration.data_dir,
            "limits": _application_limits(configuration),
            "drain_seconds": sip.drain_seconds,
            "session_expires": sip.session_timer.expires,
            "session_min_se": sip.session_timer.min_se,
            "media": engine_settings(configuration),
            "http": _listen(metrics) if metrics else None,
            "voicemail": VoicemailSettings(**shared(voicemail, VoicemailSettings) | {"max_logins": logins.per_call}),
            "max_messages": voicemail.max_messages,
            "pace": _pace(configuration),
            "mail": mail_settings(configuration),
            "open_sms": None if sms is None else lambda: open_sms_gateway(sms),
            "purge_hours": float(voicemail.purge_hours),
            "logins": logins,
            "vouchers": voucher_settings(configuration),
        }
    )


def _pace(configuration: Configuration) -> DepositPace:
    """How much callers may leave in one mailbox."""
    voicemail = configuration.voicemail
    return DepositPace(
        from_one_caller=voicemail.max_from_one_caller,
        messages_an_hour=voicemail.max_messages_an_hour,
        emails_an_hour=voicemail.max_emails_an_hour,
    )


def recordings(configuration: Configuration) -> Path:
    """Where recordings grow, and messages wait for the store."""
    return IvrSettings(data_dir=configuration.data_dir).recordings


def _switch_address(configuration: Configuration) -> tuple[str, int]:
    """The switch's first UDP listener, as this machine reaches it."""
    first = next((one for one in configuration.sip.listen if one.transport == "udp"), configuration.sip.listen[0])
    if not ipaddress.ip_address(first.host).is_unspecified:
        return first.host, first.port
    server = ipaddress.ip_address(configuration.media.server.listen.host)
    if server.is_loopback:
        return str(server), first.port
    return reachable_at(first.host)[0], first.port


def _peers(configuration: Configuration) -> Iterator[str]:
    """The addresses that the switch's own requests come from."""
    hosts = [endpoint.host for endpoint in configuration.sip.listen]
    yield from dict.fromkeys(address for host in hosts for address in reachable_at(host))


def carrier_settings(configuration: Configuration) -> CarrierSettings:
    return CarrierSettings(listen=tuple((one.host, one.port) for one in configuration.demo.carriers))


def reachable_at(host: str) -> tuple[str, ...]:
    """The addresses that other machines (or this one, last) reach a listening host at."""
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return (host,)
    found = map(ipaddress.ip_address, _machine_addresses())
    usable = [one for one in found if one.version == address.version and not one.is_link_local]
    return tuple(str(candidate) for candidate in sorted(usable, key=lambda candidate: candidate.is_loopback))


def _machine_addresses() -> tuple[str, ...]:
    """Every address of this machine, without the zone of those that have one."""
    families = (socket.AF_INET, socket.AF_INET6)
    return tuple(
        entry.address.partition("%")[0]
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in families
    )


def _own_addresses(configuration: Configuration) -> Iterator[str]:
    """Our addresses are AOR hosts too: many a phone knows no domain but the address it was pointed at."""
    hosts = [endpoint.host for endpoint in configuration.sip.listen]
    found = [address for host in hosts for address in reachable_at(host)]
    advertised = [configuration.sip.advertise] if configuration.sip.advertise else []
    for address in dict.fromkeys([*advertised, *found]):
        if address not in configuration.domains:
            yield bracketed(address)
    if "127.0.0.1" in found and "localhost" not in configuration.domains:
        yield "localhost"


def _relay_addresses(configuration: Configuration) -> Iterator[tuple[str, int]]:
    media = configuration.media
    for endpoint in (media.control,) if media.relay is None else media.relay:
        yield endpoint.host, endpoint.port


def _relay_secrets(configuration: Configuration) -> dict[tuple[str, int], bytes]:
    """The secret of each relay of ours; rtpengine has none."""
    media = configuration.media
    relays = (media.control,) if media.relay is None else media.relay
    ours = [one for one in relays if media.relay is None or one.transport == "softswitch"]
    return {(one.host, one.port): media_secret(configuration) for one in ours}


def _listen(endpoint: Endpoint) -> Listen:
    return Listen(endpoint.transport, endpoint.host, endpoint.port)
