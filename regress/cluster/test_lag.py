# SPDX-License-Identifier: PostgreSQL
"""Whatever keeps a replica from being up to date, nobody reads from it what is older than max_lag;
and it is read from again when it is well. A replica that is well is always read from."""

import os
import random
import signal
import threading
import time
from dataclasses import dataclass

import pytest

from lib.nodes import reason, row_of, seen, settle, state
from lib.wait import TIME_FACTOR, stays_true, wait_for
from lib.wire import PgError, collect, query, startup

pytestmark = pytest.mark.pgweir_only
INTERVAL_MS, MAX_LAG_MS = int(100 * TIME_FACTOR), int(500 * TIME_FACTOR)
MAX_LAG = MAX_LAG_MS / 1000
# What may pass between a client's sending and the pooler's choosing a node.
ALLOWANCE = 0.05 * TIME_FACTOR
READERS = 2

SCHEMA = """
    CREATE TABLE beat (n int NOT NULL);
    INSERT INTO beat VALUES (0);
    CREATE TABLE held (v int);
    CREATE TABLE bulk (v int);
    GRANT ALL ON beat TO public"""
READ = "/* pgweir: replica */ SELECT inet_server_port()::int, n FROM beat"


class Worker(threading.Thread):
    """Does it again and again until it is left; what goes wrong in it is raised then."""

    def __init__(self, step):
        super().__init__(daemon=True)
        self.step, self.is_over, self.wrong = step, False, None

    def run(self):
        try:
            while not self.is_over:
                self.step()
        except Exception as e:  # pylint: disable=broad-except
            self.wrong = e

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.is_over = True
        self.join()
        if self.wrong and exc[0] is None:
            raise self.wrong


class Beat(Worker):
    """Counts in the primary, and remembers since when each number was there for all to see."""

    def __init__(self, primary):
        super().__init__(self.beat)
        self.conn = primary.raw()
        self.since = [time.monotonic()]

    def beat(self):
        result = self.conn.query(f"UPDATE beat SET n = {len(self.since)}")
        assert result.error is None, result.error
        self.since.append(time.monotonic())
        time.sleep(0.002)

    def age(self, n, when):
        """How old what has n in it was by then: so long something newer had been there."""
        return max(0.0, when - self.since[n + 1]) if n + 1 < len(self.since) else 0.0

    def age_on(self, node):
        return self.age(node.execute("SELECT n FROM beat")[0][0], time.monotonic())


@dataclass
class Read:
    when: float
    port: int = 0
    n: int = 0
    error: PgError = None


class Reader(Worker):
    def __init__(self, pooler, dbname):
        super().__init__(self.read)
        self.pooler, self.dbname = pooler, dbname
        self.reads, self.conn = [], None

    def ask(self):
        self.conn = self.conn or self.pooler.raw(dbname=self.dbname)
        self.conn.send(query(READ))
        messages = self.conn.recv_until("EZ")
        if messages[-1].kind == "E":
            raise messages[-1].error()
        return (int(word) for word in collect(messages).rows[0])

    def read(self):
        when = time.monotonic()
        try:
            self.reads.append(Read(when, *self.ask()))
        except PgError as e:
            self.reads.append(Read(when, error=e))
            if self.conn:
                self.conn.close()
            self.conn = None
        time.sleep(0.005)


class Readers:
    def __init__(self, cluster, pooler, databases=("shop", "shop_ro")):
        self.ports = {node.port for node in cluster.nodes[1:]}
        self.all = [Reader(pooler, name) for name in databases for _ in range(READERS)]

    def __enter__(self):
        for reader in self.all:
            reader.start()
        return self

    def __exit__(self, *exc):
        for reader in self.all:
            reader.is_over = True
        for reader in self.all:
            reader.__exit__(*exc)

    def go_on(self):
        """Until each has read some more."""
        counts = [len(r.reads) for r in self.all]
        wait_for(lambda: all(len(r.reads) > n + 5 for r, n in zip(self.all, counts)))

    def come_to_replicas(self):
        began = time.monotonic()
        wait_for(lambda: all(any(read.when > began and read.port in self.ports
                                 for read in list(r.reads)) for r in self.all))

    def of(self, dbname):
        return [read for r in self.all if r.dbname == dbname for read in r.reads]

    def on_replicas(self):
        return [read for r in self.all for read in r.reads if read.port in self.ports]


# ---- what may befall a replica ----

class Trouble:
    """Prepared once for each replica, and then begun and ended."""

    def __init__(self, cluster, node, _make_proxy):
        self.cluster, self.node = cluster, node

    def set(self, **settings):
        with self.node.connect() as conn:
            for name, value in settings.items():
                conn.execute(f"ALTER SYSTEM SET {name} = '{value}'" if value is not None else
                             f"ALTER SYSTEM RESET {name}")
            conn.execute("SELECT pg_reload_conf()")

    def receiver(self):
        """Its process, if it streams."""
        found = self.node.execute("SELECT pid FROM pg_stat_wal_receiver WHERE status = 'streaming'")
        return found[0][0] if found else None


