"""`lockd fleet`: several doors with the same people."""
