# SPDX-License-Identifier: PostgreSQL
"""A session sees what it has written, in whatever way, and whoever has its token, too; a monotonic one
never goes back; a global one sees all that anybody was told is written. While one replica is half a second
late, and nodes and their backends are killed."""

import os
import random
import signal
import threading
import time
from collections import Counter

import psycopg
import pytest

from lib.nodes import settle
from lib.routed import Routed, log_statements
from lib.wait import TIME_FACTOR, wait_for
from lib.wire import Closed, PgError, bind, execute, parse, query, sync

pytestmark = pytest.mark.pgweir_only
LATE = 0.5
# monitor_interval, as it is by default.
ROUND = 0.1

SCHEMA = """
    CREATE TABLE cells (id int PRIMARY KEY, v int NOT NULL);
    INSERT INTO cells SELECT i, 0 FROM generate_series(0, 99) i;
    CREATE TABLE arrived (id int, v int);
    CREATE FUNCTION put(a int, b int) RETURNS int LANGUAGE plpgsql AS
        $$ BEGIN UPDATE cells SET v = b WHERE id = a; RETURN b; END $$;
    CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN UPDATE cells SET v = new.v WHERE id = new.id; RETURN NULL; END $$;
    CREATE TRIGGER take BEFORE INSERT ON arrived FOR EACH ROW EXECUTE FUNCTION take();
    GRANT ALL ON cells, arrived TO public"""


# ---- ways to write v to the cell, each a function of the connection ----

def by_update(conn, cell, v):
    return conn.query(f"UPDATE cells SET v = {v} WHERE id = {cell}")


def in_transaction(conn, cell, v):
    conn.query("BEGIN")
    conn.query(f"UPDATE cells SET v = {v} WHERE id = {cell}")
    return conn.query("COMMIT")


def in_one_message(conn, cell, v):
    return conn.query(f"BEGIN; UPDATE cells SET v = {v} WHERE id = {cell}; COMMIT")


def in_pipeline(conn, cell, v):
    return conn.run(parse("", "SELECT 1"), bind(), execute(),
                    parse("", "UPDATE cells SET v = $2 WHERE id = $1"), bind("", "", [cell, v]), execute(),
                    sync())


def by_function(conn, cell, v):
    return conn.query(f"SELECT put({cell}, {v})")


def by_trigger(conn, cell, v):
    return conn.query(f"INSERT INTO arrived VALUES ({cell}, {v})")


def by_copy(conn, cell, v):
    conn.send(query("COPY arrived FROM STDIN"))
    assert conn.recv_until("GE")[-1].kind == "G"
    row = f"{cell}\t{v}\n".encode()
    conn.send(b"d" + (len(row) + 4).to_bytes(4, "big") + row + b"c\0\0\0\4")
    return conn.result()


def prepared(conn, cell, v):
    if "put" not in conn.names:
        conn.run(parse("put", "UPDATE cells SET v = $2 WHERE id = $1"), sync())
        conn.names.add("put")
    return conn.run(bind("", "put", [cell, v]), execute(), sync())


WRITES = [by_update, in_transaction, in_one_message, in_pipeline, by_function, by_trigger, by_copy, prepared]


# ---- ways to read it: what was seen, one after the other ----

def values(results, count=1):
    for result in results:
        if result.error:
            raise result.error
    seen = [int(row[0]) for result in results for row in result.rows]
    assert len(seen) == count, seen
    return seen


def text_of_read(cell):
    return f"SELECT v FROM cells WHERE id = {cell}"


def extended_read(cell):
    return parse("", "SELECT v FROM cells WHERE id = $1") + bind("", "", [cell]) + execute()


def read_simply(conn, cell):
    return values([conn.query(text_of_read(cell))])


def read_extended(conn, cell):
    return values([conn.run(extended_read(cell), sync())])


def read_prepared(conn, cell):
    if "get" not in conn.names:
        conn.run(parse("get", "SELECT v FROM cells WHERE id = $1"), sync())
        conn.names.add("get")
    return values([conn.run(bind("", "get", [cell]), execute(), sync())])


def read_in_transaction(conn, cell):
    conn.query("BEGIN READ ONLY")
    result = read_simply(conn, cell)
    conn.query("COMMIT")
    return result


def read_twice_in_a_pipeline(conn, cell):
    return values([conn.run(extended_read(cell), extended_read(cell), sync())], 2)


def read_twice_behind_each_other(conn, cell):
    conn.send((extended_read(cell) + sync()) * 2)
    return values([conn.result(), conn.result()], 2)


READS = [read_simply, read_extended, read_prepared, read_in_transaction, read_twice_in_a_pipeline,
         read_twice_behind_each_other]


# ---- ways to do both without waiting for the first answer ----

def update_and_read(conn, cell, v):
    conn.send(query(f"UPDATE cells SET v = {v} WHERE id = {cell}") + query(text_of_read(cell)))
    return conn.result(), conn.result()


def update_and_read_extended(conn, cell, v):
    conn.send(parse("", "UPDATE cells SET v = $2 WHERE id = $1") + bind("", "", [cell, v]) + execute() + sync() +
              extended_read(cell) + sync())
    return conn.result(), conn.result()


