"""Memory of a process that computes on the CPU."""
import ctypes

# Parameters of glibc's mallopt, from malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# Reusing larger tensors too would increase the peak by a quarter if images
# differ in size.
_LARGE = 128 * 2**20
_MOST = 2**31 - 1


def keep_freed_memory() -> None:
    """Make glibc reuse freed memory instead of returning it to the system.

    The system fills each page that it gives out with zeros. By default, glibc
    gets a tensor above 32 MiB from the system and returns it at once. With
    Swin-T, this takes up to a fifth of a training step (docs/performance.md).
    Other C libraries and old versions of glibc keep their defaults.
    """
    try:
        mallopt = ctypes.CDLL('libc.so.6').mallopt
    except OSError:
        return
    if mallopt(_M_MMAP_THRESHOLD, _LARGE):
        mallopt(_M_TRIM_THRESHOLD, _MOST)
