"""Lockd's recognition against the usual Python route to the same networks."""
