# SPDX-License-Identifier: PostgreSQL
"""routing = split and SQL's EXECUTE of what a client has prepared by messages: it goes where the
statement that it runs would go by itself, and finds it there."""

import pytest

from lib.nodes import settle
from lib.routed import REPLICAS, Routed
from lib.wait import wait_for
from lib.wire import bind, close, describe, execute, parse, query, run_named, sync

pytestmark = pytest.mark.pgweir_only
READ = "SELECT count(*) FROM t WHERE $1::int = 1"


@pytest.fixture
def shop(make_shop, cluster):
    cluster.nodes[0].execute(
        "CREATE FUNCTION writes(int) RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO t VALUES ($1); RETURN $1; END $$;"
        "CREATE FUNCTION plain(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1'")
    cluster.catch_up()
    # What is not written to is the same everywhere, so nobody need wait for anybody.
    return Routed.begin(cluster, make_shop, consistency="eventual", of_cluster={"max_lag": "1min"})


def client(shop, **statements):
    conn = shop.pooler.raw(dbname="shop")
    assert conn.run(*[parse(name, text) for name, text in statements.items()], sync()).error is None
    return conn


def by_query(conn, text):
    return conn.query(text)


def by_unnamed(conn, text):
    return conn.run(parse("", text), bind(), describe("P"), execute(), sync())


def by_named(conn, text):
    assert conn.run(parse("by name", text), sync()).error is None
    result = conn.run(bind("", "by name"), describe("P"), execute(), sync())
    conn.run(close("S", "by name"), sync())
    return result


def by_another(conn, text):
    """Of a statement that runs it in turn."""
    assert conn.run(parse("another", text), sync()).error is None
    result = conn.query("EXECUTE another")
    conn.run(close("S", "another"), sync())
    return result


WAYS = [by_query, by_unnamed, by_named, by_another]


def ran(shop, conn, text, way=by_query):
    mark, marked = shop.mark(text)
    return way(conn, marked), shop.where(mark)


@pytest.mark.parametrize("way", WAYS)
def test_reads(shop, way):
    conn = client(shop, s=READ, v="VALUES (7)", f="SELECT plain($1)")
    for text, rows in [("EXECUTE s(1)", [["0"]]), ("EXECUTE v", [["7"]]), ("EXECUTE f(plain(3))", [["3"]]),
                       ("EXECUTE s(1 + 1)", [["0"]])]:
        result, where = ran(shop, conn, text, way)
        assert (result.error, result.rows, where in REPLICAS) == (None, rows, True), (text, where, shop.routes())
    for options in ("COSTS off", "ANALYZE, COSTS off"):
        result, where = ran(shop, conn, f"EXPLAIN ({options}) EXECUTE s(1)", way)
        assert (result.error, where in REPLICAS) == (None, True)
        assert "Aggregate" in result.rows[0][0]
    assert set(shop.routes()) <= {"read", "write", "unseen", "catalog", "transaction"}, shop.routes()


@pytest.mark.parametrize("way", WAYS)
def test_all_else(shop, way):
    conn = client(shop, s=READ, w="INSERT INTO t VALUES ($1) RETURNING v", f="SELECT writes($1)",
                  l="SELECT * FROM t FOR UPDATE", p="SELECT pg_is_in_recovery()", g="SELECT plain($1)")
    for text, rows in [("EXECUTE w(1)", [["1"]]), ("EXECUTE f(2)", [["2"]]), ("EXECUTE l", [["1"], ["2"]]),
                       ("EXECUTE p", [["f"]]), ("EXECUTE g(writes(3))", [["3"]]),
                       ("EXECUTE s(writes(1))", [["3"]])]:
        result, where = ran(shop, conn, text, way)
        assert (result.error, result.rows, where) == (None, rows, ["primary"]), (text, shop.routes())
    for text in ("EXPLAIN (COSTS off) EXECUTE w(1)", "EXPLAIN ANALYZE EXECUTE f(1)"):
        result, where = ran(shop, conn, text, way)
        assert (result.error, where) == (None, ["primary"])
    result, where = ran(shop, conn, "EXECUTE none", way)
    assert (result.error.code, where) == ("26000", ["primary"])
    assert "refused" not in shop.routes()


