# SPDX-License-Identifier: Apache-2.0
"""Opus (RFC 6716) by libsndfile, which reads and writes it in Ogg (RFC 3533, RFC 7845) only.

So packets are taken out of Ogg pages where we encode, and put into them where we decode. Decoding begins anew with each
batch: the packets before it are decoded once more, for the decoder to find its way (RFC 7845 section 4.6), and that
sound is left out. In place of a lost packet stands one without data, which the decoder conceals (RFC 6716 section
3.2.1).
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from media.sound.resample import Samples

__all__ = ["SILENCE", "OpusDecoder", "OpusEncoder", "concealed", "samples_in"]

CLOCK_RATE: Final = 48000
DECODED_RATE: Final = 16000
ENCODED_RATE: Final = 48000
PREROLL: Final = 6
"""Packets that are decoded again; at 20 ms each more than the 80 ms of RFC 7845 section 4.6."""
SILENCE: Final = b"\xf8\xff\xfe"
"""20 ms of digital silence: CELT, full band, mono."""
PAGE_HEADER: Final = struct.Struct("<4sBBqIIIB")
CHECKSUM_AT: Final = 22
LATENCY_COMMAND: Final = 0x1302
"""SFC_SET_OGG_PAGE_LATENCY_MS of libsndfile."""
LATENCY_MILLISECONDS: Final = 50.0
"""The least that libsndfile takes: a page then has three packets."""
LONGEST: Final = 5760
"""120 ms."""
PACKETS_IN_PAGE: Final = 20


def _frame_samples(toc: int) -> int:
    """Samples at 48 kHz of one frame, by the configuration number (RFC 6716 table 2)."""
    configuration = toc >> 3
    if configuration < 12:
        return (480, 960, 1920, 2880)[configuration & 3]
    if configuration < 16:
        return (480, 960)[configuration & 1]
    return (120, 240, 480, 960)[configuration & 3]


def samples_in(payload: bytes) -> int:
    """The duration of a packet in samples at 48 kHz; 0 where it is malformed (RFC 6716 section 3.2)."""
    if not payload:
        return 0
    code = payload[0] & 3
    if code == 3 and len(payload) < 2:
        return 0
    frames = (1, 2, 2, payload[1] & 63 if len(payload) > 1 else 0)[code]
    samples = frames * _frame_samples(payload[0])
    return samples if samples <= LONGEST else 0


def concealed(payload: bytes) -> bytes:
    """What stands for a lost packet after `payload`: its first frame's configuration without data."""
    return bytes([payload[0] & 0xFC])


class OpusEncoder:
    """A stream of packets of 20 ms from samples at 48 kHz. Packets come out in threes, some 60 ms late."""

    def __init__(self) -> None:
        self._written = Written()
        self._file = soundfile.SoundFile(
            self._written, "w", samplerate=ENCODED_RATE, channels=1, format="OGG", subtype="OPUS"
        )
        latency = soundfile._ffi.new("double *", LATENCY_MILLISECONDS)
        soundfile._snd.sf_command(self._file._file, LATENCY_COMMAND, latency, 8)
        self._pages = PageReader()

    def encode(self, samples: Samples) -> list[bytes]:
        """The packets that are ready."""
        self._file.write(samples)
        return self._pages.packets(self._written.take())

    def finish(self) -> list[bytes]:
        """The last packets. A shorter one at the end, of what libsndfile adds to the sound, is left out."""
        self._file.close()
        packets = self._pages.packets(self._written.take())
        return [packet for packet in packets if samples_in(packet) == CLOCK_RATE // 50]

    def close(self) -> None:
        self._file.close()


class Written:
    """A file that is only written to, and emptied as it grows."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._position = 0

    def write(self, octets: bytes) -> int:
        self._octets += octets
        self._position += len(octets)
        return len(octets)

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = 0) -> int:
        """Ogg is written from front to back; libsndfile only asks for the length."""
        del position, whence
        return self._position

    def take(self) -> bytes:
        """What was written since the last time."""
        octets = bytes(self._octets)
        self._octets.clear()
        return octets


class PageReader:
    """Takes the sound packets out of the pages of one stream, as they are written."""

    def __init__(self) -> None:
        self._octets = b""
        self._begun = b""
        self._headers = 2
        """Packets to leave out: the identification and the comments."""

    def packets(self, octets: bytes) -> list[bytes]:
        """What has been completed by these octets."""
        self._octets += octets
        found: list[bytes] = []
        while len(self._octets) >= PAGE_HEADER.size:
            count = self._octets[PAGE_HEADER.size - 1]
            lacing = self._octets[PAGE_HEADER.size : PAGE_HEADER.size + count]
            start = PAGE_HEADER.size + count
            if len(lacing) < count or len(self._octets) < start + sum(lacing):
                break
            for length in lacing:
                self._begun += self._octets[start : start + length]
                start += length
                if length < 255:
                    found.append(self._begun)
                    self._begun = b""
            self._octets = self._octets[start:]
        skipped = min(self._headers, len(found))
        self._headers -= skipped
        return found[skipped:]


class OpusDecoder:
    """Samples at 16 kHz from the packets of a stream."""

    def __init__(self) -> None:
        self._before: list[bytes] = []

    def decode(self, payloads: Sequence[bytes]) -> Samples:
        """The sound of the next packets, all of them well formed (`samples_in`); silence where they make no sense."""
        ticks = sum(map(samples_in, payloads))
        wanted = ticks * DECODED_RATE // CLOCK_RATE
        preroll = sum(map(samples_in, self._before)) * DECODED_RATE // CLOCK_RATE
        stream = _ogg([*self._before, *payloads])
        self._before = [*self._before, *payloads][-PREROLL:]
        try:
            samples, _ = soundfile.read(io.BytesIO(stream), dtype="int16")
        except (soundfile.SoundFileError, RuntimeError):
            samples = np.zeros(0, dtype=np.int16)
        result: Samples = samples[preroll : preroll + wanted]
        return np.pad(result, (0, wanted - len(result))) if len(result) < wanted else result


def _ogg(payloads: Sequence[bytes]) -> bytes:
    """An Ogg Opus file of these packets, to be decoded at 16 kHz and from the first sample on."""
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 0, DECODED_RATE, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    pages = [_page(2, 0, 0, [head]), _page(0, 0, 1, [tags])]
    ticks = 0
    for start in range(0, len(payloads), PACKETS_IN_PAGE):
        packets = payloads[start : start + PACKETS_IN_PAGE]
        ticks += sum(map(samples_in, packets))
        is_last = start + PACKETS_IN_PAGE >= len(payloads)
        pages.append(_page(4 if is_last else 0, ticks, len(pages), packets))
    return b"".join(pages)


def _page(flags: int, position: int, number: int, packets: Sequence[bytes]) -> bytes:
    """A page (RFC 3533 section 6). `position` counts samples at 48 kHz up to its end."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    page = PAGE_HEADER.pack(b"OggS", 0, flags, position, 1, number, 0, len(lacing)) + lacing + b"".join(packets)
    return page[:CHECKSUM_AT] + struct.pack("<I", _checksum(page)) + page[CHECKSUM_AT + 4 :]


def _checksum(page: bytes) -> int:
    """CRC-32 of polynomial 0x04c11db7, neither reflected nor inverted (RFC 3533 section 6).

    zlib's is both, so the bits of every octet are turned round before and after it.
    """
    crc = zlib.crc32(page.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(REVERSED), "big")


REVERSED: Final = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
"""The octets with their bits in reverse order."""