AT_ONCE = [update_and_read, update_and_read_extended]


class Session:
    """One that writes and reads back, on two connections if it carries its token."""

    consistency = "session"

    def __init__(self, crowd, cell, seed):
        self.shop, self.crowd, self.cell = crowd.shop, crowd, cell
        self.rng = random.Random(seed)
        self.value = 0
        self.conns = {}

    def open(self, name, options):
        conn = self.conns[name] = self.shop.pooler.raw(dbname="shop", options=options)
        conn.names = set()
        return conn

    def conn(self, name):
        if name not in self.conns:
            # A SET would be one more request that it must see.
            self.open(name, f"-c synchronous_commit={self.rng.choice(['on', 'off'])}")
        return self.conns[name]

    def drop(self):
        """An error of the surroundings: the session begins anew, and what it has may be either."""
        for conn in self.conns.values():
            conn.close()
        self.conns = {}

    def write(self):
        v = self.value + 1
        result = self.rng.choice(WRITES)(self.conn("own"), self.cell, v)
        if result.error:
            raise result.error
        self.value = v

    def write_and_look(self):
        v = self.value + 1
        written, read = self.rng.choice(AT_ONCE)(self.conn("own"), self.cell, v)
        values([written], 0)
        self.value = v
        return self.cell, v, values([read])

    def reader(self):
        """The name of one that sees no less than "own" has written and read."""
        if self.rng.random() > 0.15:
            return "own"
        token = self.conn("own").query("SHOW pgweir.lsn").value()
        if self.rng.random() < 0.3:
            if "other" in self.conns:
                self.conns.pop("other").close()
            self.open("other", f"-c pgweir.lsn={token}")
        else:
            values([self.conn("other").query(f"SET pgweir.lsn = '{token}'")], 0)
        return "other"

    def read(self, conn, cell):
        return self.rng.choice(READS)(conn, cell)

    def look(self):
        """The cell, what it must see there at least, and what it sees, one after the other."""
        if self.rng.random() < 0.15:
            return self.write_and_look()
        return self.cell, self.value, self.read(self.conn(self.reader()), self.cell)

    def close(self):
        self.drop()


class Monotonic(Session):
    """Reads what others write, too, and never finds less than before; nor does whoever has its token."""

    consistency = "monotonic"

    def __init__(self, crowd, cell, seed):
        super().__init__(crowd, cell, seed)
        self.seen = {}

    def drop(self):
        super().drop()
        self.seen = {}

    def open(self, name, options):
        self.seen[name] = Counter()
        return super().open(name, options)

    def reader(self):
        name = super().reader()
        if name == "other":
            # The greater one of each.
            self.seen["other"] |= self.seen["own"]
        return name

    def look(self):
        cell, name = self.rng.choice(self.crowd.sessions).cell, self.reader()
        conn = self.conn(name)
        least, got = self.seen[name][cell], self.read(conn, cell)
        self.seen[name][cell] = got[-1]
        return cell, least, got


class Global(Session):
    """Sees what any of the others was told is written, when it asked: a token has nothing to add."""

    consistency = "global"

    def write(self):
        super().write()
        self.crowd.told[self.cell] = self.value

    def write_and_look(self):
        seen = super().write_and_look()
        self.crowd.told[self.cell] = self.value
        return seen

    def look(self):
        if self.rng.random() < 0.15:
            return self.write_and_look()
        cell = self.rng.choice(self.crowd.sessions).cell
        return cell, self.crowd.told.get(cell, 0), self.read(self.conn("own"), cell)


class Crowd:
    def __init__(self, shop, clients, rounds, kind=Session):
        self.shop, self.rounds = shop, rounds
        self.stale, self.failures, self.lost = [], [], 0
        self.looks, self.told = 0, {}
        self.sessions = [kind(self, i, i) for i in range(clients)]
        self.left = rounds
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(s,)) for s in self.sessions]

    def take(self):
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def round(self, session):
        session.write()
        for _ in range(session.rng.randrange(1, 4)):
            # At once, or when one replica has it, or the other, too.
            if session.rng.random() < 0.15:
                time.sleep(session.rng.uniform(0, 0.7))
            cell, least, seen = session.look()
            for got in seen:
                self.looks += 1
                if got < least:
                    self.stale.append((cell, least, got))
                least = got

    def run(self, session):
        while self.take():
            try:
                self.round(session)
            except (Closed, PgError, OSError) as e:
                self.lost += 1
                session.drop()
                if isinstance(e, PgError) and e.code == "25006":
                    self.failures.append(e)
            except Exception as e:  # pylint: disable=broad-except
                self.failures.append(e)
                return
        session.close()

    def play(self, disturb=None):
        for t in self.threads:
            t.start()
        while any(t.is_alive() for t in self.threads):
            if disturb:
                disturb()
            time.sleep(0.05)
        for t in self.threads:
            t.join()


