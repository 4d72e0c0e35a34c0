# SPDX-License-Identifier: PostgreSQL
"""What a pooler says of the nodes of its cluster."""

from lib.wait import wait_for


def states(pooler):
    return [row["state"] for row in sorted(pooler.console("SHOW NODES"), key=lambda r: r["node"])]


def settle(pooler):
    wait_for(lambda: sorted(states(pooler)) == ["primary", "ready", "ready"])
