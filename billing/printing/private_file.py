# SPDX-License-Identifier: Apache-2.0
"""Files with secrets in them, for the printer."""

from __future__ import annotations

import csv
import errno
import os
import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import xlsxwriter

from billing.printing.cells import harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["check_fits", "private_table"]

MOST_SHEET_LINES: Final = 1_048_575
"""What a sheet of a workbook holds below its headings."""


def check_fits(path: Path, lines: int) -> None:
    """Raise OSError where a table of so many lines cannot have this name."""
    if path.suffix.lower() == ".xlsx" and lines > MOST_SHEET_LINES:
        raise OSError(errno.EFBIG, f"a workbook holds {MOST_SHEET_LINES} lines, these are {lines}: name a .csv file")


@contextmanager
def private_table(path: Path, columns: Sequence[str]) -> Iterator[Callable[[Sequence[object]], None]]:
    """A new table that only its owner may read, as a function that writes a line; on the disk when it is left,
    and gone where that failed.

    `NAME.xlsx` is a workbook of text cells: a spreadsheet shows long numbers whole there, with their leading zeros.
    Every other name is a CSV file. Raises FileExistsError, OSError.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with ExitStack() as where_it_fails:
        where_it_fails.callback(path.unlink, missing_ok=True)
        with os.fdopen(handle, "wb") as file:
            with (_workbook if path.suffix.lower() == ".xlsx" else _csv)(file, columns) as write:
                yield write
            file.flush()
            os.fsync(file.fileno())
        where_it_fails.pop_all()


@contextmanager
def _csv(file: BinaryIO, columns: Sequence[str]) -> Iterator[Callable[[Sequence[object]], None]]:
    writer = csv.writer(_Encoder(file))
    writer.writerow(columns)
    yield lambda line: writer.writerow([harmless(value) for value in line])


class _Encoder:
    """What csv writes, as UTF-8."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())


@contextmanager
def _workbook(file: BinaryIO, columns: Sequence[str]) -> Iterator[Callable[[Sequence[object]], None]]:
    with tempfile.TemporaryDirectory(prefix="softswitch-") as private:  # mode 0700: lines wait there
        book = xlsxwriter.Workbook(file, {"constant_memory": True, "tmpdir": private})
        sheet = book.add_worksheet()
        text = book.add_format({"num_format": "@"})
        sheet.set_column(0, len(columns) - 1, 20, text)
        sheet.freeze_panes(1, 0)
        place = 0

        def write(line: Sequence[object]) -> None:
            nonlocal place
            for column, value in enumerate(line):
                if value is not None and value != "":
                    sheet.write_string(place, column, str(value), text)
            place += 1

        write(columns)
        yield write
        book.close()
