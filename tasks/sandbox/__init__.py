"""The providers on loopback: they answer as their pages say, charge to a ledger, and fail when told to."""

from tasks.sandbox.client import SandboxControl
from tasks.sandbox.server import SandboxServer, serve

__all__ = ["SandboxControl", "SandboxServer", "serve"]
