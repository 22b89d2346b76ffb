"""Pixels to faces to unit vectors. Pure, given a model: no device, socket, disk or clock."""
