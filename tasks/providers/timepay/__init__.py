"""TimePay: numbers are bought, and neither searched nor looked up."""

from tasks.providers.kind import ProviderKind, Sandbox
from tasks.providers.timepay.adapter import TimePay
from tasks.providers.timepay.config import POLICY, TimePayConfig
from tasks.providers.timepay.sandbox import TimePayApi

KIND = ProviderKind(
    name="timepay",
    config=TimePayConfig,
    adapter=TimePay,
    sandbox=Sandbox(api=TimePayApi, fields={"telephony_provider": "plivo"}, numbers="+9198"),
    policy=POLICY,
    portal="no call of TimePay is documented that gives a number back: ask for it there",
)
