"""Who each alias is at its provider, and what stands under an account that the file does not have."""