def test_several(shop):
    conn = client(shop, s=READ, v="VALUES (7)", w="INSERT INTO t VALUES (1) RETURNING v")
    for text, rows, is_read in [("EXECUTE v; EXECUTE s(1)", [["7"], ["0"]], True),
                                ("SELECT 1; EXECUTE v; SELECT 2", [["1"], ["7"], ["2"]], True),
                                ("EXECUTE v; EXECUTE w; EXECUTE v", [["7"], ["1"], ["7"]], False),
                                ("EXECUTE v; EXECUTE none", [["7"]], False),
                                ("EXECUTE v; SELECT writes(1)", [["7"], ["1"]], False)]:
        result, where = ran(shop, conn, text)
        assert (result.rows, where in REPLICAS) == (rows, is_read), (text, where)
    mark, first = shop.mark("EXECUTE v")
    second = shop.mark("EXECUTE s(2)")[1]
    result = conn.run(*[parse("", text) + bind() + execute() for text in (first, second)], sync())
    assert (result.rows, shop.where(mark) in REPLICAS) == ([["7"], ["0"]], True)


def test_by_whom_it_was_prepared(make_shop, cluster):
    """Clients share texts, and not what their names stand for."""
    shop = Routed.begin(cluster, make_shop, worker_threads=1, consistency="eventual",
                        of_cluster={"max_lag": "1min"})
    explained = "EXPLAIN (COSTS off) EXECUTE s"
    reader = client(shop, e=explained, s="SELECT 1 AS i")
    writer = client(shop, e=explained, s="INSERT INTO t VALUES (1) RETURNING 2")
    before = shop.routes()
    for _ in range(3):
        for conn, plan in ((reader, "Result"), (writer, "Insert on t")):
            result = conn.run(bind("", "e"), execute(), sync())
            assert (result.error, result.rows[0]) == (None, [plan])
    assert {reason: n - before.get(reason, 0) for reason, n in shop.routes().items()
            if n != before.get(reason)} == {"read": 3, "write": 3}
    # And each of its own by now.
    reader = client(shop, e="EXECUTE s", s="SELECT 1 AS i")
    assert ran(shop, reader, "EXECUTE e")[1] in REPLICAS
    assert reader.query("DEALLOCATE s").error is None
    assert ran(shop, reader, "EXECUTE e")[0].error.code == "26000"
    assert reader.run(parse("s", "INSERT INTO t VALUES (1) RETURNING 3"), sync()).error is None
    result, where = ran(shop, reader, "EXECUTE e")
    assert (result.value(), where) == ("3", ["primary"])
    assert "refused" not in shop.routes()


def test_prepared_in_the_same_request(shop):
    conn = client(shop, s="SELECT 1 AS i")
    result = conn.run(close("S", "s"), parse("s", "INSERT INTO t VALUES (1) RETURNING 2"), parse("", "EXECUTE s"),
                      bind(), execute(), sync())
    assert (result.error, result.value()) == (None, "2")
    result = conn.run(parse("u", "SELECT 3"), parse("", "EXECUTE u"), bind(), execute(), sync())
    assert (result.error, result.value()) == (None, "3")
    result = conn.run(parse("n", "SELECT 4"), parse("x", "EXECUTE n"), bind("", "x"), execute(), sync())
    assert (result.error, result.value()) == (None, "4")
    assert "refused" not in shop.routes()


def test_round_and_round(shop):
    conn = client(shop, a="EXECUTE b", b="EXECUTE a")
    result, where = ran(shop, conn, "EXECUTE a")
    assert (result.error.code, where) == ("54001", ["primary"])
    deep = client(shop, s0="SELECT 7", **{f"s{i}": f"EXECUTE s{i - 1}" for i in range(1, 30)})
    result, where = ran(shop, deep, "EXECUTE s29")
    assert (result.value(), where) == ("7", ["primary"])
    result, where = ran(shop, deep, "EXECUTE s3")
    assert (result.value(), where in REPLICAS) == ("7", True)


def test_transactions(shop):
    conn = client(shop, s=READ, v="VALUES (7)", b="BEGIN", w="INSERT INTO t VALUES (1)")
    conn.query("BEGIN READ ONLY")
    result, node = ran(shop, conn, "EXECUTE s(1)")
    assert (result.value(), node in REPLICAS) == ("0", True)
    for text in ("EXECUTE v", "SELECT 1", "EXECUTE s(1)"):
        result, where = ran(shop, conn, text)
        assert (result.error, result.status, where) == (None, "T", node)
    assert ran(shop, conn, "EXECUTE w")[0].error.code == "25006"
    assert conn.query("ROLLBACK").status == "I"
    conn.query("BEGIN")
    assert ran(shop, conn, "EXECUTE v")[1] == ["primary"]
    assert conn.query("COMMIT").status == "I"
    # It begins one for what comes.
    result, where = ran(shop, conn, "EXECUTE b")
    assert (result.status, where) == ("T", ["primary"])
    assert ran(shop, conn, "EXECUTE w")[0].error is None
    assert conn.query("COMMIT").status == "I"
    assert conn.query("/* pgweir: primary */ EXECUTE s(1)").value() == "1"


