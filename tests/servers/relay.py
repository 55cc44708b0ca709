"""Hands TCP connections on: python relay.py ADDRESS PORT TARGET [NAMESPACE]

TARGET is a Unix socket, or a port of this machine; ADDRESS is one of the network namespace NAMESPACE, where that is
given. It prints a line once it listens.
"""

import ctypes
import os
import socket
import sys
import threading
from contextlib import suppress


def pump(source: socket.socket, target: socket.socket) -> None:
    """From the one to the other, until either ends."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def listen(address: str, port: int, namespace: str | None) -> socket.socket:
    """A socket stays in the namespace that it was made in, where this process does not."""
    if namespace is None:
        return socket.create_server((address, port))
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    enter(os.open(f"/run/netns/{namespace}", os.O_RDONLY))
    found = socket.create_server((address, port))
    enter(home)
    return found


def enter(namespace: int) -> None:
    """Have this thread be in the network namespace of a descriptor. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, 0x40000000):  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")
    os.close(namespace)


def reach(target: str) -> socket.socket:
    """Raises OSError."""
    if target.isdigit():
        return socket.create_connection(("127.0.0.1", int(target)))
    found = socket.socket(socket.AF_UNIX)
    found.connect(target)
    return found


def serve(address: str, port: int, target: str, namespace: str | None = None) -> None:
    """For ever."""
    with listen(address, port, namespace) as listener:
        print("listens", flush=True)
        while True:
            client, _ = listener.accept()
            try:
                server = reach(target)
            except OSError:
                client.close()
                continue
            for ends in ((client, server), (server, client)):
                threading.Thread(target=pump, args=ends, daemon=True).start()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
