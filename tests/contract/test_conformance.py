"""The suite that each kind's author runs, for our own kinds."""

from tasks.providers.conformance.test_calls import *  # noqa: F403
from tasks.providers.conformance.test_looks import *  # noqa: F403
