# SPDX-License-Identifier: PostgreSQL
"""A primary that nobody waited for is killed while it is written to: what was acknowledged and not
sent on is lost, and only that; nobody who knew of it sees anything older than what is left; and no
two nodes take writes."""

import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass

import pytest

from lib.nodes import settle, state
from lib.wait import wait_for
from lib.wire import Closed, PgError

pytestmark = pytest.mark.pgweir_only
SCHEMA = """
    CREATE TABLE written (writer int, n int, port int, PRIMARY KEY (writer, n));
    GRANT ALL ON written TO public"""


@dataclass
class Read:
    must_see: int
    port: int
    got: int


class Session(threading.Thread):
    """Writes what it counts, and reads it back. One that falls quiet only reads from then on, and
    takes its token along when its connection is lost."""

    def __init__(self, pooler, number, writer=None, token=None, must_see=None):
        super().__init__(daemon=True)
        self.pooler, self.writer = pooler, number if writer is None else writer
        self.rng = random.Random(number)
        self.conn, self.wrong = None, None
        self.token, self.must_see = token, must_see
        self.tried, self.acknowledged, self.reads = 0, [], []
        self.is_over = False
        self.falls_quiet = token is not None
        self.may_go_on = threading.Event()
        if token:
            self.connect()
            self.may_go_on.set()

    def connect(self):
        self.conn = self.pooler.raw(dbname="shop")
        self.conn.sock.settimeout(90)
        if self.token:
            self.query(f"SET pgweir.lsn = '{self.token}'")

    def query(self, text):
        result = self.conn.query(text)
        if result.error:
            raise result.error
        return result

    def write(self):
        self.tried += 1
        result = self.query(f"INSERT INTO written VALUES ({self.writer}, {self.tried}, inet_server_port())"
                            " RETURNING port")
        self.acknowledged.append((self.tried, int(result.value())))
        self.must_see = self.tried

    def read(self):
        row, = self.query("/* pgweir: replica */ SELECT inet_server_port()::int, coalesce(max(n), 0)"
                          f" FROM written WHERE writer = {self.writer}").rows
        self.reads.append(Read(self.must_see, int(row[0]), int(row[1])))

    def step(self):
        if self.falls_quiet and not self.token:
            self.token = self.query("SHOW pgweir.lsn").value()
            self.may_go_on.wait()
        if not self.falls_quiet:
            self.write()
        if self.falls_quiet or self.rng.random() < 0.3:
            self.read()
        time.sleep(self.rng.uniform(0, 0.01))

    def run(self):
        try:
            while not self.is_over:
                try:
                    if not self.conn:
                        self.connect()
                    self.step()
                except (Closed, PgError, OSError):
                    # In flight when the primary was lost: what it wrote is there or not.
                    self.conn = None
                    self.must_see = self.must_see if self.token else None
        except Exception as e:  # pylint: disable=broad-except
            self.wrong = e

    def has_written(self, count, port):
        return sum(p == port for _, p in list(self.acknowledged)) >= count

    def has_read_on(self, port):
        return any(read.port == port for read in list(self.reads))


class Sessions:
    def __init__(self, pooler, busy, quiet):
        self.pooler = pooler
        self.busy = [Session(pooler, i) for i in range(busy)]
        self.quiet = [Session(pooler, busy + i) for i in range(quiet)]
        self.readers = []

    def all(self):
        return self.busy + self.quiet + self.readers

    def __enter__(self):
        for session in self.all():
            session.start()
        return self

    def __exit__(self, *exc):
        for session in self.all():
            session.is_over = True
            session.may_go_on.set()
        for session in self.all():
            session.join()
        wrong = [session.wrong for session in self.all() if session.wrong]
        assert exc[0] or not wrong, wrong

    def write_more(self, count, port):
        """Each of those that write."""
        writing = [s for s in self.all() if not s.falls_quiet]
        before = {s: sum(p == port for _, p in list(s.acknowledged)) for s in writing}
        wait_for(lambda: all(s.has_written(before[s] + count, port) for s in writing), 30)

    def fall_quiet(self):
        for session in self.quiet:
            session.falls_quiet = True
        wait_for(lambda: all(session.token for session in self.quiet))

    def import_tokens(self):
        """Others see what these have written, too."""
        for session in self.quiet:
            reader = Session(self.pooler, 100 + len(self.readers), session.writer, session.token,
                             session.must_see)
            self.readers.append(reader)
            reader.start()

    def go_on(self):
        for session in self.quiet:
            session.may_go_on.set()


def received(node):
    return node.execute("SELECT pg_last_wal_receive_lsn() - '0/0'")[0][0]


def rows_of(node):
    """By writer and by the node that took them."""
    rows = defaultdict(set)
    for writer, n, port in node.execute("SELECT writer, n, port FROM written"):
        rows[writer, port].add(n)
    return rows


def last_of(node, writer):
    return node.execute(f"SELECT coalesce(max(n), 0) FROM written WHERE writer = {writer}")[0][0]


