"""Names the machine a figure was measured on."""

import os
import platform


def machine() -> str:
    """Return cores, memory and Python in one line."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{os.cpu_count()} cores, {pages / 2**30:.0f} GiB, Python {platform.python_version()}, {platform.system()}"
