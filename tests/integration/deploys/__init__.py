"""Workers as they are started, replaced and taken back."""
