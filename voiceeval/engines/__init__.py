"""How a call is placed."""
