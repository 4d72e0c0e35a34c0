# SPDX-License-Identifier: PostgreSQL
"""routing = split: pgweir.lsn and pgweir.route take what they understand, and refuse all else as
PostgreSQL refuses a wrong value; SHOW pgweir.lsn tells no less than the session must see."""

import re

import pytest

from lib.nodes import settle
from lib.routed import REPLICAS, Routed
from lib.wait import wait_for
from lib.wire import PgError, bind, close, describe, execute, parse, query, sync

pytestmark = pytest.mark.pgweir_only
TOKENS = ("garbage", "7/0", "0:0/1", "1:", "1:7", ":0/1", "1:0/1 ", "1:0/G", "+1:0/1", "4294967296:0/1", "1;0/1",
          "it''s")
HINTS = {"pgweir.lsn": "1:0/16B3748", "pgweir.route": "primary, replica"}


@pytest.fixture
def shop(make_shop, cluster):
    return Routed.begin(cluster, make_shop)


def assert_refused(error, name, value, severity="ERROR"):
    assert (error.severity, error.code, error.message) == \
        (severity, "22023", f'invalid value for parameter "{name}": "{value}"')
    assert HINTS[name] in error.fields["H"]


def reads_on_a_replica(shop, conn):
    wait_for(lambda: shop.query(conn, "SELECT 1")[1] in REPLICAS)
    return True


@pytest.mark.parametrize("name, values", [("pgweir.lsn", TOKENS),
                                          ("pgweir.route", ("bogus", "PRIMARY", "replicas", "primary "))])
def test_refused(shop, name, values):
    conn = shop.pooler.raw(dbname="shop")
    for value in values:
        result = conn.query(f"SET {name} = '{value}'")
        assert_refused(result.error, name, value.replace("''", "'"))
        assert (result.kinds, result.status) == ("EZ", "I")
    result = conn.query(f"SHOW {name}")
    assert result.status == "I" and (not result.error or result.error.code == "42704"), result.error
    assert reads_on_a_replica(shop, conn)


@pytest.mark.parametrize("text, value", [
    ("set session PGWEIR.lsn to 'bad'", "bad"), ("SET /* c */ pgweir . lsn = bad;", "bad"),
    ("SET \"pgweir\".\"lsn\" = E'bad'", "bad"), ("SET pgweir.lsn = $a$bad$a$", "bad"),
    ("SET pgweir.lsn = 17", "17"), ("SET pgweir.lsn = -1.5", "-1.5"), ("SET pgweir.lsn TO \"bad\" ; ", "bad"),
    ("SELECT 1; SET pgweir.lsn = 'bad'; SELECT 2", "bad"), ("SET pgweir.lsn = 'hex'", "hex"),
    ("SET pgweir.lsn = 'prä'", "prä"), ("SET pgweir.route = bogus", None),
])
def test_ways_to_write_it(shop, text, value):
    conn = shop.pooler.raw(dbname="shop")
    result = conn.query(text)
    assert_refused(result.error, "pgweir.lsn" if value else "pgweir.route", value or "bogus")
    assert ("SELECT 2" in text, "TD" in result.kinds) in ((False, False), (True, True))
    assert (len(result.rows), result.status) == (int("SELECT 2" in text), "I")


def test_accepted(shop):
    conn = shop.pooler.raw(dbname="shop")
    token = conn.query("SHOW pgweir.lsn").value()
    for text in (f"SET pgweir.lsn = '{token}'", f"SET pgweir.lsn TO '{token.lower()}'", "SET pgweir.lsn = ''",
                 "SET pgweir.lsn TO DEFAULT", "RESET pgweir.lsn", "SET pgweir.route = 'primary'",
                 "SET pgweir.route = REPLICA", "SET pgweir.route = ''", "SET pgweir.route = DEFAULT",
                 "RESET pgweir.route", "SET pgweir.other = 'bogus'"):
        result = conn.query(text)
        assert (result.error, result.status) == (None, "I"), text
    assert reads_on_a_replica(shop, conn)
    assert conn.query("SET bytea_output = 'bogus'").error.message == \
        'invalid value for parameter "bytea_output": "bogus"'


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN READ ONLY"])
def test_in_a_transaction(shop, begin):
    conn = shop.pooler.raw(dbname="shop")
    for first in ("SELECT 1", None):
        conn.query(begin)
        if first:
            conn.query(first)
        result = conn.query("SET LOCAL pgweir.lsn = 'garbage'")
        assert_refused(result.error, "pgweir.lsn", "garbage")
        assert result.status == "E"
        assert conn.query("SELECT 1").error.code == "25P02"
        # What PostgreSQL says of any statement then.
        assert conn.query("SET pgweir.lsn = 'garbage'").error.code == "25P02"
        assert conn.query("COMMIT").tag == "ROLLBACK"
    conn.query("BEGIN")
    conn.query("INSERT INTO t VALUES (1)")
    conn.query("SAVEPOINT s")
    assert conn.query("SET pgweir.route = 'bogus'").status == "E"
    assert conn.query("ROLLBACK TO s").status == "T"
    assert conn.query("COMMIT").tag == "COMMIT"
    assert conn.query("SELECT count(*) FROM t").value() == "1"


