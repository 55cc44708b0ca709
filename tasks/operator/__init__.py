"""What a person decides: held purchases, and orders that are tried again."""