def test_first_of_a_transaction_cannot_be_parsed_any_more(shop):
    """The error is the statement's, and the session goes on."""
    shop.cluster.nodes[0].execute("CREATE TABLE gone AS SELECT 1 AS v; GRANT ALL ON gone TO public")
    shop.cluster.catch_up()
    conn = client(shop, s="SELECT v FROM gone")
    assert conn.query("EXECUTE s").value() == "1"
    shop.cluster.nodes[0].execute("DROP TABLE gone")
    shop.cluster.catch_up()
    assert conn.query("EXECUTE s").error.code == "42P01"
    for begin, is_read in (("BEGIN READ ONLY", True), ("BEGIN", False)):
        for way in (by_query, by_unnamed):
            before = shop.routes()["read"]
            conn.query(begin)
            result = way(conn, "EXECUTE s")
            assert (result.error.code, result.status) == ("42P01", "E")
            assert shop.routes()["read"] == before + is_read
            assert conn.query("ROLLBACK").status == "I"
    assert conn.query("SELECT 1").value() == "1"


def test_names_stay_its_own(make_shop, cluster):
    """Whoever has the replica's connection next does not find them."""
    shop = Routed.begin(cluster, make_shop, worker_threads=1, default_pool_size=1, consistency="eventual",
                        of_cluster={"max_lag": "1min"})
    backend = "/* pgweir: replica */ SELECT pg_backend_pid()"
    mine = client(shop, mine=backend)
    other = client(shop)
    assert ran(shop, client(shop, s="SELECT 1"), "EXECUTE s")[1] in REPLICAS
    for _ in range(5):
        pid = mine.query("EXECUTE mine").value()
        look = f"{backend}, (SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine')"
        assert wait_for(lambda: [row for row in other.query(look).rows if row[0] == pid]) == [[pid, "0"]]
        assert other.query("EXECUTE mine").error.code == "26000"
    assert mine.run(run_named("mine")).error is None


def test_settings_come_along(shop):
    conn = client(shop, s="SELECT current_setting('work_mem'), current_user")
    conn.query("SET work_mem = '7MB'")
    result, where = ran(shop, conn, "EXECUTE s")
    assert (result.rows, where in REPLICAS) == ([["7MB", "alice"]], True)
    assert ran(shop, conn, "SHOW work_mem")[0].value() == "7MB"


def test_own_writes(make_shop, cluster):
    shop = Routed.begin(cluster, make_shop)
    conn = client(shop, s="SELECT count(*) FROM t", w="INSERT INTO t VALUES (1)")
    for node in shop.cluster.nodes[1:]:
        node.execute("SELECT pg_wal_replay_pause()")
    assert conn.query("EXECUTE w").error is None
    result, where = ran(shop, conn, "EXECUTE s")
    assert (result.value(), where) == ("1", ["primary"])
    for node in shop.cluster.nodes[1:]:
        node.execute("SELECT pg_wal_replay_resume()")
    wait_for(lambda: ran(shop, conn, "EXECUTE s")[1] in REPLICAS)
    assert conn.query("EXECUTE s").value() == "1"


def test_hints(shop):
    shop.cluster.nodes[0].execute("CREATE FUNCTION reads() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 7'")
    shop.cluster.catch_up()
    conn = client(shop, s="SELECT reads()", v="VALUES (1)", h="/* pgweir: primary */ VALUES (2)",
                  w="INSERT INTO t VALUES (1) RETURNING 3")
    for text, value, is_read in [("EXECUTE s", "7", False), ("/* pgweir: replica */ EXECUTE s", "7", True),
                                 ("/* pgweir: primary */ EXECUTE v", "1", False), ("EXECUTE v", "1", True),
                                 ("EXECUTE h", "2", False), ("/* pgweir: replica */ EXECUTE w", "3", False)]:
        mark, marked = shop.mark("")
        result = conn.query(f"{text} {marked}")
        assert (result.value(), shop.where(mark) in REPLICAS) == (value, is_read), text


