"""MQTT through paho, which is imported nowhere else.

client.py    a client with the broker's credentials and certificates
bounded.py   whose memory has a bound
bus.py       the service's connection, which looks after itself
session.py   one of its connections, from beginning to end
sizes.py     how large a message the broker takes
rivals.py    whether another client has the same id
visitor.py   a short connection, for commands
"""
