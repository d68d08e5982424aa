"""How much memory the work may take, and how many traits fit into it.

In: a budget as people write it ("4GB"), the bytes one unit of work needs. Out: whole numbers.
"""

from __future__ import annotations

import os
import re

from gputwas.errors import ResourceError, UsageError

__all__ = ["available_memory", "memory_budget", "parse_bytes", "peak_memory", "units_that_fit"]

UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
DEFAULT_SHARE = 0.5  # of the memory that is free, when no budget is given
DEFAULT_CEILING = 4 * 10**9


def parse_bytes(text: str) -> int:
    """Bytes of a size such as "4GB", "512MiB" or "2e9".

    Raises
    ------
    UsageError : it is not a positive size.
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgt]?i?)b?\s*", text.lower())
    if match is None or match.group(2) not in UNITS:
        raise UsageError(f"{text!r} is not an amount of memory; write for example 4GB or 512MiB")
    value = int(float(match.group(1)) * UNITS[match.group(2)])
    if value <= 0:
        raise UsageError(f"the memory budget must be positive, not {text!r}")
    return value


def available_memory() -> int:
    """Bytes this process can still take: the smaller of free memory and what the control group leaves."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        with open("/proc/meminfo") as lines:
            facts = dict(line.split(":", 1) for line in lines)
        free = int(facts["MemAvailable"].split()[0]) * 1024
        with open("/sys/fs/cgroup/memory.max") as limit, open("/sys/fs/cgroup/memory.current") as used:
            free = min(free, int(limit.read()) - int(used.read()))
    except (OSError, KeyError, ValueError):
        pass  # not Linux, or no limit: the first answer stands
    return max(int(free), 0)


def peak_memory() -> int:
    """Most bytes this process held so far, pages of memory-mapped files included.

    From the kernel's high-water mark of this program: `ru_maxrss` would also count what the process that
    started it held at that moment.
    """
    try:
        with open("/proc/self/status") as lines:
            facts = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(facts["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_budget(text: str | None = None) -> int:
    """Bytes the work may take: what the user says, else half of what is free, at most 4 GB."""
    if text is not None:
        return parse_bytes(text)
    return max(min(int(available_memory() * DEFAULT_SHARE), DEFAULT_CEILING), 2 * 10**8)


def units_that_fit(budget: int, fixed: int, per_unit: int, *, most: int, what: str = "trait") -> int:
    """How many units fit beside the fixed part, from 1 to `most`.

    Raises
    ------
    ResourceError : not even one fits.
    """
    fitting = (budget - fixed) // max(per_unit, 1)
    if fitting < 1:
        needed = -(-(fixed + per_unit) // 10**7) / 100  # rounded up, so that asking for it is enough
        raise ResourceError(
            f"one {what} needs {needed:.2f} GB and the budget is {budget / 1e9:.2f} GB; "
            "give more with --memory"
        )
    return int(min(fitting, most))
