# SPDX-License-Identifier: PostgreSQL
"""routing = split where something comes in between: logins that fail, reads that are refused in the
midst of other bytes, settings and reloads, ends of transactions and of servers."""

import os
import re
import select
import signal
import threading
import time

import pytest

from lib.nodes import settle
from lib.routed import REPLICAS, Routed
from lib.wait import stays_true, wait_for
from lib.wire import Closed, bind, close, describe, execute, parse, query, sync

pytestmark = pytest.mark.pgweir_only
HINT = "/* pgweir: replica */"
COUNT = "SELECT count(*) FROM t"
TOKEN = re.compile("1:[0-9A-F]+/[0-9A-F]+")


@pytest.fixture
def shop(make_shop, cluster):
    cluster.nodes[0].execute("CREATE FUNCTION writer() RETURNS int LANGUAGE plpgsql AS"
                             " $$ BEGIN INSERT INTO t VALUES (1); RETURN 7; END $$")
    cluster.catch_up()
    return Routed.begin(cluster, make_shop)


def pause(cluster):
    for node in cluster.nodes[1:]:
        node.execute("SELECT pg_wal_replay_pause()")


@pytest.mark.parametrize("cut", [0, 1, 3, 5, 8])
def test_part_of_the_next_message_behind_a_refused_read(shop, cut):
    conn = shop.pooler.raw(dbname="shop")
    conn.query("SELECT 1")
    second = query("SELECT 'second'")
    mark, text = shop.mark("SELECT writer(), pg_sleep(0.2)")
    conn.send(query(f"{HINT} {text}") + second[:cut])
    wait_for(lambda: shop.where(mark))
    conn.send(second[cut:])
    assert [conn.result().rows[0][0] for _ in range(2)] == ["7", "second"]


def test_replicas_that_let_nobody_in(make_shop, cluster):
    for node in cluster.nodes[1:]:
        hba = node.data / "pg_hba.conf"
        hba.write_text("host all alice all reject\n" + hba.read_text())
        node.execute("SELECT pg_reload_conf()")
    pooler = make_shop(routing="split", worker_threads=1)
    settle(pooler)
    conn = pooler.raw(dbname="shop")
    for _ in range(4):
        assert conn.query(f"{HINT} SELECT 1").value() == "1"
    assert Routed(cluster, pooler).routes()["lost"] > 0


def test_password_that_only_the_client_knows(make_shop, cluster):
    """With a SCRAM verifier in auth_file it is the client's login that lets pgweir in, on all nodes."""
    verifier, = cluster.nodes[0].execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'")[0]
    pooler = make_shop(routing="split", auth_type="scram-sha-256", worker_threads=1)
    pooler.stop()
    pooler.auth["alice"] = verifier
    pooler.start()
    settle(pooler)
    conn = pooler.raw(dbname="shop", password="alice's secret")
    assert conn.query("INSERT INTO t VALUES (1)").error is None
    wait_for(lambda: conn.query(f"{HINT} SELECT pg_is_in_recovery()").value() == "t")


@pytest.mark.full
@pytest.mark.parametrize("text", ["PREPARE p AS SELECT 1", "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
                                  "SELECT pg_advisory_lock(5)"])
def test_state_that_a_replica_is_left_with(shop, text):
    conn = shop.pooler.raw(dbname="shop")
    conn.query("BEGIN READ ONLY")
    assert shop.query(conn, "SELECT 1")[1] in REPLICAS
    assert conn.query(text).error is None
    conn.send(query("COMMIT"))
    error = conn.expect_fatal()
    assert (error.code, error.message) == ("0A000", "session state cannot be kept on a replica")


SECOND = [parse("", t) + bind() + execute() for t in ("BEGIN READ ONLY", "SELECT 1", "COMMIT", "BEGIN")]


@pytest.mark.parametrize("parts", [
    [query("BEGIN READ ONLY; SELECT 1; COMMIT; BEGIN")], [query("BEGIN READ ONLY"), query("COMMIT; BEGIN")],
    [b"".join(SECOND) + sync()]])
def test_second_transaction_of_a_request(shop, parts):
    conn = shop.pooler.raw(dbname="shop")
    for part in parts:
        assert conn.run(part).status == "T"
    assert conn.query("INSERT INTO t VALUES (1)").error is None
    assert conn.query("ROLLBACK").status == "I"


def test_transaction_that_is_begun_by_a_request_of_its_own(shop):
    conn = shop.pooler.raw(dbname="shop")
    assert conn.run(parse("", "BEGIN READ ONLY"), bind(), execute(), sync()).status == "T"
    assert shop.query(conn, "SELECT pg_advisory_xact_lock(1)")[1] == ["primary"]


