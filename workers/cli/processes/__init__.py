"""`dialstock up`, `worker`, `beat` and `flower`: what runs."""
