# SPDX-License-Identifier: PostgreSQL
"""The primary is killed ten times while clients write and read: what was acknowledged is there, no
node that is not followed gets a write, writers go on soon, and readers do not stop."""

import threading
import time
from collections import Counter
from dataclasses import dataclass

import pytest

from lib.nodes import settle, state
from lib.wait import TIME_FACTOR, wait_for
from lib.wire import Closed, PgError, query

pytestmark = [pytest.mark.pgweir_only, pytest.mark.full]
WRITERS, FAILOVERS = 6, 10
# What readers ask: split off by proof, by a hint, and what is for replicas alone. The
# setting is of the node, but in a name that is the session's, so that it is proved to be a read.
READ = "SELECT current_setting('regress.node')::int, coalesce(max(n), 0) FROM written WHERE writer = 0"
READS = [("shop", READ), ("shop", f"/* pgweir: replica */ {READ}"), ("shop_ro", READ)]
# Of who was on the primary when that was lost.
LOST_WITH_PRIMARY = ("57P01", "08P01", "08006")
# A session that has come to the primary is let go when it has not read for a round of the monitor.
REST, RESTS_AFTER = 0.25, 25
# Replicas go on without the primary, and a promotion is followed within two rounds (0.2 s). The rest
# is for what else the machine does.
MAX_GAP = 1 * TIME_FACTOR
# No writer has this number: rows that are written past the pooler.
BY_HAND = -1


def is_loss(error):
    return not isinstance(error, PgError) or error.code in LOST_WITH_PRIMARY


class Client(threading.Thread):
    def __init__(self, pooler, dbname):
        super().__init__(daemon=True)
        self.pooler, self.dbname = pooler, dbname
        self.is_over, self.conn, self.wrong = False, None, None

    def row(self, text):
        """What the query gives; after an error the next one begins a session of its own."""
        try:
            if not self.conn:
                self.conn = self.pooler.raw(dbname=self.dbname)
                self.conn.sock.settimeout(90)
            self.conn.send(query(text))
            messages = self.conn.recv_until("EZ")
            if messages[-1].kind == "E":
                raise messages[-1].error()
            return next(m.values() for m in messages if m.kind == "D")
        except (Closed, PgError, OSError):
            if self.conn:
                self.conn.close()
            self.conn = None
            raise

    def run(self):
        try:
            while not self.is_over:
                self.step()
        except Exception as e:  # pylint: disable=broad-except
            self.wrong = e


class Writer(Client):
    """Notes when it has asked for which row, and which node acknowledged it when."""

    def __init__(self, pooler, number):
        super().__init__(pooler, "shop")
        self.number, self.n = number, 0
        self.asked, self.acknowledged = {}, {}

    def step(self):
        self.n += 1
        self.asked[self.n] = time.monotonic()
        try:
            port, = self.row(f"INSERT INTO written VALUES ({self.number}, {self.n}, inet_server_port())"
                             " RETURNING port")
        except (Closed, PgError, OSError) as e:
            # In flight when the primary was lost: it may be there or not.
            if not is_loss(e):
                raise
            return
        self.acknowledged[self.n] = (time.monotonic(), int(port))

    def first_after(self, moment):
        """When it was first told after that moment that a row is there; None until then."""
        return min((when for when, _ in list(self.acknowledged.values())[-2000:] if when > moment),
                   default=None)


@dataclass
class Answer:
    when: float
    port: int


class Reader(Client):
    """Only reads, so that no primary is needed for what it must see. Notes who answered when."""

    def __init__(self, pooler, dbname, text):
        super().__init__(pooler, dbname)
        self.text, self.seen = text, 0
        self.answers, self.errors = [], []

    def step(self):
        asked = time.monotonic()
        try:
            port, last = map(int, self.row(self.text))
        except (Closed, PgError, OSError) as e:
            self.errors.append((self.answers[-1] if self.answers else None, asked, e))
            self.seen = 0
            return
        # A row that waits for its standby is there on a standby, and not yet on the primary.
        least = self.seen - bool(self.answers and self.answers[-1].port != port)
        # Who reads through shop_ro may go back.
        assert last >= least or self.dbname != "shop", (port, last, self.seen, self.answers[-3:])
        self.answers.append(Answer(time.monotonic(), port))
        self.seen = last
        time.sleep(REST if len(self.answers) % RESTS_AFTER == 0 else 0.01)

    def is_on(self, node):
        return bool(self.answers) and self.answers[-1].port == node.port