@pytest.mark.full
@pytest.mark.parametrize("before", [{"routing": "primary"}, {"consistency": "eventual"},
                                    {"consistency": "monotonic"}])
def test_write_of_before_a_reload(shop, before):
    now = {"routing": "split", "consistency": "session"}
    shop.pooler.settings.update({**now, **before})
    shop.pooler.reload()
    conn = shop.pooler.raw(dbname="shop")
    pause(shop.cluster)
    assert conn.query("INSERT INTO t VALUES (1)").error is None
    shop.pooler.settings.update(now)
    shop.pooler.reload()
    assert conn.query(COUNT).value() == "1"


@pytest.mark.full
def test_time_that_is_over(make_shop, cluster):
    """What takes too long on a replica does not go on on the primary."""
    shop = Routed.begin(cluster, make_shop, query_timeout=1)
    conn = shop.pooler.raw(dbname="shop")
    mark, text = shop.mark("SELECT pg_sleep(6)")
    conn.send(query(text))
    with pytest.raises(Closed):
        conn.result()
    assert shop.where(mark) in REPLICAS


@pytest.mark.full
def test_monotonic_reads_behind_a_write(make_shop, cluster):
    shop = Routed.begin(cluster, make_shop, consistency="monotonic")
    pause(cluster)
    conn = shop.pooler.raw(dbname="shop")
    conn.send(query("INSERT INTO t VALUES (1)") + query(COUNT))
    assert conn.result().error is None
    seen = int(conn.result().value())
    assert int(conn.query(COUNT).value()) >= seen
    other = shop.pooler.raw(dbname="shop")
    assert other.query("SELECT v FROM t FOR UPDATE").rows == [["1"]]
    assert other.query("SELECT v FROM t").rows == [["1"]]
    assert other.query("UPDATE t SET v = 2 RETURNING v").rows == [["2"]]
    assert other.query("SELECT v FROM t").rows == [["2"]]


@pytest.mark.full
@pytest.mark.parametrize("consistency", ["eventual", "session"])
def test_role_that_replicas_do_not_know_yet(make_shop, cluster, consistency):
    shop = Routed.begin(cluster, make_shop, consistency=consistency)
    pause(cluster)
    cluster.nodes[0].execute("CREATE ROLE late; GRANT late TO alice; GRANT ALL ON t TO late")
    conn = shop.pooler.raw(dbname="shop")
    conn.query("SET ROLE late")
    other = shop.pooler.raw(dbname="shop", options="-c role=late")
    for each in (conn, other):
        assert each.query(COUNT).value() == "0"
        assert each.query("SELECT current_user").value() == "late"


@pytest.mark.full
def test_replica_that_is_lost_before_it_is_asked(make_shop, cluster):
    shop = Routed.begin(cluster, make_shop, worker_threads=1, default_pool_size=1)
    conn = shop.pooler.raw(dbname="shop")
    victim = int(conn.query(f"{HINT} SELECT pg_backend_pid()").value())
    other = shop.pooler.raw(dbname="shop", options="-c work_mem=5MB -c extra_float_digits=2")
    os.kill(victim, signal.SIGSTOP)
    other.send(query("SELECT 1"))
    wait_for(lambda: any(row["link"] for row in shop.pooler.console("SHOW CLIENTS")))
    os.kill(victim, signal.SIGKILL)
    assert other.result().value() == "1"


def test_read_that_is_broken_off_goes_to_replicas_again(shop):
    """That a backend ends says nothing of what it ran."""
    conn = shop.pooler.raw(dbname="shop")
    text = "SELECT count(*) FROM generate_series(1, 1000000), pg_sleep(0.5)"
    mark, marked = shop.mark(text)
    conn.send(query(marked))
    node, = wait_for(lambda: [n for n in shop.cluster.nodes[1:] if n.name in shop.where(mark)])
    node.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'")
    assert conn.result().value() == "1000000"
    assert len(shop.where(mark)) == 2
    assert shop.routes()["lost"] == 1
    assert shop.query(shop.pooler.raw(dbname="shop"), text)[1] in REPLICAS


def test_order_of_answers(shop):
    conn = shop.pooler.raw(dbname="shop")
    texts = ["SELECT 'a'", f"{HINT} SELECT writer()", "INSERT INTO t VALUES (5)", COUNT, "SELECT 'b'"]
    conn.send(b"".join(query(text) for text in texts))
    results = [conn.result() for _ in texts]
    assert [r.rows for r in results] == [[["a"]], [["7"]], [], [["2"]], [["b"]]]
    other = shop.pooler.raw(dbname="shop")
    other.run(parse("s", f"{HINT} SELECT writer()"), sync())
    result = other.run(bind("", "s"), execute(), parse("s", "SELECT 2"), sync())
    assert (result.rows, result.error.code) == ([["7"]], "42P05")
    assert other.run(bind("", "s"), execute(), close("P"), sync()).rows == [["7"]]


