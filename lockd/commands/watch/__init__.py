"""`lockd watch`: follow a door from a terminal."""
