"""The command `lockd bench`: what one frame costs on this machine."""

from lockd.commands.bench.scenes import one_face

__all__ = ["one_face"]
