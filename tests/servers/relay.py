"""Hands TCP connections on to a Unix socket: python relay.py ADDRESS PORT SOCKET"""

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


def serve(address: str, port: int, path: str) -> None:
    """For ever."""
    with socket.create_server((address, port)) as listener:
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(path)
            except OSError:
                client.close()
                continue
            for ends in ((client, server), (server, client)):
                threading.Thread(target=pump, args=ends, daemon=True).start()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
