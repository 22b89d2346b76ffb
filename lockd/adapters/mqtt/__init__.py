"""MQTT through paho, which is imported nowhere else.

client.py    a client with the broker's credentials and certificates
bus.py       the service's connection, which looks after itself
visitor.py   a short connection, for commands
"""
