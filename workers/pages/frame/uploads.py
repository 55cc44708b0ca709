"""Files that were checked and wait for a person's word: for a while, and each of them for one order."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from workers.views.orders.check_file import Checked

KEPT = 20
"""Files that are kept at once: the oldest goes first."""

KEPT_FOR = 1800.0
"""Seconds."""


@dataclass(frozen=True)
class Upload:
    """A checked file, and the configuration (its digest) that it was checked by."""

    name: str
    checked: Checked
    digest: str
    until: float


class Uploads:
    """The files that wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Upload] = OrderedDict()

    def keep(self, name: str, checked: Checked, digest: str) -> str:
        """Keep a file; returns the word under which it is taken."""
        token = secrets.token_urlsafe(16)
        now = time.monotonic()
        with self._lock:
            self._kept[token] = Upload(name, checked, digest, now + KEPT_FOR)
            old = [key for key, one in self._kept.items() if one.until < now]
            old += list(self._kept)[: max(0, len(self._kept) - len(old) - KEPT)]
            gone = [self._kept.pop(key) for key in dict.fromkeys(old)]
        for one in gone:
            one.checked.close()
        return token

    def take(self, token: str) -> Upload | None:
        """The file, which nobody else is given from then on; None where it is gone, or has waited too long."""
        with self._lock:
            upload = self._kept.pop(token, None)
        if upload is not None and upload.until < time.monotonic():
            upload.checked.close()
            return None
        return upload

    def give_back(self, token: str, upload: Upload) -> None:
        """Have it wait on, for what was asked of it could not be done."""
        with self._lock:
            self._kept[token] = upload

    def close(self) -> None:
        """Give all of them up."""
        with self._lock:
            for one in self._kept.values():
                one.checked.close()
            self._kept.clear()
