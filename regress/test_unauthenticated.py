# SPDX-License-Identifier: PostgreSQL
"""What one connection can make the process hold before anybody knows who speaks: below 72 kB."""

import socket
import struct

import pytest

from lib.certs import client_tls, context
from lib.pg import PASSWORDS
from lib.proc import is_sanitized, resident_kb, settled
from lib.wire import GSSENC_REQUEST, SSL_REQUEST, V3_0, cstring, message, query, startup

pytestmark = [pytest.mark.pgweir_only, pytest.mark.usefixtures("many_files")]

CONNECTIONS = 500
LIMIT_KB = 72
LONGEST_PASSWORD = 65530
HBA = """
host pgbouncer admin all trust
host all plain all password
host all md5 all md5
host all scram all scram-sha-256
"""
USERS = {"plain": "x" * LONGEST_PASSWORD, "md5": "pw", "scram": "pw"}


def all_but_one_byte(conn, data):
    conn.send(data[:-1])


def largest_startup(conn, db):
    parameters = b"".join(cstring(f"_pq_.{i:04}") + cstring("v") for i in range(700))
    body = struct.pack("!i", V3_0) + cstring("user") + cstring("plain") + parameters
    all_but_one_byte(conn, struct.pack("!i", 10000) + body.ljust(9996, b"\0"))


def startup_behind_a_request(conn, db):
    conn.send(GSSENC_REQUEST)
    assert conn.read_exactly(1) == b"N"
    largest_startup(conn, db)


def ask(conn, db, user):
    conn.send(startup({"user": user, "database": db, "application_name": "a" * 2000}))
    assert conn.recv().kind == "R"


def long_password(conn, db, user="plain"):
    ask(conn, db, user)
    all_but_one_byte(conn, message("p", b"p" * 65535 + b"\0"))


def long_md5(conn, db):
    long_password(conn, db, "md5")


def long_scram(conn, db):
    ask(conn, db, "scram")
    first = b"n,,n=,r=" + b"r" * 65000
    all_but_one_byte(conn, message("p", cstring("SCRAM-SHA-256") + struct.pack("!i", len(first))
                                   + first))


def long_second_scram(conn, db):
    ask(conn, db, "scram")
    first = b"n,,n=,r=" + b"r" * 24
    conn.send(message("p", cstring("SCRAM-SHA-256") + struct.pack("!i", len(first)) + first))
    assert conn.recv().kind == "R"
    all_but_one_byte(conn, message("p", b"c=biws,r=" + b"r" * 65500))


def early_queries(conn, db):
    """Pipelined behind a password that is not there yet."""
    conn.send(startup({"user": "plain", "database": db}) + b"p" + struct.pack("!i", 65530)
              + query("SELECT 1") * 2000)
    assert conn.recv().kind == "R"


def record(data):
    return b"\x16\x03\x01" + struct.pack("!H", len(data)) + data


def long_client_hello(conn, db):
    """As long as one may be, in a second record that is not whole."""
    hello = (b"\x01" + struct.pack("!i", 16384)[1:]).ljust(16388, b"r")
    conn.send(SSL_REQUEST)
    assert conn.read_exactly(1) == b"S"
    conn.send(record(hello[:10]))
    all_but_one_byte(conn, record(hello[10:]))


KINDS = [largest_startup, startup_behind_a_request, long_password, long_md5, long_scram,
         long_second_scram, early_queries, long_client_hello]


def make(make_pooler, certs, **kw):
    return make_pooler(max_client_conn=2 * CONNECTIONS, worker_threads=2, hba=HBA, auth=USERS,
                       listen_backlog=1000, client_login_timeout=300,
                       **client_tls(certs, "allow"), **kw)


def held_by_each(pooler, kind):
    kind(pooler.raw(login=False), pooler.db)
    before = settled(resident_kb, pooler.pid)
    for _ in range(CONNECTIONS):
        kind(pooler.raw(login=False), pooler.db)
    each = (settled(resident_kb, pooler.pid) - before) / CONNECTIONS
    print(f"{kind.__name__}: {each:.1f} kB for each")
    return each


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_memory_of_one_that_has_not_logged_in(make_pooler, certs, kind):
    pooler = make(make_pooler, certs)
    each = held_by_each(pooler, kind)
    if not is_sanitized(pooler.pid):
        assert each < LIMIT_KB


def test_memory_of_one_inside_tls(make_pooler, certs):
    """What OpenSSL itself needs comes on top: a record that is not whole, and its own state."""
    ctx = context(certs)

    def long_password_in_tls(conn, db):
        conn.start_tls(ctx)
        long_password(conn, db)
        socket.socket.sendall(conn.sock, b"\x17\x03\x03" + struct.pack("!H", 16000) + bytes(15999))

    pooler = make(make_pooler, certs)
    each = held_by_each(pooler, long_password_in_tls)
    if not is_sanitized(pooler.pid):
        assert each < LIMIT_KB + 32


def test_memory_while_the_secret_is_looked_up(make_pooler, make_fake, db):
    def early_queries_of_a_stranger(conn, db):
        conn.send(startup({"user": "stranger", "database": db}))
        conn.sock.setblocking(False)
        try:
            conn.sock.send(query("SELECT 1") * 20000)
        except BlockingIOError:
            pass

    fake = make_fake(on_message=lambda session, kind, body: True)
    pooler = make_pooler(max_client_conn=2 * CONNECTIONS, worker_threads=2, auth_type="md5",
                         auth_user="alice", default_pool_size=1,
                         databases={db: {"host": fake.host, "port": fake.port}})
    each = held_by_each(pooler, early_queries_of_a_stranger)
    if not is_sanitized(pooler.pid):
        assert each < LIMIT_KB


def test_longest_password_passes(make_pooler, certs, pg, db):
    pooler = make(make_pooler, certs, databases={db: {
        "host": pg.host, "port": pg.port, "user": "alice", "password": PASSWORDS["alice"]}})
    conn = pooler.raw(user="plain", cut="random")
    assert conn.query("SELECT current_user").value() == "alice"
