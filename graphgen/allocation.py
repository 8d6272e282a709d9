"""Large blocks of memory: in huge pages, kept for the next block of scores, or given back."""

from __future__ import annotations

import ctypes
import os
import platform

__all__ = ["HUGE_PAGES", "keep_freed_memory"]

# mallopt parameters of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Blocks of scores are 16 to 32 MB; glibc hands such blocks back to the kernel at every free, and
# faulting the pages in again costs more than computing the scores.
KEEP_BYTES = 48 << 20
# PyTorch looks for it in the environment at its first tensor; larger than 2 MB, they ask for huge
# pages.
HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"


def keep_freed_memory() -> bool:
    """Tell glibc to reuse large freed blocks instead of returning them; returns whether it did.

    Scoring on two cores spends up to half its time in page faults without it. Larger blocks, the
    vectors of all users, are returned nevertheless; where the kernel allows it they come in huge
    pages, which takes a seventh off the time of a fit. It holds for the whole process, so only
    command lines call it, before the first tensor.
    """
    os.environ.setdefault(HUGE_PAGES, "1")
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_THRESHOLD, KEEP_BYTES) and mallopt(M_TRIM_THRESHOLD, 8 * KEEP_BYTES))
