# SPDX-License-Identifier: PostgreSQL
"""Which node gets a read: by weight, zone and the way it is chosen; and how much of what replicas
cannot take the primary gets."""

from collections import Counter

import pytest

from lib.nodes import row_of, seen, settle, where
from lib.routed import Routed
from lib.wait import wait_for

pytestmark = pytest.mark.pgweir_only


def tally(pooler, database, count):
    """How many of so many transactions, one after the other, each node has run."""
    with pooler.raw(dbname=database) as conn:
        return Counter(where(conn) for _ in range(count))


def warm(pooler, nodes, database="shop_ro"):
    """Until there is a connection to each of the nodes in the one worker, and it has logged in."""
    wait_for(lambda: set(tally(pooler, database, 20)) == {node.port for node in nodes})


@pytest.mark.parametrize("balance", ["least_busy", "round_robin", "random"])
def test_weight(make_shop, cluster, balance):
    one, two = cluster.nodes[1:]
    pooler = make_shop(of_nodes={str(two): {"weight": "3"}}, worker_threads=1, balance=balance)
    settle(pooler)
    warm(pooler, [one, two])
    got = tally(pooler, "shop_ro", 200)
    assert got[one.port] + got[two.port] == 200
    # A connection may be asking what there is in the database when its turn comes.
    margin = 4 if balance == "round_robin" else 30
    assert 150 - margin <= got[two.port] <= 150 + margin
    assert int(row_of(pooler, one)["busy"]) == 0


def test_latency(make_shop, cluster):
    """All are about as near; what is measured is shown."""
    one, two = cluster.nodes[1:]
    pooler = make_shop(worker_threads=1, balance="latency")
    settle(pooler)
    assert seen(pooler, "shop_ro") <= {one.port, two.port}
    for node in cluster.nodes:
        assert 0 < int(row_of(pooler, node)["trip_us"]) < 2_000_000


def test_zone(make_shop, cluster):
    primary, near, far = cluster.nodes
    pooler = make_shop(of_cluster={"zone": "a"}, slow_start="0", max_lag="300ms",
                       of_nodes={str(near): {"zone": "a"}, str(far): {"zone": "b", "weight": "1000"}})
    settle(pooler)
    assert seen(pooler, "shop_ro", 20) == {near.port}
    assert row_of(pooler, near)["zone"] == "a"
    # Others while none of the zone is to be had.
    pooler.console(f"DRAIN {near}")
    wait_for(lambda: seen(pooler, "shop_ro", 4) == {far.port})
    pooler.console(f"DRAIN {far}")
    wait_for(lambda: seen(pooler, "shop_ro", 4) == {primary.port})
    pooler.console(f"UNBAN {far}")
    wait_for(lambda: seen(pooler, "shop_ro", 4) == {far.port})
    pooler.console(f"UNBAN {near}")
    wait_for(lambda: seen(pooler, "shop_ro", 4) == {near.port})


def test_full_pool_of_another_zone_makes_room(make_shop, cluster):
    """Connections that were made while the zone had nobody do not keep it from its work."""
    near, far = cluster.nodes[1:]
    pooler = make_shop(zone="a", slow_start="0", default_pool_size=4, worker_threads=1,
                       of_nodes={str(near): {"zone": "a"}, str(far): {"zone": "b"}})
    settle(pooler)
    pooler.console(f"DRAIN {near}")
    wait_for(lambda: seen(pooler, "shop_ro", 4) == {far.port})
    assert row_of(pooler, far)["links"] == "4"
    pooler.console(f"UNBAN {near}")
    assert seen(pooler, "shop_ro", 4) == {near.port}


def test_zone_of_split_reads(make_shop, cluster):
    near, far = cluster.nodes[1:]
    routed = Routed.begin(cluster, make_shop, zone="a",
                          of_nodes={str(near): {"zone": "a"}, str(far): {"zone": "b"}})
    with routed.pooler.raw(dbname="shop") as conn:
        for _ in range(10):
            assert routed.query(conn, "SELECT 1")[1] == [near.name]


def test_slow_start(make_shop, cluster):
    """What comes back has little to do at first."""
    one, two = cluster.nodes[1:]
    pooler = make_shop(worker_threads=1, slow_start="1h")
    settle(pooler)
    warm(pooler, [one, two])
    wait_for(lambda: row_of(pooler, two)["share"] == "100")
    pooler.console(f"DRAIN {two}")
    wait_for(lambda: row_of(pooler, two)["links"] == "0")
    pooler.console(f"UNBAN {two}")
    assert row_of(pooler, two)["share"] == "1"
    assert tally(pooler, "shop_ro", 100)[two.port] <= 10
    pooler.settings["slow_start"] = "0"
    pooler.reload()
    wait_for(lambda: row_of(pooler, two)["share"] == "100")
    warm(pooler, [one, two])
    assert tally(pooler, "shop_ro", 100)[two.port] >= 30
