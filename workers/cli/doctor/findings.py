"""What the doctor says: one finding for each thing that it looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from workers.views.errors import AWAY, SOME_FAILED, WRONG_USE


class Level(StrEnum):
    """How well it is; `warn` needs a look some time, `fail` now."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of `dialstock doctor`; `mend` is what to do, `status` the exit status where it fails."""

    name: str
    level: Level
    message: str
    mend: str | None = None
    status: int = SOME_FAILED

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        fields = asdict(self)
        del fields["status"]
        return fields


def ok(name: str, message: str) -> Finding:
    """All is well."""
    return Finding(name=name, level=Level.OK, message=message)


def warn(name: str, message: str, mend: str) -> Finding:
    """It works, and should be looked at."""
    return Finding(name=name, level=Level.WARN, message=message, mend=mend)


def fail(name: str, message: str, mend: str | None = None, status: int = SOME_FAILED) -> Finding:
    """It does not work."""
    return Finding(name=name, level=Level.FAIL, message=message, mend=mend, status=status)


def exit_status(findings: Iterable[Finding]) -> int:
    """0, or of the failures the weightiest: 3 a server away, 2 the configuration, 1 anything else."""
    failed = {finding.status for finding in findings if finding.level is Level.FAIL}
    return next((status for status in (AWAY, WRONG_USE, SOME_FAILED) if status in failed), 0)
