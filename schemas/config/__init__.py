"""The configuration, providers.toml: its providers with their policies, its pools, and how a fault in it is told."""
