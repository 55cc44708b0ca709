"""Reads for people and programs: the tables by question, what was spent, how much of a limit is used."""
