"""A program that has something to do at its end, and ends as its argument says: for tests of how a process ends."""

from __future__ import annotations

import atexit
import sys
import threading
import time


def _later() -> None:
    time.sleep(0.1)
    print(", a thread", end="")


def _end(how: str) -> None:
    print("here", end="")
    threading.Thread(target=_later).start()
    atexit.register(print, ", at the end", end="")
    if how == "an error":
        raise ValueError(how)
    if how == "nothing":
        sys.exit()
    if how != "comes to its end":
        sys.exit(how if how == "words" else int(how))


if __name__ == "__main__":
    _end(sys.argv[1])
