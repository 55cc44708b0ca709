"""Requests become purchases: accepted, joined to what is there, or taken over from who gives it up."""
