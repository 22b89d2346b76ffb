"""Pictures -> who is in them: vision and identity together."""
