"""The archive that a spreadsheet is: its kind, and that all of it can be read within bounds."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Literal

from tasks.orderfile.text import MAX_BYTES, OrderFileError, read_fully

ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAX_PACKED = 64 * 1024 * 1024
CONTENT, STYLES = "content.xml", "xl/styles.xml"

_MANIFEST = "META-INF/manifest.xml"
_BLOCK = 65_536
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_LOCKED = "is locked with a password: save a copy without one"


class Archive:
    """The XML of one spreadsheet, read once and found whole. Raises OrderFileError for what is none."""

    def __init__(self, source: BinaryIO, head: bytes, name: str) -> None:
        self.name = name
        if head.startswith(OLE):
            raise self.error("is locked with a password, or an old .xls: save it as .xlsx without a password")
        self._bytes = head + read_fully(source, MAX_PACKED)
        if len(self._bytes) > MAX_PACKED:
            raise self.error(f"is larger than {MAX_PACKED // 1024 // 1024} MiB: split it into several files")
        try:
            self._zip = zipfile.ZipFile(self.opened())
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
            raise self.damaged() from exc
        self._check()
        self.kind: Literal["xlsx", "ods"] = self._kind()

    def opened(self) -> BinaryIO:
        """The file, from its beginning."""
        return io.BytesIO(self._bytes)

    def error(self, message: str) -> OrderFileError:
        """An error that names the file."""
        return OrderFileError(f"{self.name}: {message}")

    def damaged(self) -> OrderFileError:
        """The error for a file that no program can be sure to read right."""
        return self.error("is damaged, or no spreadsheet: open it, and save it as .xlsx or .ods again")

    def has(self, member: str) -> bool:
        """Whether there is such a file in the archive."""
        return member in self._zip.namelist()

    def blocks(self, member: str) -> Iterator[bytes]:
        """The bytes of one file of the archive. Raises OrderFileError where there is none."""
        try:
            with self._zip.open(member) as file:
                while block := file.read(_BLOCK):
                    yield block
        except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as exc:
            raise self.damaged() from exc

    def small(self, member: str, limit: int = 1024 * 1024) -> bytes:
        """All bytes of a file that is never large."""
        whole = b"".join(self.blocks(member))
        if len(whole) > limit:
            raise self.damaged()
        return whole

    def _check(self) -> None:
        """Read all that the reader may read: what an archive says of its sizes may be a lie."""
        members = [one for one in self._zip.infolist() if one.filename.lower().endswith((".xml", ".rels"))]
        if len({one.filename for one in members}) < len(members):
            raise self.damaged()
        if any(one.flag_bits & _ENCRYPTED for one in members):
            raise self.error(_LOCKED)
        if sum(one.file_size for one in members) > MAX_BYTES:
            raise self.error(f"is larger than {MAX_BYTES // 1024 // 1024} MiB when unpacked: split it, or empty it")
        for one in members:
            if one.compress_type not in _METHODS:
                raise self.damaged()
            # ends with an error where the size or the sum of the bytes is another
            if sum(map(len, self.blocks(one.filename))) != one.file_size:
                raise self.damaged()

    def _kind(self) -> Literal["xlsx", "ods"]:
        names = set(self._zip.namelist())
        if "xl/workbook.xml" in names:
            return "xlsx"
        if CONTENT in names and "mimetype" in names and b"spreadsheet" in self.small("mimetype"):
            if _MANIFEST in names and b"encryption-data" in self.small(_MANIFEST):
                raise self.error(_LOCKED)
            return "ods"
        raise self.error("is no spreadsheet that can be read: save it as .xlsx, .ods or 'CSV UTF-8'")
