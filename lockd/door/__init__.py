"""Who and when to what the lock does. Pure."""
