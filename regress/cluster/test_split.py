# SPDX-License-Identifier: PostgreSQL
"""routing = split: what is proved to read runs on a replica that has all that its client must see,
all else on the primary; by what the servers themselves have logged."""

import re

import pytest

from lib.nodes import settle
from lib.routed import REPLICAS, Routed
from lib.wait import wait_for
from lib.wire import bind, describe, execute, flush, parse, query, sync

pytestmark = pytest.mark.pgweir_only


@pytest.fixture
def shop(make_shop, cluster):
    return Routed.begin(cluster, make_shop)


# Made past the pooler, which does not know yet what it does.
WRITER = """CREATE FUNCTION writer() RETURNS int LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO t VALUES (1); RETURN 7; END $$;
            CREATE OR REPLACE VIEW v AS SELECT writer() AS i"""


def test_reads_and_writes(shop):
    conn = shop.pooler.raw(dbname="shop")
    result, where = shop.query(conn, "SELECT count(*) FROM t")
    assert (result.rows, where in REPLICAS) == ([["0"]], True), shop.routes()
    result, where = shop.query(conn, "INSERT INTO t VALUES (1)")
    assert (result.error, where) == (None, ["primary"])
    # Its own write, at once and later.
    assert conn.query("SELECT count(*) FROM t").value() == "1"

    def on_replica():
        result, where = shop.query(conn, "SELECT count(*) FROM t")
        assert result.value() == "1"
        return where in REPLICAS

    wait_for(on_replica)
    # Both pools are one row.
    row, = [r for r in shop.pooler.console("SHOW POOLS") if r["database"] == "shop"]
    assert int(row["sv_idle"]) + int(row["sv_active"]) >= 2


def test_extended(shop):
    conn = shop.pooler.raw(dbname="shop")
    for name in ("", "s"):
        mark, text = shop.mark("SELECT 1 WHERE $1::int = 1")
        result = conn.run(parse(name, text), bind("", name, [1]), describe("P"), execute(), sync())
        assert (result.kinds, result.rows) == ("12TDCZ", [["1"]])
        assert shop.where(mark) in REPLICAS
    mark, text = shop.mark("INSERT INTO t VALUES ($1)")
    assert conn.run(parse("", text), bind("", "", [1]), execute(), sync()).error is None
    assert shop.where(mark) == ["primary"]
    mark, text = shop.mark("SELECT 2")
    conn.send(parse("", text) + flush())
    conn.send(bind() + execute() + sync())
    assert conn.result().rows == [["2"]]
    assert shop.where(mark) == ["primary"]


@pytest.mark.parametrize("begin", [
    ["BEGIN"], ["BEGIN READ ONLY"], ["START TRANSACTION READ ONLY"], ["BEGIN", "SET TRANSACTION READ ONLY"],
    ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SET TRANSACTION READ ONLY"],
    ["BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"], ["BEGIN READ ONLY", "SET TRANSACTION READ WRITE"],
    ["BEGIN; SET TRANSACTION READ ONLY"],
])
def test_transactions(shop, begin):
    # What begins by a request of several statements is on the primary before the next one comes.
    is_read = "READ ONLY" in begin[-1] and "SERIALIZABLE" not in begin[-1] and ";" not in begin[-1]
    for first in (True, False):
        direct, conn = shop.cluster.nodes[0].raw(), shop.pooler.raw(dbname="shop")
        for text in begin:
            got, wanted = conn.query(text), direct.query(text)
            assert (got.kinds, got.tags, got.status) == (wanted.kinds, wanted.tags, "T")
        if first:
            result, where = shop.query(conn, "SELECT count(*) FROM t")
            assert (result.value(), result.status, where in REPLICAS) == ("0", "T", is_read)
            result, where = shop.query(conn, "SELECT pg_is_in_recovery()")
            assert (result.value() == "t", where in REPLICAS) == (is_read, is_read)
        else:
            mark, text = shop.mark("SELECT $1::int")
            assert conn.run(parse("", text), bind("", "", [7]), execute(), sync()).rows == [["7"]]
            assert (shop.where(mark) in REPLICAS) == is_read
        result = conn.query("INSERT INTO t VALUES (1)")
        assert (result.error.code if result.error else None) == \
            ("25006" if "READ ONLY" in begin[-1] else None)
        result, where = shop.query(conn, "ROLLBACK")
        assert (result.tag, result.status) == ("ROLLBACK", "I")
        assert (where in REPLICAS) == is_read
        conn.close()
        direct.close()


