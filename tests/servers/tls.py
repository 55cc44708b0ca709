"""Valkey behind TLS: its wheel is built without, so a forwarder of ours speaks it, with a certificate made here."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from redis import Redis

from tests.servers.availability import unavailable
from tests.servers.redis import RedisServer

T = TypeVar("T")

PASSWORD = "tls-3c9a-SECRET"
DATABASE = 3
HOST = "localhost"
"""The only host that the certificate names; 127.0.0.1 is another."""

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
# What Python 3.13 asks for: it verifies strictly.
_EXTENSIONS = f"""subjectAltName=DNS:{HOST}
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


class TlsRedis:
    """A server with a password, whose database 3 is meant; reached over TLS only with a certificate of its own CA."""

    def __init__(self, program: str, folder: Path) -> None:
        self.folder = folder
        self.ca = make_certificates(folder)
        self.plain = RedisServer(program)
        with Redis.from_url(self.plain.url) as client:
            client.config_set("requirepass", PASSWORD)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ca))
        self._context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._front = Front(urlsplit(self.plain.url).port or 0, self._context)

    @property
    def url(self) -> str:
        """As a person with a private CA writes it."""
        return f"{self.bare_url}?ssl_ca_certs={self.ca}"

    @property
    def bare_url(self) -> str:
        """Without a word of the CA."""
        return f"rediss://:{PASSWORD}@{HOST}:{self._front.port}/{DATABASE}"

    def front_of(self, port: int) -> Front:
        """TLS for another plain port, with the same certificate; close it."""
        return Front(port, self._context)

    @property
    def port(self) -> int:
        """Where TLS is spoken."""
        return self._front.port

    @contextmanager
    def asking(self) -> Iterator[str]:
        """Ask clients for a certificate too; the URL for one that has it."""
        self._context.verify_mode = ssl.CERT_REQUIRED
        try:
            yield f"{self.url}&ssl_certfile={self.folder}/server.pem&ssl_keyfile={self.folder}/server.key"
        finally:
            self._context.verify_mode = ssl.CERT_NONE

    def cut(self) -> int:
        """Break every connection off; returns how many there were."""
        return self._front.cut()

    def ensure_running(self) -> None:
        self.plain.ensure_running()

    def close(self) -> None:
        self._front.close()
        self.plain.close()


class Front:
    """Takes TLS, in a thread of its own, and hands what comes to a plain port; a failed handshake goes no further."""

    def __init__(self, target: int, context: ssl.SSLContext) -> None:
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls-front", daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> int:
        return self._run(self._cut())

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cut(self) -> int:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            there, to_there = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(to_there)
            await asyncio.gather(_pump(reader, to_there), _pump(there, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the end of this connection, whoever ended it
        finally:
            self._tasks.discard(task)
            for one in writers:
                one.transport.abort()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes; raises ConnectionError at its end, which ends the other direction too."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    raise ConnectionError("ended")


def make_certificates(folder: Path) -> Path:
    """Write server.pem and server.key, for two days, and return the CA's file; the CA's key is used this once."""
    if shutil.which("openssl") is None:
        unavailable("a certificate", "install the program openssl")
    (folder / "extensions").write_text(_EXTENSIONS)
    _openssl(folder, "req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test CA",
             "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    _openssl(folder, "req", *_KEY, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={HOST}")
    _openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
             "-days", "2", "-extfile", "extensions", "-out", "server.pem")  # fmt: skip
    return folder / "ca.pem"


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
