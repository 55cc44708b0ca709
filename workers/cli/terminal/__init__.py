"""What all commands share: what they read, print, and say when something goes wrong."""
