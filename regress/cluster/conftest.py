# SPDX-License-Identifier: PostgreSQL
"""Poolers in front of a primary and two replicas that belong to one test."""

import pytest

from lib.cluster import MONITOR, Cluster, make_template
from lib.pg import pgcluster
from lib.pooler import Pooler


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    directory = make_template(tmp_path_factory.mktemp("template") / "pg")
    yield directory
    pgcluster("drop", str(directory))


@pytest.fixture
def cluster(template, tmp_path):
    made = Cluster(template, tmp_path / "pg")
    yield made
    made.stop()


@pytest.fixture
def make_shop(tmp_path, cluster):
    """make_shop(setting=value, nodes=..., of_nodes={...}) -> a Pooler with shop and shop_ro."""
    made = []

    def make(nodes=None, of_nodes=None, of_cluster=None, **settings):
        shop = {"nodes": " ".join(str(n) for n in nodes or cluster.nodes), **(of_cluster or {})}
        databases = {"shop": {"cluster": "shop", "dbname": "postgres"},
                     "shop_ro": {"cluster": "shop", "dbname": "postgres", "routing": "replica"}}
        if settings.get("routing") == "split":
            settings = {"session_state": "track", **settings}
        pooler = Pooler(tmp_path / f"p{len(made)}", "shop", None, databases=databases,
                        sections={"clusters": {"shop": shop}, "nodes": of_nodes or {}},
                        **{"pool_mode": "transaction", "monitor_user": MONITOR,
                           "monitor_password": "watching", "worker_threads": 2,
                              "routing": "primary", **settings})
        made.append(pooler)
        return pooler.start()

    yield make
    for pooler in made:
        pooler.stop()
