"""What flows through Dialstock: requests, outcomes, events, tables and configuration.

Imports nothing else of ours.
"""
