"""Vectors to who it is. Pure."""
