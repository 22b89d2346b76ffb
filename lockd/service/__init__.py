"""The service: what is seen and commanded becomes what the door does."""