def test_transaction_whose_first_statement_is_no_read(shop):
    conn = shop.pooler.raw(dbname="shop")
    for text in ("SELECT pg_is_in_recovery()", "SELECT pg_advisory_xact_lock(1)"):
        conn.query("BEGIN READ ONLY")
        assert shop.query(conn, text)[1] == ["primary"]
        assert shop.query(conn, "SELECT count(*) FROM t")[1] == ["primary"]
        assert conn.query("COMMIT").status == "I"


def test_empty_transactions(shop):
    conn = shop.pooler.raw(dbname="shop")
    for end in ("COMMIT", "ROLLBACK", "COMMIT AND CHAIN"):
        assert conn.query("BEGIN READ ONLY").status == "T"
        assert conn.run(sync()).status == "T"
        result = conn.query(end)
        assert (result.tag, result.status) == (end.split()[0], "T" if "CHAIN" in end else "I")
    assert conn.query("ROLLBACK").status == "I"
    notice, = conn.query("ROLLBACK").notices
    assert notice.code == "25P01"


def begin_anew(shop):
    """A pooler that has just asked what there is, and does not ask again for ten seconds."""
    shop.pooler.stop()
    shop.pooler.start()
    settle(shop.pooler)
    shop.cluster.catch_up()
    shop.warm_up()
    return shop.pooler.raw(dbname="shop")


@pytest.fixture
def refused(shop):
    """A view that begins to write when everybody takes it for one that only reads."""
    primary = shop.cluster.nodes[0]
    primary.execute("CREATE VIEW v AS SELECT 1 AS i; GRANT ALL ON v TO public")
    conn = begin_anew(shop)
    assert shop.query(conn, "SELECT i FROM v")[1] in REPLICAS
    primary.execute(WRITER)
    shop.cluster.catch_up()
    return conn


def ran_on_both(where):
    return len(where) == 2 and where[0] == "primary"


@pytest.mark.parametrize("how", ["simple", "unnamed", "parsed at once", "prepared", "described", "pipeline"])
def test_read_that_a_replica_refuses(shop, refused, how):
    """It runs on the primary, and nobody is told; nothing of its shape goes to a replica again."""
    mark, text = shop.mark("SELECT i FROM v")
    conn = refused
    if how in ("prepared", "described"):
        described = describe("S", "s") if how == "described" else b""
        assert conn.run(parse("s", text), described, sync()).error is None
    data = {"simple": query(text),
            "unnamed": parse("", text) + bind() + describe("P") + execute() + sync(),
            "parsed at once": parse("s", text) + bind("", "s") + describe("P") + execute() + sync(),
            "prepared": bind("", "s") + describe("P") + execute() + sync(),
            "described": bind("", "s") + execute() + sync(),
            "pipeline": parse("", "SELECT 1") + bind() + execute() + parse("s", text) + bind("", "s") +
                        execute() + parse("u", "SELECT 2") + bind("", "u") + execute() + sync()}[how]
    wanted = {"simple": "TDCZ", "unnamed": "12TDCZ", "parsed at once": "12TDCZ", "prepared": "2TDCZ",
              "described": "2DCZ", "pipeline": "12DC12DC12DCZ"}[how]
    result = conn.run(data)
    assert (result.kinds.replace("S", ""), result.error) == (wanted, None)
    assert result.rows == ([["1"], ["7"], ["2"]] if how == "pipeline" else [["7"]])
    assert ran_on_both(shop.where(mark))
    assert shop.routes()["refused"] == 1
    if how == "simple":
        other = shop.pooler.raw(dbname="shop")
        result, where = shop.query(other, "SELECT i FROM v")
        assert (result.value(), where) == ("7", ["primary"])
    # Its names are as they should be.
    if how == "parsed at once":
        assert conn.run(parse("s", text), sync()).error.code == "42P05"
    if how == "pipeline":
        assert conn.run(bind("", "u"), execute(), sync()).rows == [["2"]]
    assert conn.query("SELECT count(*) FROM t").value() == ("2" if how == "simple" else "1")


