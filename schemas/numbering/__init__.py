"""What is a phone number, of which country, and how people write it."""
