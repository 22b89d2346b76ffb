"""Instructions that the networks and the door's stages take on ARM64. See run.sh."""
