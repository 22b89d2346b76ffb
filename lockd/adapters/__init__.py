"""The only code that touches a device, a disk or a socket."""
