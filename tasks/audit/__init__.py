"""What a provider says we own against what the table says."""
