"""Measurements: how fast, and how often wrong. Nothing the door needs to run."""
