"""`lockd broker-setup`: certificates, passwords and an access list for a mosquitto of one's own."""
