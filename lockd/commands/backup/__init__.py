"""A whole door in one encrypted file, and back: `lockd backup` and `lockd restore`."""
