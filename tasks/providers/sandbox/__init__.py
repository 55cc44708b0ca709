"""What a kind's side of the sandbox is made of: it answers as the provider's pages say, and charges a ledger."""
