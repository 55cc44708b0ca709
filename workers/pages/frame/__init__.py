"""What all pages share: who asks, how it is answered, what it works on."""
