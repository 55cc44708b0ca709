"""Sends an answer over a Tornado connection: whole, dripping, or not at all."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine

from tasks.providers.sandbox.exchange import Reply
from tasks.sandbox.purchase import Delivery


async def deliver(request: HTTPServerRequest, delivery: Delivery) -> None:
    """Wait and deliver. Returns early where the client has gone."""
    if delivery.wait:
        await asyncio.sleep(delivery.wait)
    if delivery.way == "drip":
        await _drip(_connection(request), delivery)
    else:
        deliver_now(request, delivery)


def deliver_now(request: HTTPServerRequest, delivery: Delivery) -> None:
    """Send, cut or stay silent, whatever `wait` says. A silent connection ends with the client or the server."""
    connection = _connection(request)
    if delivery.way == "silence" or connection.stream.closed():
        return
    if delivery.way == "cut":
        connection.close()
        return
    body, headers = _encode(delivery.reply)
    connection.write_headers(_line(delivery.reply), headers, body)
    connection.finish()


async def _drip(connection: HTTP1Connection, delivery: Delivery) -> None:
    body, headers = _encode(delivery.reply)
    connection.write_headers(_line(delivery.reply), headers)
    begun = time.monotonic()
    for index in range(len(body)):
        await asyncio.sleep(begun + delivery.seconds * (index + 1) / len(body) - time.monotonic())
        if connection.stream.closed():
            return
        # Not awaited: the future of a write to a client that leaves just then never ends.
        connection.write(body[index : index + 1])
    connection.finish()


def _encode(reply: Reply) -> tuple[bytes, HTTPHeaders]:
    body, content_type = reply.encoded()
    return body, HTTPHeaders({"Content-Type": content_type, "Content-Length": str(len(body)), **reply.headers})


def _line(reply: Reply) -> ResponseStartLine:
    return ResponseStartLine("HTTP/1.1", reply.status, _reason(reply.status))


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _connection(request: HTTPServerRequest) -> HTTP1Connection:
    return cast(HTTP1Connection, request.connection)
