"""What breaks between workers, their servers and the network."""