class Paused(Trouble):
    def begin(self):
        self.node.execute("SELECT pg_wal_replay_pause()")

    def end(self):
        self.node.execute("SELECT pg_wal_replay_resume()")


class ReceiverKilled(Trouble):
    def __init__(self, cluster, node, make_proxy):
        super().__init__(cluster, node, make_proxy)
        self.set(wal_retrieve_retry_interval="100ms")

    def begin(self):
        pid = self.receiver()
        self.conninfo = self.node.execute("SHOW primary_conninfo")[0][0].replace("'", "''")
        self.set(primary_conninfo="")
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        wait_for(lambda: self.receiver() is None)

    def end(self):
        self.set(primary_conninfo=self.conninfo)


class NetworkStalls(Trouble):
    """Whoever waits for bytes is told nothing."""

    def __init__(self, cluster, node, make_proxy):
        super().__init__(cluster, node, make_proxy)
        self.proxy = make_proxy(cluster.nodes[0].port)
        conninfo = cluster.conninfo(self.proxy).replace("'", "''")
        self.set(wal_retrieve_retry_interval="100ms", primary_conninfo=conninfo)
        wait_for(lambda: self.proxy.accepted > 0 and self.receiver())

    def begin(self):
        self.proxy.stall()

    def end(self):
        self.proxy.flow()


class Delayed(Trouble):
    def begin(self):
        self.set(recovery_min_apply_delay="1min")

    def end(self):
        self.set(recovery_min_apply_delay=None)


class Overloaded(Trouble):
    """A reader is in the way of what is to be replayed, and much more comes."""

    def begin(self):
        self.reader = self.node.connect(autocommit=False)
        self.reader.execute("SELECT * FROM held")
        with self.cluster.nodes[0].connect() as conn:
            conn.execute("TRUNCATE held")
            conn.execute("INSERT INTO bulk SELECT * FROM generate_series(1, 50000)")

    def end(self):
        self.reader.close()


TROUBLES = {"paused": (Paused, "error"), "receiver": (ReceiverKilled, "primary"),
            "network": (NetworkStalls, "error"), "delayed": (Delayed, "primary"),
            "overloaded": (Overloaded, "error")}


def befall(pooler, beat, readers, troubles):
    """Until all of these replicas are much too old; then they are well again."""
    readers.come_to_replicas()
    for trouble in troubles:
        trouble.begin()
    wait_for(lambda: all(beat.age_on(trouble.node) > 2 * MAX_LAG for trouble in troubles))
    readers.go_on()
    if len(troubles) < len(readers.ports):
        readers.come_to_replicas()
    for trouble in troubles:
        trouble.end()
    # What has been written meanwhile is to be replayed first, however long this machine takes for it.
    settle(pooler, 60)
    readers.come_to_replicas()


def assert_fresh(beat, readers):
    reads = readers.on_replicas()
    ages = [beat.age(read.n, read.when) for read in reads]
    print(f"{len(beat.since)} beats, {len(reads)} reads on replicas, the oldest {max(ages):.3f} s, "
          f"max_lag {MAX_LAG} s")
    assert max(ages) <= MAX_LAG + ALLOWANCE


def assert_served_otherwise(cluster, readers, all_lagging):
    """Whoever reads gets what all_lagging says."""
    primary = cluster.nodes[0].port
    for dbname in ("shop", "shop_ro"):
        errors = [read.error for read in readers.of(dbname) if read.error]
        if all_lagging == "error":
            assert errors and all(e.code == "57P03" for e in errors), errors[:3]
        else:
            assert not errors, errors[:3]
            assert any(read.port == primary for read in readers.of(dbname))
    if all_lagging == "error":
        assert not any(read.port == primary for read in readers.of("shop_ro"))


def make_eventual(make_shop, all_lagging, **kw):
    """Where a primary that is too busy to answer is no excuse, unless somebody says so."""
    pooler = make_shop(**{"routing": "split", "consistency": "eventual", "max_lag": f"{MAX_LAG_MS}ms",
                          "monitor_interval": f"{INTERVAL_MS}ms", "no_primary_reads": "1ms",
                          "of_cluster": {"all_lagging": all_lagging}, **kw})
    settle(pooler)
    return pooler


def prepare(cluster):
    cluster.nodes[0].execute(SCHEMA)
    cluster.catch_up()


