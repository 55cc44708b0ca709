"""The suite that each kind's author runs, for our own kinds."""

from tasks.conformance.test_calls import *  # noqa: F403
from tasks.conformance.test_looks import *  # noqa: F403
from tasks.conformance.test_releases import *  # noqa: F403
from tasks.conformance.test_reservations import *  # noqa: F403
from tasks.conformance.test_searches import *  # noqa: F403
