"""The image, built and run for real without an engine or a registry: buildah builds it, the kernel's namespaces run it.

A minimal Debian stands in for the base image. It and buildah's layers are kept in ~/.cache/dialstock/image, so that
what did not change is not built again.
"""

from __future__ import annotations

import ast
import datetime
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.servers import unavailable

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dialstock"
"""What tests keep from one run to the next."""

_KEPT = CACHE / "image"
TOOLS = ("buildah", "mmdebstrap", "unshare", "nsenter", "setpriv")
NAME = "localhost/dialstock"
BUILD_TIMEOUT = 540.0

_SUITE = "bookworm"
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MUCH = 3_000_000_000
"""Bytes of layers, from which on they are thrown away."""
_PIP_OPTIONS = ("index-url", "extra-index-url", "trusted-host", "cert", "proxy", "timeout")


class Image:
    """The built image: its configuration, and its files under `root`."""

    def __init__(self, root: Path, config: dict[str, Any]) -> None:
        self.root = root
        self.command: list[str] = config["Cmd"]
        self.user: str = config["User"]
        self.folder: str = config["WorkingDir"]
        self.environ = dict(one.split("=", 1) for one in config["Env"])
        # The first word says that no shell is meant.
        self.probe: list[str] = config["Healthcheck"]["Test"][1:]


def need_tools() -> None:
    """Skip, or fail in CI, where the image cannot be built and run."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        unavailable(", ".join(missing), "apt-get install buildah mmdebstrap util-linux, on Debian or Ubuntu")
    if os.geteuid() != 0:
        unavailable("the image", "it is built and run by root: sudo make test ARGS=tests/deploy/test_image.py")


@contextmanager
def built_image(scratch: Path) -> Iterator[Image]:
    """Build the image, from what is kept where that fits; one at a time on a machine."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    with (_KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        builder = _Builder(scratch)
        builder.make()
        [container] = builder.buildah("from", "--pull-never", NAME).split()
        try:
            root = Path(builder.buildah("mount", container).strip())
            for place in ("etc/dialstock", "run/database", "proc", "dev"):
                (root / place).mkdir(parents=True, exist_ok=True)
            config = json.loads(builder.buildah("inspect", "--type", "image", NAME))["Docker"]["config"]
            yield Image(root, config)
        finally:
            builder.buildah("rm", container)


class _Builder:
    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._store = _KEPT / "layers"
        # overlayfs is none on top of itself, as in a container.
        where = subprocess.run(["stat", "-f", "-c", "%T", _KEPT], capture_output=True, text=True, check=True).stdout
        self._driver = "vfs" if where.strip() == "overlayfs" else "overlay"

    def buildah(self, *arguments: str | Path) -> str:
        """Run one of its commands; returns what it printed."""
        done = subprocess.run(
            ["buildah", *arguments],
            cwd=ROOT,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_TIMEOUT,
        )
        assert done.returncode == 0, f"buildah {arguments[0]}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def make(self) -> None:
        """Build it with the layers that are kept; anew, where a build that was killed left them broken."""
        kept = self._store.exists()
        try:
            self._make_base()
            self._build()
        except AssertionError:
            if not kept:
                raise
            self._throw_away()
            self._make_base()
            self._build()

    def _throw_away(self) -> None:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        for place in (line.split()[4] for line in reversed(mounts)):
            if Path(place).is_relative_to(self._store):
                subprocess.run(["umount", "--lazy", place], check=True)
        shutil.rmtree(self._store)

    def _make_base(self) -> None:
        """What stands in for the image that the Dockerfile begins with."""
        base = self._debian()
        [name] = {line.split()[1] for line in (ROOT / "deploy" / "Dockerfile").read_text().splitlines() if _from(line)}
        made = self._store / base.name
        if self._store.exists() and (not made.exists() or _size(self._store) > _MUCH):
            self._throw_away()
        if made.exists():
            return
        container = self.buildah("from", "scratch").strip()
        self.buildah("add", "--quiet", container, base, "/")
        self.buildah("config", "--env", f"PATH={_PATH}", container)
        link = "rm -f /usr/lib/python3*/EXTERNALLY-MANAGED && ln -s python3 /usr/bin/python"
        self.buildah("run", container, "--", "sh", "-c", link)
        self.buildah("commit", "--quiet", "--rm", container, f"docker.io/library/{name}")
        made.touch()

    def _build(self) -> None:
        """As `docker build` does; layers are kept where a layer is not a whole copy."""
        layers = "true" if self._driver == "overlay" else "false"
        volumes = [part for volume in self._pip_volumes() for part in ("--volume", volume)]
        options = ("--pull-never", f"--layers={layers}", "--format", "docker", "--file", "deploy/Dockerfile")
        self.buildah("bud", *options, *volumes, "--tag", NAME, ".")

    @cached_property
    def _environ(self) -> dict[str, str]:
        settings = self._scratch / "storage.conf"
        folders = f'graphroot = "{self._store}/graph"\nrunroot = "{self._store}/run"\n'
        settings.write_text(f'[storage]\ndriver = "{self._driver}"\n{folders}')
        ours = {"BUILDAH_ISOLATION": "chroot", "CONTAINERS_STORAGE_CONF": str(settings), "STORAGE_DRIVER": self._driver}
        return {**os.environ, **ours}

    def _debian(self) -> Path:
        """The file system, made anew each month."""
        month = datetime.datetime.now(datetime.UTC).strftime("%Y-%m")
        key = hashlib.sha256(f"{_SUITE} {_PACKAGES} {month}".encode()).hexdigest()[:16]
        base = _KEPT / f"{key}.tar"
        if not base.exists():
            for old in _KEPT.glob("*.tar"):
                old.unlink()
            new = base.with_suffix(".new")
            options = ("--mode=root", "--quiet", "--variant=minbase", "--format=tar", f"--include={_PACKAGES}")
            subprocess.run(["mmdebstrap", *options, _SUITE, new], check=True, timeout=BUILD_TIMEOUT)
            new.rename(base)
        return base

    def _pip_volumes(self) -> list[str]:
        """How this machine reaches its package index is its own affair: it is lent to the build, and not copied in."""
        list_all = [sys.executable, "-m", "pip", "config", "list"]
        done = subprocess.run(list_all, capture_output=True, text=True, check=True)
        found = re.findall(r"^(?:global|:env:)\.([a-z-]+)=(.*)$", done.stdout, re.MULTILINE)
        options = {name: ast.literal_eval(value) for name, value in found if name in _PIP_OPTIONS}
        file = self._scratch / "pip.conf"
        file.touch(0o600)
        lines = [f"{name} = {' '.join(value.split())}" for name, value in options.items()]
        file.write_text("\n".join(["[global]", *lines, ""]))
        volumes = [f"{file}:/etc/pip.conf:ro"]
        return [*volumes, f"{options['cert']}:{options['cert']}:ro"] if "cert" in options else volumes


def _from(line: str) -> bool:
    return line.startswith("FROM ")


def _size(folder: Path) -> int:
    return int(subprocess.run(["du", "-sb", folder], capture_output=True, text=True, check=True).stdout.split()[0])
