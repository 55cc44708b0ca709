"""A database that went back in time buys nothing until what it lost was taken in, or a person answered for it.

Workers compare it with the watermark as they start, every two seconds, and before the first claim on each new
connection: who was restored or promoted is reached by a new one, so nothing is claimed before the look. Behind a pooler
that keeps its clients' connections over a failover it is the timer that looks: a purchase that was released anew in
those two seconds could be bought again.

A worker that stood still between commit and mark while the server was replaced marks nothing, and does not send, once
anybody has looked at the new one. Where the server does not say which it is, the timer finds such a mark, however many
were written after it.
"""
