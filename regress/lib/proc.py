# SPDX-License-Identifier: PostgreSQL
"""What /proc knows of the pooler: memory, descriptors, and which sanitizer it carries."""

import os
from pathlib import Path

from lib.wait import stays_true, wait_for


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def is_sanitized(pid):
    """With a sanitizer memory is held back on purpose: its size says nothing."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return any(f"lib{name}" in maps for name in ("asan", "tsan"))


def settled(look, pid):
    """look(pid), once it has not changed for a while: what went before may still be ending."""
    seen = []

    def is_settled():
        seen.append(look(pid))
        return stays_true(lambda: look(pid) == seen[-1], 0.3)

    wait_for(is_settled, what=f"{look.__name__} stays the same, it was {seen}")
    return seen[-1]


def remembers(pid, secret):
    """Is it anywhere in the memory that the process can write to?"""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, access = line.split()[:2]
            if not access.startswith("rw"):
                continue
            begin, end = (int(address, 16) for address in span.split("-"))
            try:
                memory.seek(begin)
                if secret in memory.read(end - begin):
                    return True
            except OSError:  # unmapped since, or of a kind that cannot be read
                continue
    return False