@pytest.mark.parametrize("name", TROUBLES)
def test_nothing_older_than_max_lag(make_shop, make_proxy, cluster, name):
    kind, all_lagging = TROUBLES[name]
    prepare(cluster)
    troubles = [kind(cluster, node, make_proxy) for node in cluster.nodes[1:]]
    pooler = make_eventual(make_shop, all_lagging)
    with Beat(cluster.nodes[0]) as beat, Readers(cluster, pooler) as readers:
        befall(pooler, beat, readers, troubles)
    assert_fresh(beat, readers)
    assert_served_otherwise(cluster, readers, all_lagging)


@pytest.mark.full
def test_one_trouble_after_another(make_shop, make_proxy, cluster):
    """Of one replica or of both, with much to replay."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    prepare(cluster)
    primary, *replicas = cluster.nodes
    kinds = [NetworkStalls] + [kind for kind, _ in TROUBLES.values() if kind is not NetworkStalls]
    troubles = {node: [kind(cluster, node, make_proxy) for kind in kinds] for node in replicas}
    pooler = make_eventual(make_shop, "primary")
    with primary.connect() as conn, Beat(primary) as beat, Readers(cluster, pooler) as readers, \
            Worker(lambda: conn.execute("INSERT INTO bulk SELECT * FROM generate_series(1, 300)")):
        for _ in range(20):
            nodes = rng.choice([replicas[:1], replicas[1:], replicas])
            befall(pooler, beat, readers, [rng.choice(troubles[node]) for node in nodes])
    assert_fresh(beat, readers)
    assert not any(read.error for read in readers.of("shop") + readers.of("shop_ro"))


# ---- where there is nothing wrong ----

def pass_rounds(pooler, work=lambda: None):
    """For as long as it would take anybody to be found lagging, and half as long again."""
    def rounds():
        work()
        return int(pooler.console("SHOW CLUSTERS")[0]["rounds"])

    last = rounds() + 3 * MAX_LAG_MS // (2 * INTERVAL_MS)
    wait_for(lambda: rounds() > last)


def commit_without_waiting(node):
    with node.connect() as conn:
        conn.execute("SET synchronous_commit = off")
        conn.execute("INSERT INTO bulk SELECT * FROM generate_series(1, 20)")


def test_no_false_alarm(make_shop, cluster):
    prepare(cluster)
    primary, one, _ = cluster.nodes
    pooler = make_eventual(make_shop, "error")
    alarms = []

    def look(what):
        alarms.extend([what] * (pooler.log_count("is lagging") - len(alarms)))

    with primary.connect(autocommit=False) as conn:
        conn.execute("INSERT INTO bulk VALUES (1)")
        pass_rounds(pooler)
        look("an insert is not flushed")
        primary.execute("SELECT pg_switch_wal()")
        pass_rounds(pooler)
        look("a file of the log ends early")
        conn.execute("INSERT INTO bulk SELECT * FROM generate_series(1, 1000)")
        pass_rounds(pooler)
        look("whole pages are flushed of a transaction that goes on")
    pass_rounds(pooler, lambda: commit_without_waiting(primary))
    look("nobody waits for commits to be flushed")
    assert not alarms
    # One that is none is heard of here.
    one.execute("SELECT pg_wal_replay_pause()")
    wait_for(lambda: (primary.execute("UPDATE beat SET n = n + 1"), pooler.log_count("is lagging"))[1])
    assert state(pooler, one) == "lagging"


def test_nothing_older_than_is_known(make_shop, make_proxy, cluster):
    """Where the primary does not answer the monitor, though it takes writes: then what replicas have
    is of use for no_primary_reads, and not for longer, however fresh it was."""
    prepare(cluster)
    primary, *replicas = cluster.nodes
    proxy = make_proxy(primary.port)
    reads_ms, late_ms = 2 * MAX_LAG_MS, max(3 * INTERVAL_MS, 300)
    pooler = make_eventual(make_shop, "error", nodes=[f"127.0.0.1:{proxy.port}", *replicas],
                           no_primary_reads=f"{reads_ms}ms")
    with Beat(primary) as beat, Readers(cluster, pooler, ["shop_ro"]) as readers:
        readers.come_to_replicas()
        proxy.stall()
        for node in replicas:
            node.execute("SELECT pg_wal_replay_pause()")
        wait_for(lambda: any(read.error for read in readers.of("shop_ro")))
        wait_for(lambda: max(beat.age_on(node) for node in replicas) > MAX_LAG + ALLOWANCE)
        readers.go_on()
        proxy.flow()
        for node in replicas:
            node.execute("SELECT pg_wal_replay_resume()")
        readers.come_to_replicas()
    ages = [beat.age(read.n, read.when) for read in readers.on_replicas()]
    limit = MAX_LAG + (reads_ms + late_ms) / 1000
    print(f"the oldest of {len(ages)} reads {max(ages):.3f} s, at most {limit} s")
    assert MAX_LAG < max(ages) <= limit + ALLOWANCE


def test_limit_of_a_database(make_shop, cluster):
    """Reports may be older than what the shop shows; and one that must be newer goes to the primary first."""
    primary, one, two = cluster.nodes
    pooler = make_shop(max_lag="400ms", slow_start="0")
    pooler.databases["reports"] = {**pooler.databases["shop_ro"], "max_lag": "1h"}
    pooler.reload()
    settle(pooler)
    assert seen(pooler, "reports", 4) <= {one.port, two.port}
    for node in (one, two):
        node.execute("SELECT pg_wal_replay_pause()")
    wait_for(lambda: primary.execute("INSERT INTO t VALUES (1)") == [] and
             all(state(pooler, node) == "lagging" for node in (one, two)))
    assert seen(pooler, "shop_ro", 4) == {primary.port}
    assert seen(pooler, "reports", 4) <= {one.port, two.port}
    pooler.databases["reports"]["max_lag"] = "1ms"
    pooler.reload()
    assert seen(pooler, "reports", 4) == {primary.port}


@pytest.mark.parametrize("whose", ["cluster", "database"])
def test_no_limit_is_not_no_knowledge(make_shop, cluster, whose):
    """Without a limit too, a replica of which nobody can tell how far it is behind is not read from."""
    primary, one, two = cluster.nodes
    for node in (one, two):
        node.execute("SELECT pg_wal_replay_pause()")
    primary.execute("INSERT INTO t VALUES (7)")
    pooler = make_shop(slow_start="0", max_lag="0" if whose == "cluster" else "1s")
    if whose == "database":
        pooler.databases["shop_ro"]["max_lag"] = "0"
        pooler.reload()
    wait_for(lambda: all(state(pooler, node) == "lagging" for node in (one, two)))
    assert seen(pooler, "shop_ro", 4) == {primary.port}


def test_silence_of_the_primary(make_shop, cluster):
    """Once its last word no longer counts that is said, and a database for which it counts longer goes on."""
    primary, one, two = cluster.nodes
    pooler = make_shop(slow_start="0", no_primary_reads="1s", no_primary_wait="1s")
    pooler.databases["patient"] = {**pooler.databases["shop_ro"], "no_primary_reads": "1h"}
    pooler.reload()
    settle(pooler)
    assert seen(pooler, "shop_ro", 4) <= {one.port, two.port}
    primary.kill()
    wait_for(lambda: [state(pooler, node) for node in cluster.nodes] == ["down", "lagging", "lagging"])
    for node in (one, two):
        assert reason(pooler, node) == "the primary has not answered for no_primary_reads (1 s)"
        assert row_of(pooler, node)["lag_ms"] is None
    assert pooler.console("SHOW CLUSTERS")[0]["ready"] == "0"
    assert seen(pooler, "patient", 4) <= {one.port, two.port}
    # What the primary would run waits for one, not for whatever query_wait_timeout says.
    conn = pooler.raw(dbname="shop_ro")
    conn.send(query("SELECT 1"))
    error = conn.expect_fatal()
    assert error.code == "57P03" and "no_primary_reads" in error.fields["D"]
    primary.start()
    settle(pooler)


def test_patience_without_a_primary(make_shop, cluster):
    """One that has never seen a primary waits for it; but not where an error was asked for."""
    primary, one, two = cluster.nodes
    primary.kill()
    pooler = make_shop(slow_start="0", no_primary_wait="1min")
    pooler.databases["hasty"] = {**pooler.databases["shop_ro"], "all_lagging": "error"}
    pooler.reload()
    wait_for(lambda: [state(pooler, node) for node in (one, two)] == ["diverged", "diverged"])
    conn = pooler.raw(dbname="shop_ro", login=False)
    conn.send(startup({"user": "alice", "database": "shop_ro"}))
    with pytest.raises(PgError) as refused:
        pooler.raw(dbname="hasty")
    assert refused.value.code == "57P03"
    primary.start()
    conn.authenticate("alice", pooler.auth["alice"])
    assert conn.query("SELECT 1").value() == "1"


@pytest.mark.full
def test_split_reads_without_a_primary(make_shop, cluster):
    """What is known of the database is not forgotten while there is nobody to ask and to change it."""
    primary, *replicas = cluster.nodes
    pooler = make_shop(routing="split", no_primary_reads="0")
    settle(pooler)
    primary.execute("INSERT INTO t VALUES (1)")
    cluster.catch_up()
    with pooler.raw(dbname="shop") as conn:
        read = "SELECT v FROM t"
        assert conn.query(read).value() == "1"
        # It has seen there all that it has written.
        where = "/* pgweir: replica */ SELECT inet_server_port()"
        wait_for(lambda: conn.query(where).value() in {str(node.port) for node in replicas})
        primary.kill()
        wait_for(lambda: state(pooler, primary) == "down")
        assert stays_true(lambda: conn.query(read).value() == "1", 70)