def come_back(pooler, sessions, old, new):
    """What the lost primary has, to which nothing comes any more though it takes writes again."""
    old.start()
    wait_for(lambda: state(pooler, old) == "fenced")
    rows = rows_of(old)
    sessions.write_more(5, new.port)
    assert rows_of(old) == rows
    old.kill()
    return rows


def judge_writes(sessions, old, new, left, on_old):
    """Returns how many that were acknowledged are lost."""
    lost = 0
    for session in sessions.busy + sessions.quiet:
        writer = session.writer
        acknowledged = {n for n, port in session.acknowledged if port == old.port}
        kept, was = left[writer, old.port], on_old[writer, old.port]
        # To one node each, and all of it to that one.
        assert {port for _, port in session.acknowledged} <= {old.port, new.port}
        assert {n for n, port in session.acknowledged if port == new.port} <= left[writer, new.port]
        assert not on_old[writer, new.port]
        # What is lost is the end of what there was, and nothing else.
        assert acknowledged <= was and kept <= was, (writer, acknowledged - was, kept - was)
        assert kept == {n for n in was if n <= max(kept, default=0)}, (writer, was - kept)
        # Nobody was told of the rest of it, which is no more than was under way.
        assert len(was - acknowledged) <= 1, (writer, was - acknowledged)
        lost += len(acknowledged - kept)
    return lost


def judge_reads(sessions, old, left):
    """Each sees what it knows of, or, where that is lost, all that is left of it."""
    n_lost = 0
    for session in sessions.all():
        kept = max(left[session.writer, old.port], default=0)
        of_old = max((n for n, port in session.acknowledged if port == old.port),
                     default=session.must_see or 0)
        for read in session.reads:
            if read.must_see is None:
                continue
            is_lost = kept < read.must_see <= of_old
            assert read.got >= read.must_see or (is_lost and read.got == kept), (read, kept)
            n_lost += is_lost and read.got == kept
    return n_lost


def fail_over(pooler, sessions, make_proxy, nodes, is_cut_off):
    """The second standby has less than the first one, and that has less than the primary."""
    old, new, other = nodes
    proxies = {}
    for node in (new, other):
        proxies[node] = make_proxy(old.port)
        node.follow(proxies[node])
        with node.connect() as conn:
            conn.execute("ALTER SYSTEM SET wal_retrieve_retry_interval = '100ms'")
            conn.execute("SELECT pg_reload_conf()")
        wait_for(lambda n=node: proxies[n].accepted and n.execute(
            "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'")[0][0])
    settle(pooler)
    sessions.write_more(10, old.port)
    proxies[other].stall()
    sessions.write_more(5, old.port)
    if is_cut_off:
        proxies[new].stall()
        sessions.write_more(5, old.port)
    sessions.fall_quiet()
    sessions.import_tokens()
    sessions.write_more(5, old.port)
    old.kill()
    for proxy in proxies.values():
        proxy.reset()
        proxy.stop()
    assert received(new) > received(other)
    sessions.go_on()
    wait_for(lambda: state(pooler, old) == "down")
    new.promote()
    wait_for(lambda: state(pooler, new) == "primary")
    sessions.import_tokens()
    sessions.write_more(5, new.port)
    assert all(last_of(other, s.writer) < last_of(new, s.writer) for s in sessions.quiet)
    other.follow(new)
    other.execute("SELECT pg_reload_conf()")
    wait_for(lambda: state(pooler, other) == "ready")
    wait_for(lambda: all(s.has_read_on(other.port) for s in sessions.quiet + sessions.readers))


def lose_a_tail(make_shop, make_proxy, cluster, busy, quiet, is_cut_off):
    old, new, _ = cluster.nodes
    old.execute(SCHEMA)
    cluster.catch_up()
    pooler = make_shop(routing="split", no_primary_wait="1min", max_lag="1min", default_pool_size=30,
                       max_client_conn=500)
    settle(pooler)
    with Sessions(pooler, busy, quiet) as sessions:
        fail_over(pooler, sessions, make_proxy, cluster.nodes, is_cut_off)
        on_old = come_back(pooler, sessions, old, new)
    left = rows_of(new)
    lost = judge_writes(sessions, old, new, left, on_old)
    reads = judge_reads(sessions, old, left)
    acknowledged = sum(len(s.acknowledged) for s in sessions.all())
    print(f"{acknowledged} writes acknowledged, {lost} of them lost; "
          f"{reads} reads by sessions that had seen what was lost")
    return lost, reads


def test_lost_tail(make_shop, make_proxy, cluster):
    lost, reads = lose_a_tail(make_shop, make_proxy, cluster, 3, 2, True)
    assert lost >= 5 and reads > 0


@pytest.mark.full
@pytest.mark.parametrize("is_cut_off", [True, False])
def test_lost_tail_of_many(make_shop, make_proxy, cluster, is_cut_off):
    """Also where the network is as good as it gets."""
    lost, reads = lose_a_tail(make_shop, make_proxy, cluster, 12, 8, is_cut_off)
    assert not is_cut_off or (lost >= 5 and reads > 0)
