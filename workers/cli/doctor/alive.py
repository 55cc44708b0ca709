"""Whether the processes beside this one go on: asked of no server, and of no library that takes long to load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workers.cli.doctor.findings import Finding, fail, ok
from workers.processes.signs import ALIVE, Sign, folder_of, read_signs
from workers.views.errors import WRONG_USE

_MEND = "end it, and start it again: calls under way are looked up at their providers"


def alive(environ: Mapping[str, str]) -> Iterator[Finding]:
    """A line for each process that writes to the folder DIALSTOCK_ALIVE; that none does is a failure."""
    folder = folder_of(environ)
    if folder is None:
        message = f"{ALIVE} is not set, so no process writes that it goes on"
        yield fail("alive", message, "name a folder there, for this command and for what it looks at", WRONG_USE)
        return
    try:
        signs = read_signs(folder)
    except (OSError, ValueError) as exc:
        yield fail("alive", f"the signs in {folder} cannot be read: {exc}", "look after the disk")
        return
    if not signs:
        yield fail("alive", f"no process gives a sign of life in {folder}", "see in its log why it ended")
    yield from map(_of_process, signs)


def _of_process(sign: Sign) -> Finding:
    if sign.hung:
        return fail("alive", f"{sign.process} hangs: its {sign.part} gave the last sign {sign.age:.0f} s ago", _MEND)
    return ok("alive", f"{sign.process} goes on")