@pytest.mark.parametrize("name", ["", "s"])
def test_extended(shop, name):
    conn = shop.pooler.raw(dbname="shop")
    for _ in range(2):
        conn.run(close("S", name), sync())
        result = conn.run(parse("", "INSERT INTO t VALUES (1)"), bind(), execute(),
                          parse(name, "SET pgweir.lsn = 'garbage'"), bind("", name), describe("P"), execute(),
                          parse("", "INSERT INTO t VALUES (2)"), bind(), execute(), sync())
        assert_refused(result.error, "pgweir.lsn", "garbage")
        assert (result.kinds, result.status) == ("12C12nEZ", "I")
    assert conn.query("SELECT count(*) FROM t").value() == "0"
    # As with any SET: it is its Execute that fails.
    assert conn.run(parse("t", "SET pgweir.lsn = '7/0'"), describe("S", "t"), sync()).kinds == "1tnZ"
    for _ in range(2):
        result = conn.run(bind("", "t"), execute(), sync())
        assert_refused(result.error, "pgweir.lsn", "7/0")
        assert result.kinds == "2EZ"
    other = shop.pooler.raw(dbname="shop")
    assert other.run(parse("u", "SET pgweir.lsn = '7/0'"), sync()).error is None
    assert_refused(other.run(bind("", "u"), execute(), sync()).error, "pgweir.lsn", "7/0")
    conn.run(close("S", name), sync())
    conn.query("BEGIN")
    result = conn.run(parse(name, "SET pgweir.route = 'bogus'"), bind("", name), execute(), sync())
    assert_refused(result.error, "pgweir.route", "bogus")
    assert result.status == "E"
    conn.query("ROLLBACK")
    assert reads_on_a_replica(shop, conn)


def test_pipeline(shop):
    conn = shop.pooler.raw(dbname="shop")
    texts = ["SET pgweir.lsn = 'one'", "SELECT 1", "SET pgweir.route = 'two'", "INSERT INTO t VALUES (1)",
             "SET pgweir.lsn = 'three'"]
    conn.send(b"".join(query(text) for text in texts))
    results = [conn.result() for _ in texts]
    assert [r.error.message.split('"')[3] if r.error else None for r in results] == \
        ["one", None, "two", None, "three"]
    assert conn.query("SELECT count(*) FROM t").value() == "1"


@pytest.mark.parametrize("params", [{"options": "-c {}={}"}, {"{}": "{}"}])
def test_startup(shop, params):
    for name, value in (("pgweir.lsn", "garbage"), ("pgweir.lsn", "7/0"), ("pgweir.route", "bogus")):
        if "options" in params:
            given = {"options": f"-c {name}={value}"}
        else:
            given = {name: value}
        conn = shop.pooler.raw(dbname="shop", login=False)
        with pytest.raises(PgError) as error:
            conn.login("alice", "shop", shop.pooler.auth["alice"], **given)
        assert_refused(error.value, name, value, "FATAL")
        assert conn.is_closed()
    conn = shop.pooler.raw(dbname="shop", options="-c pgweir.lsn= -c pgweir.route=")
    assert reads_on_a_replica(shop, conn)


def test_where_reads_are_not_split_off(shop):
    """They are settings like any other there."""
    shop.pooler.settings["routing"] = "primary"
    shop.pooler.reload()
    conn = shop.pooler.raw(dbname="shop", options="-c pgweir.lsn=garbage")
    assert conn.query("SET pgweir.lsn = 'other'").error is None
    assert conn.query("SHOW pgweir.lsn").value() == "other"


