"""Lockd's recognition beside other Python projects'. See run.sh."""
