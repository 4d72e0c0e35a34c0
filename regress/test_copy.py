# SPDX-License-Identifier: PostgreSQL
"""COPY both ways, messages of any size, and peers that do not read."""

import hashlib
import select
import struct

import pytest

from lib.wait import wait_for
from lib.wire import bind, execute, message, parse, query, sync

COPY_FAIL = message("f", b"no more\0")
COPY_DONE = message("c")


def copy_data(data):
    return message("d", data)


@pytest.fixture(params=["session", "transaction"])
def any_pooler(request, make_pooler):
    pooler = make_pooler(pool_mode=request.param, default_pool_size=1)
    pooler.raw().query("CREATE TABLE t (v int, t text)")
    for c in pooler.connections:
        c.close()
    return pooler


def test_copy_in_and_out(any_pooler):
    conn = any_pooler.raw()
    conn.send(query("COPY t FROM STDIN"))
    assert conn.recv().kind == "G"
    lines = [f"{i}\t{hashlib.md5(str(i).encode()).hexdigest()}\n".encode() for i in range(50_000)]
    for at in range(0, len(lines), 1000):
        conn.send(b"".join(copy_data(line) for line in lines[at:at + 1000]))
    conn.send(COPY_DONE)
    assert conn.result().tag == "COPY 50000"
    conn.send(query("COPY (SELECT * FROM t ORDER BY v) TO STDOUT"))
    messages = conn.recv_until("Z")
    assert [m.body for m in messages if m.kind == "d"] == lines


@pytest.mark.parametrize("cut", ["bytes", "random"])
def test_copy_in_pieces(any_pooler, cut):
    conn = any_pooler.raw()
    conn.send(query("COPY t FROM STDIN"), cut)
    assert conn.recv().kind == "G"
    conn.send(copy_data(b"1\tone\n") + copy_data(b"2\ttw") + copy_data(b"o\n") + COPY_DONE, cut)
    assert conn.result().tag == "COPY 2"


def test_copy_fail(any_pooler):
    conn = any_pooler.raw()
    conn.send(query("COPY t FROM STDIN"))
    conn.recv()
    conn.send(copy_data(b"1\tone\n") + COPY_FAIL)
    result = conn.result()
    assert result.error.code == "57014"
    assert result.status == "I"
    assert conn.query("SELECT count(*) FROM t").value() == "0"


def test_copy_error_with_data_still_coming(any_pooler):
    """The server gives up early; what the client sends on is dropped, and everybody lives."""
    conn = any_pooler.raw()
    conn.send(query("COPY t FROM STDIN"))
    conn.recv()
    conn.send(copy_data(b"not a number\tx\n"))
    assert conn.recv_until("Z")[0].error().code == "22P02"
    for _ in range(100):
        conn.send(copy_data(b"1\tlate\n"))
    conn.send(COPY_DONE)
    assert conn.query("SELECT count(*) FROM t").value() == "0"


