# SPDX-License-Identifier: PostgreSQL
"""routing = split: SHOW pgweir.lsn tells no less than the session must see."""

import re

import pytest

from lib.nodes import settle
from lib.routed import REPLICAS, Routed
from lib.wire import bind, describe, execute, parse, sync

pytestmark = pytest.mark.pgweir_only


@pytest.fixture
def shop(make_shop, cluster):
    return Routed.begin(cluster, make_shop)


def position(token):
    assert re.fullmatch(r"[1-9][0-9]*:[0-9A-F]+/[0-9A-F]+", token), token
    timeline, high, low = re.split("[:/]", token)
    return int(timeline), int(high, 16) << 32 | int(low, 16)


@pytest.mark.parametrize("how", ["simple", "extended"])
def test_token_is_told_on(shop, how):
    """Whatever position was given to a session, its own token has it."""
    def show(conn):
        if how == "extended":
            return conn.run(parse("", "SHOW pgweir.lsn"), bind(), describe("P"), execute(), sync()).value()
        return conn.query("SHOW pgweir.lsn").value()

    conn = shop.pooler.raw(dbname="shop")
    now = show(conn)
    conn.query("SET pgweir.lsn = '1:0/1'")
    assert position(show(conn)) >= position(now)
    conn.query("SET pgweir.lsn = '1:7/16B3748'")
    assert show(conn) == "1:7/16B3748"
    # It must see that still.
    conn.query("SET pgweir.lsn = '1:0/2'")
    assert show(conn) == "1:7/16B3748"
    conn.query("RESET pgweir.lsn")
    assert show(conn) == "1:7/16B3748"
    # Also before the transaction is over that brings it.
    conn.query("BEGIN")
    conn.query("SET pgweir.lsn = '1:8/0'")
    assert show(conn) == "1:8/0"
    conn.query("ROLLBACK")
    assert show(conn) == "1:7/16B3748"
    other = shop.pooler.raw(dbname="shop", options="-c pgweir.lsn=2:0/1 -c pgweir.route=primary")
    assert show(other) == "2:0/1"
    # Nor does it matter where the session was kept meanwhile.
    other = shop.pooler.raw(dbname="shop", options="-c pgweir.lsn=1:7/0 -c pgweir.route=primary")
    other.query("SET pgweir.lsn = '1:0/1'")
    other.query("SET pgweir.route = ''")
    assert show(other) == "1:7/0"
    assert shop.query(other, "SELECT 1")[1] == ["primary"]
    # What was set past all that looks at it tells nothing.
    other = shop.pooler.raw(dbname="shop")
    other.query("SELECT set_config('pgweir.lsn', 'garbage', false)")
    assert position(show(other)) >= position(now)


def test_token_of_a_replica(shop):
    for consistency in ("session", "eventual"):
        shop.pooler.settings["consistency"] = consistency
        shop.pooler.reload()
        settle(shop.pooler)
        conn = shop.pooler.raw(dbname="shop")
        conn.query("BEGIN READ ONLY")
        assert shop.query(conn, "SELECT 1")[1] in REPLICAS
        assert position(conn.query("SHOW pgweir.lsn").value())[0] == 1
        conn.query("SET pgweir.lsn = '1:7/0'")
        assert conn.query("SHOW pgweir.lsn").value() == "1:7/0"
        conn.query("ROLLBACK")