class Load:
    def __init__(self, pooler, reads):
        self.writers = [Writer(pooler, i) for i in range(WRITERS)]
        self.readers = [Reader(pooler, *read) for read in reads]

    def all(self):
        return self.writers + self.readers

    def __enter__(self):
        for client in self.all():
            client.start()
        return self

    def __exit__(self, *exc):
        for client in self.all():
            client.is_over = True
        # Where something went wrong they may wait for long: the end of the pooler is theirs, too.
        if exc[0]:
            return
        for client in self.all():
            client.join()
        self.check()

    def check(self):
        wrong = [client.wrong for client in self.all() if client.wrong]
        assert not wrong, wrong

    def acknowledged(self):
        """Row by row: when, and by the node at which port."""
        return {(w.number, n): ack for w in self.writers for n, ack in list(w.acknowledged.items())}

    def count(self):
        return sum(len(w.acknowledged) for w in self.writers)

    def write_more(self, count):
        before = self.count()
        wait_for(lambda: self.check() or self.count() >= before + count)

    def written_since(self, moment, port):
        """The rows that were asked for after that moment, or acknowledged since by that node."""
        asked = {(w.number, n) for w in self.writers for n, when in list(w.asked.items()) if when > moment}
        return asked | {row for row, (when, by) in self.acknowledged().items() if when > moment and by == port}

    def read_more(self, count, readers):
        before = {r: len(r.answers) for r in readers}
        wait_for(lambda: self.check() or all(len(r.answers) >= n + count for r, n in before.items()),
                 what=f"{count} more answers to each reader")

    def ports_read(self, begin, end):
        """How many answers came from which node."""
        return Counter(a.port for r in self.readers for a in list(r.answers) if begin < a.when < end)


@dataclass
class Failover:
    old: object
    new: object
    killed: float
    is_dead: float
    promoted: float
    goes_on: float
    rejoins: float
    on_old: set
    is_back: bool


def received(node):
    return node.execute("SELECT pg_last_wal_receive_lsn() - '0/0'")[0][0]


def source(node):
    """The port of the node that it receives from."""
    rows = node.execute("SELECT sender_port FROM pg_stat_wal_receiver WHERE status = 'streaming'")
    return rows[0][0] if rows else None


def rows_of(node):
    return {tuple(row) for row in node.execute("SELECT writer, n FROM written")}


def succeed(standbys, load):
    """Promotes the standby that has received more, the other one is its standby by then."""
    wait_for(lambda: not any(source(node) for node in standbys))
    new, other = sorted(standbys, key=received, reverse=True)
    other.follow(new)
    other.execute("SELECT pg_reload_conf()")
    wait_for(lambda: source(other) == new.port)
    promoted = time.monotonic()
    new.execute("SELECT pg_promote()")
    wait_for(lambda: load.check() or all(w.first_after(promoted) for w in load.writers))
    return new, other, promoted


def come_back_writable(pooler, load, old):
    """The lost primary takes writes again, without waiting for a standby: it is fenced, and has no
    other rows than its own while writers go on. Returns these."""
    old.start(synchronous_standby_names="")
    wait_for(lambda: state(pooler, old) == "fenced")
    old.execute(f"INSERT INTO written VALUES ({BY_HAND}, 0, 0)")
    load.write_more(100)
    assert state(pooler, old) == "fenced"
    rows = rows_of(old)
    old.kill()
    return rows


def look_at(old):
    """What the lost primary has, out of everybody's reach."""
    old.start(synchronous_standby_names="", listen_addresses="")
    with old.connect_by_socket() as conn:
        rows = {tuple(row) for row in conn.execute("SELECT writer, n FROM written").fetchall()}
    old.pg_ctl("-w", "-m", "fast", "stop")
    return rows


def rejoin(old, new, number):
    """As a standby of the new primary: rewound, or every third time made anew."""
    if number % 3 == 2:
        old.copy(new)
    else:
        assert "Done!" in old.rewind(new)


def fail_over(pooler, load, nodes, number):
    """Returns the nodes, the new primary first, and what happened."""
    old, *standbys = nodes
    for node in standbys:
        wait_for(lambda n=node: source(n) == old.port)
    wait_for(lambda: not any(r.is_on(old) for r in load.readers))
    killed = time.monotonic()
    old.kill()
    is_dead = time.monotonic()
    # There is no primary now.
    load.read_more(30, [r for r in load.readers if not r.is_on(old)])
    new, other, promoted = succeed(standbys, load)
    goes_on = max(w.first_after(promoted) for w in load.writers)
    is_back = number % 2 == 1
    on_old = come_back_writable(pooler, load, old) if is_back else look_at(old)
    rejoin(old, new, number)
    rejoins = time.monotonic()
    old.start()
    wait_for(lambda: state(pooler, old) == "ready" and state(pooler, other) == "ready")
    return [new, other, old], Failover(old, new, killed, is_dead, promoted, goes_on, rejoins, on_old, is_back)


