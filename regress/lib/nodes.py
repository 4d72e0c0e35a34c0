# SPDX-License-Identifier: PostgreSQL
"""What a pooler makes of the nodes of its only cluster, and who serves its clients."""

from lib.wait import wait_for

WHERE = "SELECT inet_server_port()::int"


def states(pooler):
    return [row["state"] for row in sorted(pooler.console("SHOW NODES"), key=lambda r: r["node"])]


def row_of(pooler, node):
    """Of SHOW NODES; None when there is no such node."""
    return next((row for row in pooler.console("SHOW NODES") if row["node"] == str(node)), None)


def state(pooler, node):
    row = row_of(pooler, node)
    return row and row["state"]


def reason(pooler, node):
    return row_of(pooler, node)["reason"]


def rounds(pooler):
    """How often its monitor has asked all nodes."""
    return int(pooler.console("SHOW CLUSTERS")[0]["rounds"])


def settle(pooler, timeout=10):
    wait_for(lambda: sorted(states(pooler)) == ["primary", "ready", "ready"], timeout)


def where(conn):
    return int(conn.query(WHERE).value())


def seen(pooler, database, count=12):
    """The ports of those nodes that serve as many clients at a time."""
    conns = [pooler.raw(dbname=database) for _ in range(count)]
    for conn in conns:
        conn.query("BEGIN")
    ports = {where(conn) for conn in conns}
    for conn in conns:
        conn.query("COMMIT")
        conn.close()
    return ports
