"""Several doors with the same people: what is signed, sealed, merged and remembered. Pure.

People are retained messages of an MQTT broker, one topic each. Whoever may enrol signs them, all
doors of the fleet have the key that they are sealed with, and the broker has neither.

    sealing.py  bytes that only the fleet reads, and only one administrator can have written
    records.py  a person as a message, a removal, and which of two is the later
    gone.py     who was removed, in order, in a chain: nothing can be taken out of it
    charter.py  who may sign, which key is in use; a door's certificate and its report
    holdings.py what is kept of whom, and the digests of it
    state.py    what a door must remember
    knowledge.py  what it knows of all of that
    replica.py  **the rules of merging**: what a message changes at a door
    administrator.py  what a door signs for all
    joining.py  a door comes in: keys over a channel that nobody trusts, compared by eye
"""