# What is made, how it is read, how it is changed past the pooler, and what a standby says then.
CHANGED = {
    "0A000": ("CREATE TABLE kept AS SELECT 7 AS i; GRANT ALL ON kept TO public", "SELECT i FROM kept",
              "ALTER TABLE kept SET UNLOGGED",
              "cannot access temporary or unlogged relations during recovery"),
    "55000": ("CREATE FUNCTION place() RETURNS text LANGUAGE sql STABLE AS 'SELECT now()::text'",
              "SELECT 7 WHERE place() IS NOT NULL",
              "CREATE OR REPLACE FUNCTION place() RETURNS text LANGUAGE sql STABLE AS "
              "'SELECT pg_current_wal_lsn()::text'", "recovery is in progress"),
}


@pytest.mark.parametrize("how", ["simple", "extended"])
@pytest.mark.parametrize("code", CHANGED)
def test_what_only_a_standby_cannot_do(shop, code, how):
    """It is refused by other codes than a write is; so it was no read, and is remembered."""
    def ask(conn):
        mark, marked = shop.mark(text)
        result = conn.query(marked) if how == "simple" else \
            conn.run(parse("", marked), bind(), describe("P"), execute(), sync())
        assert (result.error, result.rows, result.status) == (None, [["7"]], "I"), shop.routes()
        return shop.where(mark)

    made, text, changed, message = CHANGED[code]
    shop.cluster.nodes[0].execute(made)
    conn = begin_anew(shop)
    assert ask(conn) in REPLICAS
    shop.cluster.nodes[0].execute(changed)
    shop.cluster.catch_up()
    where = ask(conn)
    assert ran_on_both(where)
    replica, = (node for node in shop.cluster.nodes[1:] if node.name in where)
    assert f"ERROR:  {message}" in shop.log_of(replica)
    with replica.raw() as direct:
        assert direct.query(text).error.code == code
    assert shop.routes()["refused"] == 1
    assert ask(conn) == ["primary"]
    assert shop.routes()["refused"] == 2
    assert ask(shop.pooler.raw(dbname="shop")) == ["primary"]


def test_transaction_that_a_replica_refuses(shop, refused):
    """PostgreSQL would have refused it, too."""
    refused.query("BEGIN READ ONLY")
    assert refused.query("SELECT i FROM v").error.code == "25006"
    assert refused.query("SELECT 1").error.code == "25P02"
    assert refused.query("ROLLBACK").status == "I"


def test_error_of_its_own(shop):
    conn = shop.pooler.raw(dbname="shop")
    for _ in range(2):
        mark, text = shop.mark("SELECT 1 / (v - v) FROM generate_series(1, 2) v")
        assert conn.query(text).error.code == "22012"
        assert shop.where(mark) in REPLICAS


def test_requests_behind_each_other(shop):
    """Each is for its own node, and what comes later waits."""
    conn = shop.pooler.raw(dbname="shop")
    texts = ["SELECT 1", "INSERT INTO t VALUES (1)", "SELECT count(*) FROM t", "SELECT 4", "BEGIN",
             "INSERT INTO t VALUES (1)", "SELECT count(*) FROM t", "COMMIT", "SELECT count(*) FROM t"]
    marked = [shop.mark(text) for text in texts]
    conn.send(b"".join(query(text) for _, text in marked))
    results = [conn.result() for _ in texts]
    assert [r.error for r in results] == [None] * len(texts)
    assert [r.rows for r in results if r.rows] == [[["1"]], [["1"]], [["4"]], [["2"]], [["2"]]]
    assert [r.status for r in results] == ["I"] * 4 + ["T"] * 3 + ["I"] * 2
    nodes = [shop.where(mark) for mark, _ in marked]
    assert nodes[0] in REPLICAS
    assert nodes[1] == nodes[5] == ["primary"]
    conn.send(b"".join(parse("", text) + bind() + execute() + sync() for text in texts[:4]))
    results = [conn.result() for _ in range(4)]
    assert [r.rows for r in results if r.rows] == [[["1"]], [["3"]], [["4"]]]


@pytest.mark.parametrize("cut", ["bytes", "random", 7])
def test_requests_that_come_in_pieces(shop, cut):
    conn = shop.pooler.raw(dbname="shop")
    mark, text = shop.mark("SELECT 1 WHERE $1::int = 1")
    conn.send(parse("", text) + bind("", "", [1]) + execute() + sync(), cut)
    assert conn.result().rows == [["1"]]
    assert shop.where(mark) in REPLICAS
    mark, text = shop.mark("SELECT 2")
    conn.send(query(text), cut)
    assert conn.result().rows == [["2"]]
    assert shop.where(mark) in REPLICAS


