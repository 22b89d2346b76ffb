"""Which versions there are, by a signed list: `lockd update`."""
