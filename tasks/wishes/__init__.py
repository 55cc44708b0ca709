"""Orders by criteria: numbers are found, written down as lines of their order, bought, and replaced where refused."""
