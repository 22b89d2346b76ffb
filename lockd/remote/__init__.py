"""Commands from afar: what they look like, who may give which, and how often. Pure."""
