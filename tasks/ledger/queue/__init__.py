"""The queue of an account: which purchases are released to the workers, how many, and when none is."""
