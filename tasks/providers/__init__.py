"""The telephony providers: a package for each kind, and what all kinds have in common."""