def test_sql_prepare_keeps_its_session(shop):
    conn = client(shop, v="VALUES (1)")
    conn.query("PREPARE q AS SELECT 2")
    for text, value in [("EXECUTE q", "2"), ("EXECUTE v", "1"), ("SELECT 3", "3")]:
        result, where = ran(shop, conn, text)
        assert (result.value(), where) == (value, ["primary"])
    assert conn.query("DEALLOCATE q").error is None
    assert ran(shop, conn, "EXECUTE v")[1] in REPLICAS


def begin_anew(shop, **statements):
    """A pooler that has just asked what there is, and does not ask again for ten seconds."""
    shop.pooler.stop()
    shop.pooler.start()
    settle(shop.pooler)
    shop.cluster.catch_up()
    shop.warm_up()
    return client(shop, **statements)


@pytest.fixture
def refused(shop):
    """A view that begins to write when everybody takes it for one that only reads."""
    primary = shop.cluster.nodes[0]
    primary.execute("CREATE VIEW odd AS SELECT 1 AS i; GRANT ALL ON odd TO public")
    conn = begin_anew(shop, s="SELECT i FROM odd", v="VALUES (5)")
    assert ran(shop, conn, "EXECUTE s")[1] in REPLICAS
    primary.execute("CREATE OR REPLACE VIEW odd AS SELECT writes(7) AS i")
    shop.cluster.catch_up()
    return conn


@pytest.mark.parametrize("how", ["query", "unnamed", "pipeline", "string"])
def test_what_a_replica_refuses(shop, refused, how):
    """The primary has it, under its name, and nobody is told; it goes to no replica again."""
    mark, text = shop.mark("EXECUTE s")
    data, rows = {
        "query": (query(text), [["7"]]),
        "unnamed": (parse("", text) + bind() + describe("P") + execute() + sync(), [["7"]]),
        "pipeline": (parse("", "EXECUTE v") + bind() + execute() + parse("", text) + bind() + execute() + sync(),
                     [["5"], ["7"]]),
        "string": (query(f"EXECUTE v; {text}; EXECUTE v"), [["5"], ["7"], ["5"]]),
    }[how]
    result = refused.run(data)
    assert (result.error, result.rows, result.status) == (None, rows, "I")
    where = shop.where(mark)
    assert len(where) == 2 and where[0] == "primary"
    assert shop.routes()["refused"] == 1
    if how in ("query", "unnamed"):
        result, where = ran(shop, refused, "EXECUTE s")
        assert (result.value(), where) == ("7", ["primary"])
        assert ran(shop, refused, "SELECT i FROM odd", by_unnamed)[1] == ["primary"]
        # Another client's statement of that name is another one.
        other = client(shop, s="SELECT 6")
        result, where = ran(shop, other, "EXECUTE s")
        assert (result.value(), where in REPLICAS) == ("6", True)
    result, where = ran(shop, refused, "EXECUTE v")
    assert (result.value(), where in REPLICAS) == ("5", True)
    assert refused.run(run_named("v")).value() == "5"


@pytest.mark.parametrize("how", ["query", "extended"])
def test_what_a_replica_loses(shop, how):
    conn = client(shop, s="SELECT count(*) FROM generate_series(1, 1000000), pg_sleep(1.5)", v="VALUES (5)")
    mark, text = shop.mark("EXECUTE s")
    conn.send(query(text) if how == "query" else parse("", text) + bind() + describe("P") + execute() + sync())
    node, = wait_for(lambda: [n for n in shop.cluster.nodes[1:] if n.name in shop.where(mark)])
    node.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'")
    result = conn.result()
    assert (result.error, result.value()) == (None, "1000000")
    assert len(shop.where(mark)) == 2
    assert shop.routes()["lost"] == 1
    for text in ("EXECUTE s", "EXECUTE v"):
        result, where = ran(shop, conn, text)
        assert (result.error, where in REPLICAS) == (None, True)


