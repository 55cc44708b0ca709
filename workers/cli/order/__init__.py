"""`dialstock order`: a file is checked and loaded, and followed until it is completed."""
