"""Files that tests read, and the problems of those that cannot be."""

from __future__ import annotations

import pytest

from schemas.config.errors import ConfigError
from tasks.providers.configured import parse_config

FULL = """\
# every kind
[providers.timepay]
kind = "timepay"
base_url = "https://api.agents.timepay.ai/"
token_env = "TIMEPAY_TOKEN"
telephony_provider = "plivo"
org_id = "org-7"

[providers.fluents]
kind = "fluents"
base_url = "https://api.fluents.ai"
token_env = "FLUENTS_TOKEN"
telephony_provider = "twilio"
telephony_account_connection = "550e8400-e29b-41d4-a716-446655440000"

[providers.signalwire]
kind = "signalwire"
base_url = "https://example.signalwire.com"
project_id = "p-1"
token_file = "/run/secrets/signalwire"

[providers.signalwire.policy]
rate_limits = ["5/second", "40/10 seconds"]
burst = 5
reconcile_after = [1, "2m"]
give_up_after = "30m"

[providers.vogent]
kind = "vogent"
base_url = "http://127.0.0.1:8790/vogent"
token_env = "VOGENT_TOKEN"

[providers."bird"]
kind = "bird"
base_url = "https://api.bird.com"
workspace_id = "w-1"
organization_id = "o-1"
token_env = "BIRD_ACCESS_KEY"
policy = { burst = 2 }

[providers.telnyx]
kind = "telnyx"
base_url = "https://api.telnyx.com"
token_env = "TELNYX_API_KEY"
requirement_groups = { DE = "group-1", "DE/mobile" = "group-2" }

[providers.bandwidth]
kind = "bandwidth"
base_url = "https://api.bandwidth.com"
client_id = "client-1"
account_number = "9900000"
site_id = "1234"
token_env = "BANDWIDTH_CLIENT_SECRET"

[providers.vonage]
kind = "vonage"
base_url = "https://rest.nexmo.com"
api_key = "0123abcd"
token_env = "VONAGE_API_SECRET"
"""

HEAD = """\
[providers.sw]
kind = "signalwire"
base_url = "https://example.signalwire.com"
project_id = "p-1"
token_env = "T"
"""


def problems(text):
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "p.toml")
    return str(caught.value).splitlines()


def signalwire(**fields):
    lines = {"kind": "signalwire", "base_url": "https://x.example", "project_id": "p", "token_env": "T"} | fields
    return parse_config("[providers.sw]\n" + "\n".join(f'{k} = "{v}"' for k, v in lines.items() if v), "p").providers[
        "sw"
    ]
