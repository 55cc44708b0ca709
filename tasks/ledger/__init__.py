"""The ledger: the only code that changes the status table.

Every function works inside a transaction that its caller opened, and every change of status goes through
`rows.move`, a compare-and-set on status and revision that writes the event in the same transaction.
"""