def judge_writes(load, failovers, survivor):
    rows = survivor.execute("SELECT writer, n, port FROM written")
    assert len({(writer, n) for writer, n, _ in rows}) == len(rows)
    assert not {(*row, port) for row, (_, port) in load.acknowledged().items()} - set(rows)
    # What had been written past the pooler went when that node was rewound.
    assert not [row for row in rows if row[0] == BY_HAND]
    for f in failovers:
        assert ((BY_HAND, 0) in f.on_old) == f.is_back
        assert len(f.on_old) > 50
        strays = f.on_old & load.written_since(f.promoted, f.new.port)
        assert not strays, sorted(strays)[:5]


def was_on_lost(answer, failovers, until):
    """Was the session on a primary that was killed before its next answer?"""
    return any(answer.port == f.old.port and answer.when < f.is_dead and f.killed < until for f in failovers)


def was_asked_of_lost(asked, failovers):
    """Who has come to the primary with that very request is told so at once."""
    return any(f.killed - 1 < asked < f.is_dead for f in failovers)


def judge_reads(load, failovers):
    """Returns the longest time without an answer."""
    for f in failovers:
        assert f.old.port not in load.ports_read(f.is_dead, f.rejoins)
        assert sum(load.ports_read(f.killed, f.promoted).values()) > 100
    errors = [(r.text, last, e) for r in load.readers for last, asked, e in r.errors
              if not last or not is_loss(e) or not (was_on_lost(last, failovers, time.monotonic()) or
                                                    was_asked_of_lost(asked, failovers))]
    assert not errors, errors[:5]
    gaps = [(b.when - a.when, r.dbname, r.text, a, b) for r in load.readers
            for a, b in zip(r.answers, r.answers[1:]) if not was_on_lost(a, failovers, b.when)]
    longest = max(gaps, key=lambda gap: gap[0])
    assert longest[0] < MAX_GAP, longest
    return longest[0]


def prepare(cluster):
    primary = cluster.nodes[0]
    primary.execute("CREATE TABLE written (writer int, n int, port int); CREATE INDEX ON written (writer, n);"
                    "GRANT ALL ON written TO public")
    cluster.catch_up()
    for node in cluster.nodes:
        # In the file that is the node's own, whatever it is made of.
        with open(node.data / "pgcluster.conf", "a", encoding="utf-8") as f:
            f.write(f"regress.node = {node.port}\n")
        with node.connect() as conn:
            conn.execute("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'")
            # After that time a standby asks again who is there, and on which timeline.
            conn.execute("ALTER SYSTEM SET wal_retrieve_retry_interval = '100ms'")
            conn.execute("SELECT pg_reload_conf()")


def test_ten_failovers(make_shop, cluster):
    prepare(cluster)
    pooler = make_shop(routing="split", no_primary_wait="1min", max_lag="10s")
    settle(pooler)
    nodes, failovers = cluster.nodes, []
    with Load(pooler, READS * 2) as load:
        load.write_more(50)
        for i in range(FAILOVERS):
            nodes, failover = fail_over(pooler, load, nodes, i)
            failovers.append(failover)
    waits = [f.goes_on - f.promoted for f in failovers]
    print(f"{load.count()} writes, waits {[round(w, 2) for w in waits]}")
    judge_writes(load, failovers, nodes[0])
    assert max(waits) < 2 * TIME_FACTOR, waits
    longest = judge_reads(load, failovers)
    print(f"{sum(len(r.answers) for r in load.readers)} reads, at most {longest:.2f} s without one")


def test_readers_without_primary(make_shop, cluster):
    """They go on, each of them, for as long as there is none."""
    prepare(cluster)
    old, *standbys = cluster.nodes
    pooler = make_shop(routing="split", no_primary_wait="1min", max_lag="10s")
    settle(pooler)
    with Load(pooler, READS[:2] * 5) as load:
        load.write_more(50)
        load.read_more(30, load.readers)
        wait_for(lambda: not any(r.is_on(old) for r in load.readers))
        killed = time.monotonic()
        old.kill()
        is_dead = time.monotonic()
        others = [r for r in load.readers if not r.is_on(old)]
        for _ in range(10):
            load.read_more(50, others)
        succeed(standbys, load)
    assert not [e for r in others for _, asked, e in r.errors if not (is_loss(e) and killed - 1 < asked < is_dead)]
