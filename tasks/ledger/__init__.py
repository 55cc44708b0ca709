"""The ledger: the only code that changes the status table.

`requests`, `orders`, `queue`, `calls` and `audit` are its rooms; beside them stands what several need.

Every function works inside a transaction that its caller opened, and every change of status goes through
`rows.move`, a compare-and-set on status and revision that writes the event in the same transaction.

Two transactions that lock the same rows in different orders wait for each other for ever, until the server ends one. So
there is one order, and a transaction goes through it downwards only:

    1. pools and their places
    2. provider states                  those of one account together
    3. orders                           by id
    4. new purchases                    by account and number: a unique index waits, too
    5. purchases                        by id, with all that several statements change locked by the first
    6. attempts, keys, lines, findings, events, reservations

Who comes back up skips what is locked (a release takes no purchase that another has), or begins anew with the order
locked first (`locking.locked_with_orders`). Before a line points to a purchase, that is locked by
`locking.hold`: no foreign key does it. Of several updates in one statement the order is the database's, unless
a subquery locks the rows before.
"""
