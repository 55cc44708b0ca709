"""How Redis is reached: one server by its address, or the master that Redis Sentinel names."""
