"""Every fault we can cause, against the real service as a process.

Site        a door with all around it: camera, broker, relay board, service manager
service.py  starts lockd on that board, and can break things inside the process
manager.py  does what systemd does with our unit
records.py  reads what the board and the service wrote down, and judges it
"""