@pytest.mark.parametrize("hint", ["", "/* pgweir: replica */"])
def test_what_is_to_blame(shop, hint):
    """What the arguments do is no fault of the statement's."""
    primary = shop.cluster.nodes[0]
    primary.execute("CREATE FUNCTION liar() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'")
    conn = begin_anew(shop, x=READ)
    text = "EXECUTE x(liar())"
    if hint:
        text = "EXECUTE x(writes(1))"
    else:
        assert ran(shop, conn, text)[1] in REPLICAS
        primary.execute("CREATE OR REPLACE FUNCTION liar() RETURNS int LANGUAGE sql AS 'SELECT writes(1)'")
        shop.cluster.catch_up()
    mark, marked = shop.mark("")
    result = conn.query(f"{hint} {text} {marked}")
    where = shop.where(mark)
    assert (result.error, result.value(), len(where), where[0]) == (None, "0", 2, "primary")
    assert shop.routes()["refused"] == 1
    for harmless in ("EXECUTE x(1)", READ.replace("$1", "1")):
        assert ran(shop, conn, harmless)[1] in REPLICAS
    before = shop.routes()["read"]
    assert conn.run(run_named("x", ["1"])).value() == "1"
    assert shop.routes()["read"] == before + 1
    # By itself it is remembered.
    assert ran(shop, conn, text)[1] == ["primary"]


def test_nothing_is_left_of_what_a_replica_lost(shop):
    """Its arguments look like names of settings, where nobody can read what holds them."""
    conn = client(shop, s="SELECT $1, count(*) FROM generate_series(1, 1000000), pg_sleep(1.5)")
    mark, text = shop.mark("EXECUTE s('www.example' || '.' || 'org')")
    conn.send(query(text))
    node, = wait_for(lambda: [n for n in shop.cluster.nodes[1:] if n.name in shop.where(mark)])
    node.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'")
    assert conn.result().rows == [["www.example.org", "1000000"]]
    assert shop.pooler.console("SHOW PINS") == []
    assert ran(shop, conn, "SELECT 1")[1] in REPLICAS


def test_own_sequences(shop):
    """What a replica runs draws nothing."""
    shop.cluster.nodes[0].execute("CREATE SEQUENCE seq; GRANT ALL ON seq TO public")
    shop.cluster.catch_up()
    conn, other = client(shop, s=READ, v="VALUES (1)"), client(shop)
    assert conn.query("SELECT nextval('seq')").value() == "1"
    for text in ("EXECUTE s(1)", "EXECUTE v", "SELECT plain(1)"):
        assert ran(shop, conn, text)[1] in REPLICAS
        assert conn.query("SELECT currval('seq')").value() == "1"
    assert other.query("SELECT currval('seq')").error.code == "55000"


def test_statement_pooling(make_shop, cluster):
    shop = Routed.begin(cluster, make_shop, pool_mode="statement", consistency="eventual",
                        of_cluster={"max_lag": "1min"})
    conn = client(shop, s=READ, w="INSERT INTO t VALUES (1) RETURNING 2")
    for way in (by_query, by_unnamed):
        result, where = ran(shop, conn, "EXECUTE s(1)", way)
        assert (result.error, where in REPLICAS) == (None, True)
        result, where = ran(shop, conn, "EXECUTE w", way)
        assert (result.value(), where) == ("2", ["primary"])


def test_lost_where_the_primary_is_not_to_read(make_shop, cluster):
    """The other replica does not have its name of the first one."""
    shop = Routed.begin(cluster, make_shop, consistency="eventual", primary_reads="never",
                        of_cluster={"max_lag": "1min"})
    conn = client(shop, s="SELECT count(*) FROM generate_series(1, 1000000), pg_sleep(1.5)")
    mark, text = shop.mark("EXECUTE s")
    conn.send(query(text))
    node, = wait_for(lambda: [n for n in cluster.nodes[1:] if n.name in shop.where(mark)])
    node.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'")
    result = conn.result()
    assert (result.error, result.value()) == (None, "1000000")
    assert "primary" not in shop.where(mark)


@pytest.mark.parametrize("how", ["bind", "execute"])
def test_type_by_number(shop, how):
    """What its making does no text says: a replica refuses to write, and the primary does it."""
    primary = shop.cluster.nodes[0]
    primary.execute("CREATE DOMAIN odd AS int CHECK (writes(VALUE) > 0)")
    shop.cluster.catch_up()
    oid, = primary.execute("SELECT 'odd'::regtype::oid")[0]
    conn = client(shop)
    conn.run(parse("s", "SELECT $1", [oid]), sync())
    result = conn.run(bind("", "s", ["7"]), execute(), sync()) if how == "bind" else conn.query("EXECUTE s(7)")
    assert (result.error, result.value()) == (None, "7")
    assert primary.execute("SELECT count(*) FROM t WHERE v = 7") == [(1,)]
    assert shop.routes().get("refused") == 1