def test_hints(shop):
    conn = shop.pooler.raw(dbname="shop")
    for text, wanted in (("/* pgweir: primary */ SELECT 1", False), (" /*pgweir:primary*/SELECT 1", False),
                         ("/* pgweir: elsewhere */ SELECT 1", True), ("SELECT 1 /* pgweir: primary */", True)):
        conn = shop.pooler.raw(dbname="shop")
        mark = f"/* hint {next(shop.marks)} */"
        assert conn.query(f"{text} {mark}").value() == "1"
        assert (shop.where(mark) in REPLICAS) == wanted, text
        conn.close()
    conn = shop.pooler.raw(dbname="shop")
    mark = f"/* hint {next(shop.marks)} */"
    # Whoever says so knows better, but for what is no read by its grammar.
    assert conn.query(f"/* pgweir: replica */ SELECT inet_server_port() {mark}").error is None
    assert shop.where(mark) in REPLICAS
    assert conn.query("/* pgweir: replica */ INSERT INTO t VALUES (1)").error is None
    conn.close()


def test_route_of_the_session(shop):
    conn = shop.pooler.raw(dbname="shop", options="-c pgweir.route=primary")
    assert shop.query(conn, "SELECT 1")[1] == ["primary"]
    conn.query("SET pgweir.route = ''")
    wait_for(lambda: shop.query(conn, "SELECT 1")[1] in REPLICAS)
    conn.query("SET pgweir.route = 'replica'")
    wait_for(lambda: shop.query(conn, "SELECT inet_server_port()")[1] in REPLICAS)
    conn.query("SET pgweir.route = 'primary'")
    assert shop.query(conn, "SELECT 1")[1] == ["primary"]


def test_routing_of_a_user_and_by_itself(shop):
    """routing = auto splits reads off where the session is tracked; a user's own counts more."""
    def is_read_on_a_replica():
        with shop.pooler.raw(dbname="shop") as conn:
            return shop.query(conn, "SELECT 1")[1] in REPLICAS

    for settings, users, is_split in (({"routing": "auto"}, {}, True), ({}, {"alice": "routing=primary"}, False),
                                      ({"routing": "primary"}, {"alice": "routing=auto"}, True),
                                      ({}, {"alice": "routing=auto pool_mode=session"}, False)):
        shop.pooler.settings.update(settings)
        shop.pooler.users = users
        shop.pooler.reload()
        wait_for(lambda wanted=is_split: is_read_on_a_replica() == wanted)
        assert [is_read_on_a_replica() for _ in range(3)] == [is_split] * 3


def test_longer_than_the_buffer(shop):
    """What is not held whole runs on the primary."""
    conn = shop.pooler.raw(dbname="shop")
    long = f"SELECT length('{'x' * 100_000}')"
    assert shop.query(conn, long)[1] == ["primary"]
    shop.pooler.settings["route_buffer"] = "200kB"
    shop.pooler.reload()
    wait_for(lambda: shop.query(conn, long)[1] in REPLICAS)
    result = conn.run(parse("", long), bind(), describe("P", ""), execute(), sync())
    assert result.value() == "100000"


@pytest.mark.parametrize("is_extended", [False, True])
def test_token_for_another_session(shop, is_extended):
    for node in shop.cluster.nodes[1:]:
        node.execute("SELECT pg_wal_replay_pause()")
    writer, reader = shop.pooler.raw(dbname="shop"), shop.pooler.raw(dbname="shop")
    writer.query("INSERT INTO t VALUES (1)")
    assert reader.query("SELECT count(*) FROM t").value() == "0"
    result = writer.run(parse("", "show  PGWEIR.lsn"), bind(), describe("P"), execute(), sync()) \
        if is_extended else writer.query("SHOW pgweir.lsn;")
    assert [c.name for c in result.columns] == ["pgweir.lsn"]
    token = result.value()
    assert re.fullmatch(r"1:[0-9A-F]+/[0-9A-F]+", token)
    if is_extended:
        other = shop.pooler.raw(dbname="shop", options=f"-c pgweir.lsn={token}")
    else:
        other = reader
        other.query(f"SET pgweir.lsn = '{token}'")
    result, where = shop.query(other, "SELECT count(*) FROM t")
    assert (result.value(), where) == ("1", ["primary"])
    for node in shop.cluster.nodes[1:]:
        node.execute("SELECT pg_wal_replay_resume()")
    wait_for(lambda: shop.query(other, "SELECT count(*) FROM t")[1] in REPLICAS)
    assert other.query("SELECT count(*) FROM t").value() == "1"


