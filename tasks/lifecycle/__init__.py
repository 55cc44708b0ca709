"""A purchase's life, step by step, in this order:

accept              a request becomes a row
release_and_sweep   timers: what is due goes to the workers, what got lost comes back,
pools               ... as far as pools have limits of their own,
late                ... and what only waits in a long queue is left alone
purchase            a worker has a slot reserved, ...
claim               ... writes the intent down
send                ... and calls the provider, in its slot or not at all
record              what the call came to, whatever the database says
reconcile           the provider is asked about what is in doubt
outbox_relay        events go out, in order

What an answer means for the whole provider, a cool-down or a pause, is told by `tasks.provider_reaction`.
"""