def test_only_what_was_refused_is(shop):
    conn = shop.pooler.raw(dbname="shop")
    result = conn.run(parse("", f"{HINT} SELECT writer()"), bind(), execute(),
                      parse("", "SELECT 'x'::text"), bind(), execute(), sync())
    assert result.rows == [["7"], ["x"]]
    assert shop.query(shop.pooler.raw(dbname="shop"), "SELECT 'y'::text")[1] in REPLICAS


@pytest.mark.full
def test_description_that_is_asked_for_while_a_table_changes(make_shop, cluster):
    """pgweir asks a replica about a statement itself, and is refused, while the client's Sync waits."""
    pooler = make_shop(nodes=cluster.nodes[:2], routing="split", worker_threads=1, default_pool_size=2)
    wait_for(lambda: {r["state"] for r in pooler.console("SHOW NODES")} == {"primary", "ready"})
    shop = Routed(cluster, pooler)
    conns = [pooler.raw(dbname="shop") for _ in range(4)]
    a, b, hold, other = conns
    wait_for(lambda: (a.query("SELECT 1"), shop.routes().get("read"))[1])
    text = "SELECT * FROM t"

    def own(conn):
        conn.query("BEGIN READ ONLY")
        return conn.query(f"{HINT} SELECT pg_backend_pid()").value()

    own(hold)
    b.run(parse("s", text), describe("S", "s"), bind("", "s"), execute(), sync())
    hold.query("COMMIT")
    link_of_b = own(b)
    a.run(parse("s", text), bind("", "s"), execute(), sync())
    b.query("COMMIT")
    cluster.nodes[0].execute("ALTER TABLE t ADD COLUMN extra int")
    cluster.catch_up(replicas=cluster.nodes[1:2])
    if own(hold) != link_of_b:
        own(other)
        hold.query("COMMIT")
    b.sock.settimeout(20)
    result = b.run(bind("", "s"), execute(), sync())
    assert result.error is None or result.error.code == "0A000"


@pytest.mark.full
def test_request_that_waits_is_canceled_and_shown(make_shop, cluster):
    shop = Routed.begin(cluster, make_shop, ryw_wait="20s")
    pause(cluster)
    conn = shop.pooler.raw(dbname="shop")
    conn.query("INSERT INTO t VALUES (1)")
    began = time.monotonic()
    conn.send(query(COUNT))
    wait_for(lambda: "active" in [row["state"] for row in shop.pooler.console("SHOW CLIENTS")
                                  if row["database"] == "shop"])
    threading.Timer(0.1, conn.cancel).start()
    assert conn.result().error.code == "57014"
    assert time.monotonic() - began < 15
    assert conn.query("INSERT INTO t VALUES (2)").error is None


def test_read_behind_one_that_was_canceled(make_shop, cluster):
    """With consistency = global each read sees what was there when it came itself."""
    shop = Routed.begin(cluster, make_shop, consistency="global", monitor_interval="500ms")
    reader, writer = shop.pooler.raw(dbname="shop"), shop.pooler.raw(dbname="shop")

    def is_canceled():
        reader.send(query(COUNT))
        reader.cancel()
        result = reader.result()
        return result.error and result.error.code == "57014"

    wait_for(is_canceled)
    row, = shop.pooler.console("SHOW CLUSTERS")
    wait_for(lambda: int(shop.pooler.console("SHOW CLUSTERS")[0]["rounds"]) > int(row["rounds"]) + 2)
    pause(cluster)
    assert writer.query("INSERT INTO t VALUES (1)").error is None
    assert reader.query(COUNT).value() == "1"


def test_token_where_a_replica_is_asked(shop):
    conn = shop.pooler.raw(dbname="shop")
    conn.query("BEGIN READ ONLY")
    assert shop.query(conn, "SELECT 1")[1] in REPLICAS
    assert TOKEN.fullmatch(conn.query("SHOW pgweir.lsn").value())
    assert conn.query("COMMIT").status == "I"
    assert TOKEN.fullmatch(conn.query("/* app */ SHOW pgweir.lsn").value())