@pytest.mark.parametrize("consistency", ["eventual", "monotonic", "session", "global"])
def test_consistency(shop, consistency):
    """What a session sees of its own write, and of another's, while replay waits."""
    shop.pooler.settings["consistency"] = consistency
    shop.pooler.reload()
    for node in shop.cluster.nodes[1:]:
        node.execute("SELECT pg_wal_replay_pause()")
    writer, reader = shop.pooler.raw(dbname="shop"), shop.pooler.raw(dbname="shop")
    writer.query("INSERT INTO t VALUES (1)")
    own, others = (c.query("SELECT count(*) FROM t").value() for c in (writer, reader))
    assert (own, others) == {"eventual": ("0", "0"), "monotonic": ("0", "0"), "session": ("1", "0"),
                             "global": ("1", "1")}[consistency]
    assert writer.query("BEGIN").error is None
    assert writer.query("SELECT count(*) FROM t").value() == "1"
    assert writer.query("COMMIT").error is None
    # Having seen it, it is not to see less.
    assert writer.query("SELECT count(*) FROM t").value() == ("0" if consistency == "eventual" else "1")
    for node in shop.cluster.nodes[1:]:
        node.execute("SELECT pg_wal_replay_resume()")
    wait_for(lambda: shop.query(writer, "SELECT count(*) FROM t")[1] in REPLICAS)
    # One replica may be before the other.
    if consistency == "eventual":
        shop.cluster.catch_up()
    assert writer.query("SELECT count(*) FROM t").value() == "1"


def test_waiting_for_a_replica(shop):
    shop.pooler.settings["ryw_wait"] = "10s"
    shop.pooler.reload()
    conn = shop.pooler.raw(dbname="shop")
    for i in range(5):
        conn.query("INSERT INTO t VALUES (1)")
        result, where = shop.query(conn, "SELECT count(*) FROM t")
        assert (result.value(), where in REPLICAS) == (str(i + 1), True)
        result = conn.run(parse("", "SELECT count(*) FROM t"), bind(), execute(), sync())
        assert result.value() == str(i + 1)


@pytest.mark.parametrize("consistency", ["session", "global"])
def test_waiting_for_a_link_to_a_replica(shop, consistency):
    """What is known of a server when a link to it is opened says nothing of what that will show: who
    may wait does so until it is asked again."""
    shop.pooler.settings.update(ryw_wait="10s", consistency=consistency)
    shop.pooler.reload()
    conn = shop.pooler.raw(dbname="shop")
    one, other = shop.cluster.nodes[1:]
    if shop.query(conn, "SELECT 1")[1] != [one.name]:
        one, other = other, one
    one.execute("SELECT pg_wal_replay_pause()")
    conn.query("INSERT INTO t VALUES (1)")
    result, where = shop.query(conn, "SELECT count(*) FROM t")
    assert (result.value(), where) == ("1", [other.name])


@pytest.mark.parametrize("text", ["SELECT pg_current_wal_lsn()", "LISTEN here", "SELECT * FROM kept_apart"])
def test_hint_of_what_a_replica_refuses(shop, text):
    """Within a transaction that runs there nobody else can do it; the user is told who could."""
    primary = shop.cluster.nodes[0]
    primary.execute("CREATE UNLOGGED TABLE kept_apart (v int); GRANT ALL ON kept_apart TO public")
    shop.cluster.catch_up()
    conn = shop.pooler.raw(dbname="shop")
    conn.query("BEGIN READ ONLY")
    assert shop.query(conn, "SELECT 1")[1] in REPLICAS
    error = conn.query(text).error
    assert error.code in ("55000", "0A000", "25006") and "/* pgweir: primary */" in error.fields["H"], error.fields
    conn.query("ROLLBACK")
    conn.query("/* pgweir: primary */ BEGIN READ ONLY")
    error = conn.query(text).error
    assert not error or "H" not in error.fields
    conn.query("ROLLBACK")


def test_routes_of_all_workers(shop):
    """Of several, each of which has some of the clients."""
    conns = [shop.pooler.raw(dbname="shop") for _ in range(8)]
    before = shop.routes()["read"]
    for conn in conns:
        for _ in range(5):
            assert conn.query("SELECT 1").value() == "1"
    assert shop.routes()["read"] == before + 40