def position(token):
    assert re.fullmatch(r"[1-9][0-9]*:[0-9A-F]+/[0-9A-F]+", token), token
    timeline, high, low = re.split("[:/]", token)
    return int(timeline), int(high, 16) << 32 | int(low, 16)


def show_simply(conn):
    return conn.query("SHOW pgweir.lsn").value()


def show_extended(conn):
    return conn.run(parse("", "SHOW pgweir.lsn"), bind(), describe("P"), execute(), sync()).value()


def show_prepared(conn):
    """As drivers do that keep a statement once they have seen it often enough."""
    if not hasattr(conn, "has_show"):
        assert conn.run(parse("show", "SHOW pgweir.lsn"), sync()).error is None
        conn.has_show = True
    return conn.run(bind("", "show"), execute(), sync()).value()


SHOWS = pytest.mark.parametrize("show", [show_simply, show_extended, show_prepared])


@SHOWS
def test_token_is_told_on(shop, show):
    """Whatever position was given to a session, its own token has it."""
    conn = shop.pooler.raw(dbname="shop")
    now = show(conn)
    conn.query("SET pgweir.lsn = '1:0/1'")
    assert position(show(conn)) >= position(now)
    # The primary says what there is on its timeline: nobody has more.
    conn.query("SET pgweir.lsn = '1:7/16B3748'")
    assert position(now) <= position(show(conn)) < (1, 7 << 32)
    # Not so of a timeline that it has not heard of, also before the transaction is over that brings it.
    conn.query("BEGIN")
    conn.query("SET pgweir.lsn = '2:0/1'")
    assert show(conn) == "2:0/1"
    conn.query("ROLLBACK")
    assert position(show(conn))[0] == 1
    other = shop.pooler.raw(dbname="shop", options="-c pgweir.lsn=2:0/1 -c pgweir.route=primary")
    assert show(other) == "2:0/1"
    # What was set past all that looks at it tells nothing.
    for garbage in ("garbage", "4294967296:0/1", "9999999999:0/1", "1:"):
        other.query(f"SELECT set_config('pgweir.lsn', '{garbage}', false)")
        assert position(show(other)) >= position(now)
        assert position(show(other))[0] == 1


@SHOWS
def test_token_of_a_transaction(shop, show):
    """What it has written has no position before it ends: whoever is given that sees all there is then."""
    conn, other = shop.pooler.raw(dbname="shop"), shop.pooler.raw(dbname="shop")
    show(conn)
    for node in shop.cluster.nodes[1:]:
        node.execute("SELECT pg_wal_replay_pause()")
    conn.query("BEGIN")
    assert position(show(conn))[0] == 1
    conn.query("INSERT INTO t VALUES (4711)")
    token = show(conn)
    assert token == "4294967295:0/0"
    conn.query("COMMIT")
    other.query(f"SET pgweir.lsn = '{token}'")
    assert shop.query(other, "SELECT count(*) FROM t WHERE v = 4711")[1] == ["primary"]
    # Its own is one again.
    assert position(show(other))[0] == 1
    result = conn.query("INSERT INTO t VALUES (4711); SHOW pgweir.lsn")
    assert result.value() == token
    result = conn.query("BEGIN; INSERT INTO t VALUES (4711); COMMIT; SHOW pgweir.lsn")
    assert position(result.value())[0] == 1
    for node in shop.cluster.nodes[1:]:
        node.execute("SELECT pg_wal_replay_resume()")


@pytest.mark.parametrize("text", [
    "SHOW pgweir.lsn -- app", "-- app\nSHOW pgweir.lsn", "SHOW \"pgweir\".\"lsn\"", "show PGWEIR . lsn ; ;",
    "/* a /* b */ */ SHOW pgweir.lsn", "SELECT 1 WHERE false; SHOW pgweir.lsn", "SHOW pgweir.lsn; SET x.y = 'z'"])
def test_ways_to_ask(shop, text):
    conn = shop.pooler.raw(dbname="shop")
    conn.query("SET pgweir.lsn = '1:0/1'")
    assert position(conn.query(text).value()) > (1, 1)
    if text.count("SHOW") and "; SET" not in text and "false;" not in text:
        assert position(conn.run(parse("", text), bind(), execute(), sync()).value()) > (1, 1)


def test_no_way_to_ask(shop):
    conn = shop.pooler.raw(dbname="shop")
    assert conn.query("SELECT '; SHOW pgweir.lsn; ' AS x").value() == "; SHOW pgweir.lsn; "
    conn.query("SET standard_conforming_strings = off")
    assert conn.query("SELECT '\\'; SHOW pgweir.lsn; ' AS x").value() == "'; SHOW pgweir.lsn; "
    assert position(conn.query("SHOW pgweir.lsn").value())[0] == 1


