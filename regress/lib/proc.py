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
