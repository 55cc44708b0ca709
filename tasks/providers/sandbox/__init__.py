"""The five providers on loopback: they answer as their pages say, charge to a ledger, and fail when told to."""

from tasks.providers.sandbox.client import SandboxControl
from tasks.providers.sandbox.server import SandboxServer, serve

__all__ = ["SandboxControl", "SandboxServer", "serve"]
