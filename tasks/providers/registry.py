"""From a provider's configuration to its adapter."""

from __future__ import annotations

from schemas.config import BirdConfig, FluentsConfig, ProviderConfig, SignalWireConfig, TimePayConfig
from schemas.policy import Kind
from tasks.providers.adapter import Provider
from tasks.providers.bird.adapter import Bird
from tasks.providers.fluents.adapter import Fluents
from tasks.providers.signalwire.adapter import SignalWire
from tasks.providers.timepay.adapter import TimePay
from tasks.providers.vogent.adapter import Vogent

_ADAPTERS: dict[Kind, type[Provider]] = {
    Kind.TIMEPAY: TimePay,
    Kind.FLUENTS: Fluents,
    Kind.SIGNALWIRE: SignalWire,
    Kind.VOGENT: Vogent,
    Kind.BIRD: Bird,
}


def lists_owned(kind: Kind) -> bool:
    """Whether providers of *kind* show the numbers that they sold."""
    return _ADAPTERS[kind].lookup != "none"


def build(config: ProviderConfig, token: str) -> Provider:
    """The adapter for *config*. Raises ConfigError for a token that no HTTP header can carry."""
    if isinstance(config, TimePayConfig):
        return TimePay(config, token)
    if isinstance(config, FluentsConfig):
        return Fluents(config, token)
    if isinstance(config, SignalWireConfig):
        return SignalWire(config, token)
    if isinstance(config, BirdConfig):
        return Bird(config, token)
    return Vogent(config, token)