def test_same_text_in_another_database(shop):
    """What is known of a text holds for one database, whoever has asked about it before."""
    primary = shop.cluster.nodes[0]
    primary.execute("CREATE DATABASE second")
    for dbname, kind in (("postgres", "STABLE"), ("second", "VOLATILE")):
        primary.execute(f"CREATE FUNCTION seen() RETURNS int LANGUAGE sql {kind} AS 'SELECT 1'", dbname)
    shop.pooler.databases["second"] = {"cluster": "shop", "dbname": "second"}
    shop.pooler.settings["worker_threads"] = 1
    shop.pooler.stop()
    shop.pooler.start()
    settle(shop.pooler)
    shop.cluster.catch_up()
    shop.warm_up()
    conns = {name: shop.pooler.raw(dbname=name) for name in ("shop", "second")}
    wait_for(lambda: shop.query(conns["second"], "SELECT 1")[1] in REPLICAS)
    for name, is_read in (("shop", True), ("second", False), ("shop", True)):
        for number in range(2):
            mark, text = shop.mark("SELECT seen()")
            conn = shop.pooler.raw(dbname=name)
            data = [parse("s", text), bind("", "s"), execute(), sync()]
            assert conn.run(*data).rows == [["1"]]
            assert (shop.where(mark) in REPLICAS) == is_read, (name, number)
            conn.close()
    text = "SELECT seen()"
    for name in ("shop", "second"):
        conns[name].run(parse("s", text), sync())
    for name, is_read in (("shop", True), ("second", False)):
        before = shop.routes().get("read", 0)
        conns[name].run(bind("", "s"), execute(), sync())
        assert (shop.routes().get("read", 0) > before) == is_read


def crowd_of(shop, over):
    """More than there are connections to the primary: somebody always waits for one."""
    def run():
        with shop.pooler.raw(dbname="shop") as conn:
            while not over.is_set():
                assert conn.query("/* pgweir: primary */ SELECT pg_sleep(0.02)").error is None

    return [threading.Thread(target=run) for _ in range(6)]


@pytest.mark.full
@pytest.mark.parametrize("others, bound", [("none", 60), ("one that writes", 10), ("a crowd", 60)])
def test_function_that_is_changed_past_pgweir(make_shop, cluster, record_property, others, bound):
    """Nobody tells that it may write from now on: the primary is asked again, ten seconds after the last
    time when somebody has run something there and nobody waits, and after a minute in any case."""
    def is_noticed():
        before = shop.routes().get("function", 0)
        if others == "one that writes":
            assert writer.query("UPDATE t SET v = v + 1").error is None
        assert conn.query("SELECT seen()").value() == "1"
        return shop.routes().get("function", 0) > before

    made = "CREATE OR REPLACE FUNCTION seen() RETURNS int LANGUAGE sql {} AS 'SELECT 1'"
    cluster.nodes[0].execute(made.format("STABLE"))
    cluster.catch_up()
    shop = Routed.begin(cluster, make_shop, default_pool_size=1, worker_threads=1)
    conn, writer, over = shop.pooler.raw(dbname="shop"), shop.pooler.raw(dbname="shop"), threading.Event()
    wait_for(lambda: shop.query(conn, "SELECT seen()")[1] in REPLICAS)
    threads = crowd_of(shop, over) if others == "a crowd" else []
    for thread in threads:
        thread.start()
    try:
        assert not is_noticed()
        cluster.nodes[0].execute(made.format("VOLATILE"))
        began = time.monotonic()
        wait_for(is_noticed, bound + 5)
        record_property("seconds", f"{time.monotonic() - began:.1f}")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    for _ in range(3):
        assert shop.query(conn, "SELECT seen()")[1] == ["primary"]


def test_transaction_that_is_idle_before_a_server_hears_of_it(shop):
    shop.pooler.settings["idle_transaction_timeout"] = "1"
    shop.pooler.reload()
    conn = shop.pooler.raw(dbname="shop")
    assert shop.query(conn, "SELECT 1")[0].value() == "1"
    conn.query("BEGIN")
    refused = conn.expect_fatal()
    assert refused.message == "idle transaction timeout"
    assert "idle_transaction_timeout is 1 s" in refused.fields["D"]


@pytest.mark.parametrize("after", ["0", "60"])
def test_transaction_of_before_a_reload_is_idle_by_the_new_limit(shop, after):
    shop.pooler.settings["idle_transaction_timeout"] = "1"
    shop.pooler.reload()
    conn = shop.pooler.raw(dbname="shop")
    assert shop.query(conn, "SELECT 1")[0].value() == "1"
    conn.query("BEGIN")
    shop.pooler.settings["idle_transaction_timeout"] = after
    shop.pooler.reload()
    assert stays_true(lambda: not select.select([conn.sock], [], [], 0)[0], 1.5)
    assert conn.query("SELECT 1").value() == "1"
    assert conn.query("COMMIT").status == "I"


def test_transaction_of_before_a_reload_has_a_limit_from_then_on(shop):
    conn = shop.pooler.raw(dbname="shop")
    assert shop.query(conn, "SELECT 1")[0].value() == "1"
    conn.query("BEGIN")
    shop.pooler.settings["idle_transaction_timeout"] = "1"
    shop.pooler.reload()
    assert conn.expect_fatal().message == "idle transaction timeout"
