"""How bad messages end is told by tests/integration/test_bad_messages.py; here, what needs no worker."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from kombu import Connection
from workers.intake import use_keeping_transport
use_keeping_transport()
connection = Connection(sys.argv[1])
print(type(connection.transport).__name__, bool(connection.ssl))
"""


@pytest.mark.parametrize(
    ("url", "tls"),
    [("redis://127.0.0.1:1/0", "False"), ("rediss://127.0.0.1:1/0?ssl_cert_reqs=required", "True")],
)
def test_both_schemes_keep_their_meaning(url: str, tls: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, url], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["KeepingTransport", tls]
