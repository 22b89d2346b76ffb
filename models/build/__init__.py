"""Rebuilds the networks in `models/` from published weights.

The door never runs any of this: it needs TensorFlow and a few minutes, and the
door needs neither. It is here so that nobody has to trust a binary file. The
weights come from packages whose sha256 is pinned, every folding step is
checked against the original network, and the result is compared with the
committed files.
"""
