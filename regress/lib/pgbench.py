# SPDX-License-Identifier: PostgreSQL
"""Running pgbench and reading what it says."""

import os
import re
import subprocess
from dataclasses import dataclass

from lib.wait import TIME_FACTOR


@dataclass
class Bench:
    status: int
    processed: int
    failed: int
    latency_ms: float
    tps: float
    output: str


def number(pattern, text, default=0.0):
    found = re.search(pattern, text)
    return float(found.group(1)) if found else default


def pgbench(pg, target, *args, user="alice", dbname=None, timeout=60, sslmode="disable"):
    """target: a Pooler, or anything with port and auth; args as for the program."""
    env = dict(os.environ, PGPASSWORD=target.auth[user], PGSSLMODE=sslmode)
    done = subprocess.run(
        [pg.bin / "pgbench", "-h", "127.0.0.1", "-p", str(target.port), "-U", user, "-n", *args,
         dbname or target.db],
        env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        timeout=timeout * TIME_FACTOR)
    out = done.stdout
    return Bench(done.returncode, int(number(r"actually processed: (\d+)", out)),
                 int(number(r"number of failed transactions: (\d+)", out)),
                 number(r"latency average = ([\d.]+) ms", out), number(r"tps = ([\d.]+)", out), out)
