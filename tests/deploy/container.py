"""A container without an engine: namespaces of its own but for the network, a read-only root, and no rights."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.deploy.image import Image
from tests.integration.containers import STOP_TIMEOUT, LocalProcess
from tests.waiting import PATIENCE, eventually

# As the Compose file and the manifests have it: /tmp alone can be written, and nothing there can be run.
_ENTER = """
set -e
root=$1 config=$2 database=$3; shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$config" "$root/etc/dialstock"
mount -o remount,bind,ro "$root/etc/dialstock"
mount --bind "$database" "$root/run/database"
mount --bind /etc/hosts "$root/etc/hosts"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o size=64m,mode=1777,noexec,nosuid,nodev tmpfs "$root/tmp"
mount -o remount,bind,ro "$root"
exec "$@"
"""


@dataclass(frozen=True)
class Mounts:
    """Folders of this machine: the configuration, PostgreSQL's socket, and where logs go (which no container sees)."""

    config: Path
    database: Path
    logs: Path


class Container(LocalProcess):
    """One command in a container of its own; kill() and the rest mean what runs in it."""

    def __init__(
        self,
        image: Image,
        name: str,
        environ: Mapping[str, str],
        mounts: Mounts,
        command: Sequence[str] = (),
    ) -> None:
        self._inside = _inside(image, environ)
        spaces = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
        enter = [*spaces, "sh", "-c", _ENTER, "enter", str(image.root), str(mounts.config), str(mounts.database)]
        run = [*enter, *self._inside, *(command or image.command)]
        super().__init__(name, run, {"PATH": os.environ["PATH"]}, mounts.logs / f"{name}.log")

    @property
    def pid(self) -> int:
        """Of the first process in it."""
        return eventually(lambda: psutil.Process(self._process.pid).children(), what="it starts")[0].pid

    def kill(self, name: str | None = None) -> None:
        os.kill(self.pid, signal.Signals[name or "SIGKILL"])

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        if self.status == "running":
            self.kill("SIGKILL")
        self._process.wait(timeout)

    def execute(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command beside what runs in it, as a probe does."""
        beside = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--ipc", "--uts"]
        return subprocess.run(
            [*beside, *self._inside, *command],
            env={"PATH": os.environ["PATH"]},
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )


def _inside(image: Image, environ: Mapping[str, str]) -> list[str]:
    user, _, group = image.user.partition(":")
    rights = ["--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
    become = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *rights]
    variables = [f"{name}={value}" for name, value in {**image.environ, **environ}.items()]
    return ["chroot", str(image.root), *become, "env", f"--chdir={image.folder}", "--ignore-environment", *variables]