def test_copy_error_does_not_reach_the_next_client(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    conn, other = pooler.raw(), pooler.raw()
    conn.query("CREATE TABLE t (v int)")
    for _ in range(20):
        conn.send(query("COPY t FROM STDIN") + copy_data(b"bad\n") * 50 + COPY_DONE)
        other.send(query("SELECT 'clean'"))
        assert other.result().value() == "clean"
        assert conn.recv_until("Z")
    assert conn.query("SELECT 1").value() == "1"


def test_copy_in_a_transaction(any_pooler):
    conn = any_pooler.raw()
    conn.query("BEGIN")
    conn.send(query("COPY t FROM STDIN"))
    conn.recv()
    conn.send(copy_data(b"1\tone\n") + COPY_DONE)
    assert conn.result().status == "T"
    conn.query("ROLLBACK")
    assert conn.query("SELECT count(*) FROM t").value() == "0"


def test_copy_by_the_extended_protocol(any_pooler):
    conn = any_pooler.raw()
    conn.send(parse("", "COPY t FROM STDIN") + bind() + execute() + sync())
    conn.recv_until("G")
    conn.send(copy_data(b"5\tfive\n") + COPY_DONE + sync())
    result = conn.result()
    assert result.tag == "COPY 1"
    assert conn.query("SELECT v FROM t").value() == "5"


def test_psycopg_copy(any_pooler):
    conn = any_pooler.connect()
    with conn.cursor() as cursor:
        with cursor.copy("COPY t FROM STDIN") as copy:
            for i in range(1000):
                copy.write_row((i, "x" * 100))
        with cursor.copy("COPY t TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 1000


@pytest.mark.parametrize("size", [4000, 4096, 8192, 65_536, 5_000_000])
def test_value_of_that_size_out(any_pooler, size):
    conn = any_pooler.raw()
    value = conn.query(f"SELECT repeat('x', {size})").value()
    assert len(value) == size


@pytest.mark.parametrize("size", [4080, 4096, 65_536, 5_000_000])
def test_query_of_that_size_in(any_pooler, size):
    conn = any_pooler.raw()
    assert conn.query(f"SELECT length('{'y' * size}')").value() == str(size)


def test_many_small_rows(any_pooler):
    conn = any_pooler.raw()
    result = conn.query("SELECT generate_series(1, 100000)")
    assert len(result.rows) == 100_000
    assert result.rows[-1] == ["100000"]


def test_wide_rows_and_nulls(any_pooler):
    conn = any_pooler.raw()
    columns = ", ".join("NULL::int" if i % 2 else str(i) for i in range(1000))
    row, = conn.query("SELECT " + columns).rows
    assert row == [None if i % 2 else str(i) for i in range(1000)]


def test_long_notice_and_error(any_pooler):
    conn = any_pooler.raw()
    result = conn.query("DO $$ BEGIN RAISE NOTICE '%', repeat('n', 50000); END $$")
    assert len(result.notices[0].message) == 50_000
    result = conn.query("DO $$ BEGIN RAISE EXCEPTION '%', repeat('e', 50000); END $$")
    assert len(result.error.message) == 50_000


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def test_client_that_does_not_read(make_pooler, pg, db):
    """Back-pressure: 100 MB wait in PostgreSQL, not in the pooler, and others are served."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2)
    slow, other = pooler.raw(), pooler.raw()
    other.query("SELECT 1")
    before = resident_kb(pooler.pid)
    slow.send(query("SELECT repeat('z', 1000), g FROM generate_series(1, 100000) g"))

    def is_stuck():
        rows = pg.execute("SELECT wait_event FROM pg_stat_activity WHERE datname = %s"
                          " AND state = 'active'", (db,))
        return rows == [("ClientWrite",)]

    wait_for(is_stuck)
    for _ in range(50):
        assert other.query("SELECT 1").value() == "1"
    assert resident_kb(pooler.pid) - before < 20_000
    assert len(slow.result().rows) == 100_000


@pytest.mark.parametrize("inside", [3, 100, 3990])
def test_failed_copy_in_the_middle_of_a_message(make_pooler, inside):
    """Nothing of the pooler's own may go to the server before the rest of it."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    conn, other = pooler.raw(), pooler.raw()
    conn.query("CREATE TABLE t (v int)")
    late = copy_data(b"g" * 4000)
    conn.send(query("COPY t FROM STDIN"))
    assert conn.recv().kind == "G"
    conn.send(copy_data(b"x\n") + sync() + late[:inside])
    assert conn.result().error.code == "22P02"
    assert conn.result().kinds == "Z"
    conn.send(late[inside:] + COPY_DONE)
    assert conn.query("SELECT 'mine'").value() == "mine"
    assert other.query("SELECT 'other'").value() == "other"


def test_server_that_does_not_read(make_pooler, make_fake, make_proxy, db):
    """A query of 30 MB towards a stalled server waits in the client, not in the pooler."""
    fake = make_fake()
    proxy = make_proxy(fake.port)
    pooler = make_pooler(pool_mode="transaction", databases={
        db: {"host": proxy.host, "port": proxy.port}})
    conn = pooler.raw()
    conn.query("SELECT 1")
    before = resident_kb(pooler.pid)
    proxy.stall()
    body = b"SELECT '" + b"q" * 30_000_000 + b"'\0"
    data = b"Q" + struct.pack("!i", len(body) + 4) + body
    conn.sock.setblocking(False)
    sent = push(conn.sock, data)
    assert sent < len(data)
    assert resident_kb(pooler.pid) - before < 20_000
    assert pooler.console("SHOW VERSION")
    conn.sock.settimeout(30)
    proxy.flow()
    conn.sock.sendall(data[sent:])
    assert conn.result().value() == "1"


def push(sock, data):
    """Sends until nothing has gone for a while; returns how much went."""
    sent, quiet = 0, 0
    while quiet < 20 and sent < len(data):
        try:
            sent += sock.send(data[sent:sent + 1_000_000])
            quiet = 0
        except BlockingIOError:
            quiet += 1
            wait_for_writable(sock)
    return sent


def wait_for_writable(sock):
    select.select([], [sock], [], 0.02)
