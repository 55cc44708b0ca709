"""Twilio: numbers of one account, which its account SID names."""

from tasks.providers.kind import ProviderKind, Sandbox
from tasks.providers.twilio.adapter import Twilio
from tasks.providers.twilio.config import POLICY, TwilioConfig, TwilioOptions
from tasks.providers.twilio.sandbox import TwilioApi

KIND = ProviderKind(
    name="twilio",
    config=TwilioConfig,
    adapter=Twilio,
    sandbox=Sandbox(api=TwilioApi, fields={"account_sid": f"AC{1:032x}"}, numbers="+1510"),
    options=TwilioOptions,
    policy=POLICY,
    asked_for=frozenset({"type", "features", "contains"}),
)
