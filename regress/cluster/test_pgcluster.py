# SPDX-License-Identifier: PostgreSQL
"""contrib/pgcluster, which makes the clusters of these tests and of contrib/quickstart, after a failover."""

import pytest

from lib.pg import FOR_TESTS, pgcluster

pytestmark = pytest.mark.pgweir_only


def is_running(node):
    return (node.data / "postmaster.pid").exists()


def start_again(cluster):
    with pytest.raises(RuntimeError) as refused:
        pgcluster("start", str(cluster.directory), "--replicas", "2", *FOR_TESTS)
    return str(refused.value)


def test_no_start_beside_a_promoted_node(cluster):
    """Neither the old primary, which would take writes, nor anything else."""
    primary, one, two = cluster.nodes
    one.promote()
    for node in cluster.nodes:
        node.pg_ctl("-m", "fast", "stop")
    said = start_again(cluster)
    assert "replica1 was promoted" in said
    assert f"pgcluster drop {cluster.directory}" in said
    assert not any(is_running(node) for node in (primary, one, two))


def test_no_start_with_a_primary_that_follows(cluster):
    primary, one, _ = cluster.nodes
    primary.pg_ctl("-m", "fast", "stop")
    one.promote()
    primary.follow(one)
    assert "replica1 was promoted" in start_again(cluster)
    assert not is_running(primary)
    assert is_running(one)


def test_stop_after_a_promotion(cluster):
    """All of them, and one that was made by hand beside them."""
    primary, one, two = cluster.nodes
    one.promote()
    two.pg_ctl("-m", "fast", "stop")
    two.data = two.data.rename(cluster.directory / "copy")
    two.start()
    pgcluster("stop", str(cluster.directory))
    assert not any(is_running(node) for node in (primary, one, two))


def test_can_be_rewound(cluster):
    assert {node.execute("SHOW wal_log_hints")[0][0] for node in cluster.nodes} == {"on"}
