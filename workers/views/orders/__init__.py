"""How an order stands, and a file on its way to become one."""