@SHOWS
@pytest.mark.parametrize("shared", ["fallback", "always"])
def test_token_where_the_primary_stands_in(shop, show, shared):
    """A read that runs on the primary in the place of a replica tells the primary's position."""
    shop.pooler.settings["primary_reads"] = shared
    shop.pooler.reload()
    settle(shop.pooler)
    for node in shop.cluster.nodes[1:]:
        shop.pooler.console(f"DRAIN {node}")
    conn = shop.pooler.raw(dbname="shop")
    conn.query("INSERT INTO t VALUES (1)")
    written = shop.cluster.nodes[0].execute("SELECT pg_current_wal_flush_lsn() - '0/0'")[0][0]
    conn.query("BEGIN READ ONLY")
    assert shop.query(conn, "SELECT 1")[1] == ["primary"]
    assert position(show(conn)) >= (1, written)
    conn.query("COMMIT")


@pytest.mark.parametrize("first", [0, 1])
def test_prepared_on_the_other_node(shop, first):
    """Asked for on the primary and on a replica by one statement, whichever it was prepared on."""
    conn = shop.pooler.raw(dbname="shop")
    for at_replica in (first, 1 - first, first):
        assert reads_on_a_replica(shop, conn)
        conn.query("BEGIN READ ONLY" if at_replica else "BEGIN")
        _, ran = shop.query(conn, "SELECT 1")
        assert (ran in REPLICAS) == bool(at_replica), ran
        assert position(show_prepared(conn)) > (1, 1 << 16)
        conn.query("COMMIT")


def test_token_that_is_nowhere(shop):
    """A position that the primary has not come to asks for no more than what there is."""
    conn = shop.pooler.raw(dbname="shop")
    conn.query("SET pgweir.lsn = '1:FFFFFFFF/FFFFFFFF'")
    wait_for(lambda: shop.query(conn, "SELECT 1")[1] in REPLICAS)


@pytest.mark.parametrize("consistency", ["session", "eventual"])
def test_token_of_a_replica(shop, consistency):
    shop.pooler.settings["consistency"] = consistency
    shop.pooler.reload()
    settle(shop.pooler)
    conn = shop.pooler.raw(dbname="shop")
    conn.query("INSERT INTO t VALUES (1)")
    written = shop.cluster.nodes[0].execute("SELECT pg_current_wal_flush_lsn() - '0/0'")[0][0]
    shop.cluster.catch_up()
    wait_for(lambda: shop.query(conn, "SELECT 1")[1] in REPLICAS)
    conn.query("BEGIN READ ONLY")
    assert shop.query(conn, "SELECT 1")[1] in REPLICAS
    assert position(conn.query("SHOW pgweir.lsn").value()) >= (1, written)
    conn.query("SET pgweir.lsn = '1:7/0'")
    assert conn.query("SHOW pgweir.lsn").value() == "1:7/0"
    conn.query("ROLLBACK")


def test_token_of_the_start_up_packet_hinders_no_reset(shop):
    token = shop.pooler.raw(dbname="shop").query("SHOW pgweir.lsn").value()
    conn = shop.pooler.raw(dbname="shop", options=f"-c pgweir.lsn={token} -c pgweir.route=primary")
    result = conn.query("RESET ALL; SELECT 1")
    assert (result.error, result.value()) == (None, "1")
    # As it was asked for, then as it is.
    assert conn.query("SELECT current_setting('pgweir.route')").value() == "primary"
    assert shop.query(conn, "SELECT 1")[1] == ["primary"]


def test_route_of_a_transaction(shop):
    """SET LOCAL holds for that one: its reads are on the primary, those after it are not."""
    conn = shop.pooler.raw(dbname="shop")
    for end in ("COMMIT", "ROLLBACK"):
        assert reads_on_a_replica(shop, conn)
        assert conn.query("BEGIN READ ONLY").status == "T"
        assert conn.query("SET LOCAL pgweir.route = 'primary'").error is None
        for _ in range(3):
            assert shop.query(conn, "SELECT count(*) FROM t")[1] == ["primary"]
        assert conn.query(end).status == "I"
        assert conn.query("SHOW pgweir.route").value() == ""
        assert reads_on_a_replica(shop, conn)
