# SPDX-License-Identifier: PostgreSQL
"""Nodes that log what they run, and a pooler that splits reads off: where has a statement run?"""

import itertools
import re
from collections import Counter

from lib.nodes import settle
from lib.wait import wait_for

REPLICAS = (["replica1"], ["replica2"])
MARK = re.compile(r"/\* mark (\d+) \*/")


def log_statements(cluster):
    for node in cluster.nodes:
        with node.connect() as conn:
            conn.execute("ALTER SYSTEM SET log_statement = 'all'")
            conn.execute("SELECT pg_reload_conf()")


class Routed:
    def __init__(self, cluster, pooler):
        self.cluster, self.pooler = cluster, pooler
        self.marks = itertools.count(1)

    @classmethod
    def begin(cls, cluster, make_shop, **settings):
        log_statements(cluster)
        pooler = make_shop(**{"routing": "split", "session_state": "track", **settings})
        settle(pooler)
        routed = cls(cluster, pooler)
        routed.warm_up()
        return routed

    def warm_up(self):
        """Until the pooler knows what there is in the database."""
        with self.pooler.raw(dbname="shop") as conn:
            wait_for(lambda: self.query(conn, "SELECT 1")[1] in REPLICAS)

    def mark(self, text):
        mark = f"/* mark {next(self.marks)} */"
        return mark, f"{mark} {text}"

    def log_of(self, node):
        return (self.cluster.directory / "log" / f"{node.name}.log").read_text()

    def where(self, mark):
        """The names of the nodes that ran it."""
        return [node.name for node in self.cluster.nodes if mark in self.log_of(node)]

    def all_marks(self):
        """The numbers of all marks that each node has run."""
        return {node.name: {int(n) for n in MARK.findall(self.log_of(node))}
                for node in self.cluster.nodes}

    def query(self, conn, text):
        mark, text = self.mark(text)
        result = conn.query(text)
        return result, self.where(mark)

    def routes(self):
        """How many requests by each reason, of all databases together."""
        counts = Counter()
        for row in self.pooler.console("SHOW ROUTES"):
            counts[row["reason"]] += int(row["requests"])
        return {reason: n for reason, n in counts.items() if n}
