"""Why a V4L2 device cannot be used: OpenCV says only that it cannot."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from lockd.errors import CameraError, CameraTrouble

# linux/videodev2.h; the same on every architecture that Linux runs on today but MIPS,
# PowerPC, SPARC and Alpha.
_QUERYCAP, _QUERYCAP_SIZE = 0x80685600, 104
_REQBUFS, _CAPTURE, _MMAP = 0xC0145608, 1, 1
_CAP_VIDEO_CAPTURE, _CAP_DEVICE_CAPS = 0x1, 0x80000000


def check(device: str) -> None:
    """Refuse a device that is not there, not allowed or no camera.

    Raises:
        CameraError: saying which, and the way out.
    """
    try:
        handle = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise _not_opened(device, error) from error
    try:
        answer = fcntl.ioctl(handle, _QUERYCAP, bytes(_QUERYCAP_SIZE))
    except OSError as error:
        raise CameraError(
            f"camera {device}: no camera ({error.strerror}); `ls /dev/v4l/by-id` shows those of "
            "this machine",
            CameraTrouble.MISSING,
        ) from error
    finally:
        os.close(handle)
    everything, this_node = struct.unpack_from("<II", answer, 84)
    if not (this_node if everything & _CAP_DEVICE_CAPS else everything) & _CAP_VIDEO_CAPTURE:
        raise CameraError(
            f"camera {device}: gives no pictures; it is the second, metadata device of a camera "
            "(use the number before) or part of a camera on the ribbon cable (use source: csi)",
            CameraTrouble.MISSING,
        )


def is_busy(device: str) -> bool:
    """Return whether another program takes pictures from the device."""
    try:
        handle = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return error.errno == errno.EBUSY
    try:
        fcntl.ioctl(handle, _REQBUFS, struct.pack("<IIIII", 1, _CAPTURE, _MMAP, 0, 0))
    except OSError as error:
        return error.errno == errno.EBUSY
    finally:
        os.close(handle)
    return False


def busy(device: str) -> CameraError:
    """Return the error for a device that another program has."""
    return CameraError(
        f"camera {device}: used by another program; `fuser -v {device}` names it",
        CameraTrouble.BUSY,
    )


def _not_opened(device: str, error: OSError) -> CameraError:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return CameraError(
            f"camera {device}: this user may not open it; add it to the group video "
            "(`sudo usermod -aG video USER`), and see DeviceAllow in the service's unit",
            CameraTrouble.DENIED,
        )
    if error.errno == errno.EBUSY:
        return busy(device)
    if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
        return CameraError(
            f"camera {device}: not there; is it plugged in? `ls /dev/v4l/by-id` shows the "
            "cameras of this machine",
            CameraTrouble.MISSING,
        )
    return CameraError(f"camera {device}: cannot be opened: {error.strerror}")
