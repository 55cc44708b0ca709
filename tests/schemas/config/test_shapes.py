"""A field of a documented shape tells what it must be, and no pattern: where, and how to mend it."""

from __future__ import annotations

import pytest

from schemas.config.errors import ConfigError
from tasks.providers.configured import parse_config
from tasks.providers.registry import kinds


@pytest.mark.parametrize(
    ("kind", "field", "value", "words"),
    [
        ("bandwidth", "site_id", "main", "must be a number as text, like '1234'"),
        ("bandwidth", "peer_id", "1 2", "must be a number as text"),
        ("bandwidth", "account_number", "1" * 21, "20 digits at most"),
        ("bandwidth", "client_id", "a:b", "but a colon"),
        ("twilio", "account_sid", "AC12", "must be an account's SID: AC and 32 hexadecimal digits"),
        ("twilio", "api_key_sid", f"AC{1:032x}", "must be an API key's SID: SK and 32"),
        ("plivo", "auth_id", "a/b", "must be letters and digits, 64 at most"),
        ("vonage", "api_key", "", "must be letters and digits"),
        ("telnyx", "connection_id", "a b", "use letters, digits and -"),
        ("bird", "workspace_id", "a/b", "use letters, digits and -"),
    ],
)
def test_a_wrong_field_is_told_in_words(kind: str, field: str, value: str, words: str) -> None:
    fields = {**kinds()[kind].sandbox.fields, field: value}
    lines = "".join(f'{name} = "{text}"\n' for name, text in fields.items())
    text = f'[providers.one]\nkind = "{kind}"\nbase_url = "https://example.com"\ntoken_env = "TOKEN"\n{lines}'
    line = 5 + list(fields).index(field)
    with pytest.raises(ConfigError, match=f"providers.toml:{line}: {field}: ") as failure:
        parse_config(text, "providers.toml")
    assert words in str(failure.value)
    assert "control characters" not in str(failure.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("bundle_sid", "BUx", "must be a bundle's SID"),
        ("voice_url", "ftp://x", "must be a URL like https://example.com"),
        ("trunk_sid", f"AP{1:032x}", "must be a trunk's SID: TK"),
    ],
)
def test_a_wrong_option_is_told_in_words(name: str, value: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kinds()["twilio"].options.model_validate({name: value})
