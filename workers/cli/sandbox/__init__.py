"""`dialstock sandbox`: the providers on this machine, to try things out on."""