@pytest.fixture
def make_late_shop(make_shop, cluster):
    def make(consistency="session"):
        primary, one, _ = cluster.nodes
        primary.execute(SCHEMA)
        one.execute(f"ALTER SYSTEM SET recovery_min_apply_delay = '{int(LATE * 1000)}ms'")
        one.execute("SELECT pg_reload_conf()")
        cluster.catch_up()
        pooler = make_shop(routing="split", consistency=consistency, max_lag="5s", default_pool_size=20,
                           max_client_conn=500)
        settle(pooler)
        shop = Routed(cluster, pooler)
        with pooler.raw(dbname="shop") as conn:
            wait_for(lambda: (conn.query("SELECT 1"), shop.routes().get("read", 0))[1] > 0)
        return shop
    return make


def assert_never_stale(shop, crowd):
    assert not crowd.stale, (len(crowd.stale), crowd.stale[:5])
    assert not crowd.failures, crowd.failures[:5]
    routes = shop.routes()
    # So that it is not for want of replicas.
    assert routes["read"] > 0.05 * crowd.rounds, routes


KINDS = pytest.mark.parametrize("kind", [Session, Monotonic, Global], ids=lambda kind: kind.consistency)


@KINDS
def test_own_writes(make_late_shop, kind):
    shop = make_late_shop(kind.consistency)
    crowd = Crowd(shop, 8, 600, kind)
    crowd.play()
    assert_never_stale(shop, crowd)
    assert crowd.lost == 0


# ---- what may befall a replica ----

def end_backends(node):
    node.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'")


def fails(ask):
    try:
        ask("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def kill_backend(node):
    """One of them, by a signal that it cannot catch: the server ends all others, too, and begins again
    from its last checkpoint. False: there was none."""
    watcher = node.connect()
    backends = watcher.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'alice'").fetchall()
    if not backends:
        watcher.close()
        return False
    os.kill(backends[0][0], signal.SIGKILL)
    wait_for(lambda: fails(watcher.execute), 60)
    watcher.close()
    wait_for(lambda: not fails(node.execute), 60)
    return True


def kill_node(node):
    node.kill()
    node.start()


DISTURBANCES = [end_backends, kill_backend, kill_node]


@pytest.mark.full
@KINDS
def test_own_writes_while_nodes_die(make_late_shop, kind, record_property):
    shop = make_late_shop(kind.consistency)
    # Who is to see all that there is waits for it: more of them do.
    crowd = Crowd(shop, 96 if kind is Global else 32, 100_000, kind)
    rng = random.Random(7)
    last = [time.monotonic()]

    done = Counter()

    def disturb():
        if time.monotonic() - last[0] < 3 * TIME_FACTOR:
            return
        last[0] = time.monotonic()
        node, disturbance = rng.choice(shop.cluster.nodes[1:]), rng.choice(DISTURBANCES)
        done[disturbance.__name__] += disturbance(node) is not False

    crowd.play(disturb)
    record_property("disturbances", str(dict(done)))
    record_property("rounds", crowd.rounds)
    record_property("reads", crowd.looks)
    record_property("lost", crowd.lost)
    record_property("routes", str(shop.routes()))
    assert_never_stale(shop, crowd)
    assert crowd.lost < 0.05 * crowd.rounds
    assert all(done[disturbance.__name__] for disturbance in DISTURBANCES), done


@pytest.mark.full
@pytest.mark.parametrize("consistency", ["session", "monotonic", "global"])
def test_share_of_replicas(make_late_shop, cluster, record_property, consistency):
    """A fifth of what is done are writes; who asks thinks for up to 300 ms: most reads run on
    replicas, by what the servers have logged, and nearly all of those that come two rounds of the
    monitor after the session's own last write: one replica has it by then, though the other is late."""
    log_statements(cluster)
    shop = make_late_shop(consistency)
    reads, lock = [], threading.Lock()

    def run(cell):
        rng = random.Random(cell)
        conn = shop.pooler.raw(dbname="shop")
        wrote = time.monotonic() - 10
        for _ in range(120):
            time.sleep(rng.uniform(0, 0.3))
            if rng.random() < 0.2:
                conn.query(f"UPDATE cells SET v = v + 1 WHERE id = {cell}")
                wrote = time.monotonic()
                continue
            with lock:
                mark, text = shop.mark(f"SELECT v FROM cells WHERE id = {cell}")
            began = time.monotonic()
            conn.query(text)
            with lock:
                reads.append((int(mark.split()[2]), began - wrote, time.monotonic() - began))
        conn.close()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    ran = shop.all_marks()
    on_replicas = ran["replica1"] | ran["replica2"]
    late = [number for number, age, _ in reads if age > 2 * ROUND]
    took = sorted(took for *_, took in reads)
    share = sum(n in on_replicas for n, *_ in reads) / len(reads)
    share_of_late = sum(n in on_replicas for n in late) / len(late)
    figures = {"reads": len(reads), "share on replicas": f"{share:.1%}", "late reads": len(late),
               "share of late ones": f"{share_of_late:.1%}",
               "median ms": f"{1000 * took[len(took) // 2]:.1f}"}
    print(consistency, figures)
    for name, figure in figures.items():
        record_property(name, figure)
    assert share >= 0.6
    assert share_of_late >= 0.9
