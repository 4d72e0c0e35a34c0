# SPDX-License-Identifier: PostgreSQL
"""TLS towards clients and towards servers."""

import ssl

import psycopg
import pytest

from lib.certs import client_tls, context, make_cert
from lib.check import assert_refused
from lib.console import by, shown
from lib.wait import wait_for
from lib.wire import GSSENC_REQUEST, SSL_REQUEST, Closed, PgError, RawConn, query, startup


def tls_conn(pooler, ctx, user="alice", login=True, **kw):
    conn = pooler.raw(login=False)
    conn.start_tls(ctx)
    if login:
        conn.login(user, pooler.db, **kw)
    return conn


# -- towards clients --


@pytest.mark.parametrize("mode", ["allow", "prefer", "require"])
def test_client_tls(make_pooler, certs, mode):
    pooler = make_pooler(**client_tls(certs, mode))
    conn = tls_conn(pooler, context(certs))
    assert conn.query("SELECT 1").value() == "1"
    admin = tls_conn(pooler, context(certs), login=False)
    admin.login("admin", "pgbouncer")
    rows = [r for r in admin.query("SHOW CLIENTS").dicts() if r["database"] == pooler.db]
    assert rows[0]["tls"].startswith("TLSv1.3/")


@pytest.mark.parametrize("mode, works", [("disable", True), ("allow", True), ("prefer", True),
                                         ("require", False), ("verify-ca", False),
                                         ("verify-full", False)])
def test_plain_client(make_pooler, certs, mode, works):
    pooler = make_pooler(**client_tls(certs, mode))
    if works:
        assert pooler.raw().query("SELECT 1").value() == "1"
        return
    with pytest.raises(PgError) as e:
        pooler.raw()
    assert_refused(e.value, "SSL required")


def test_unix_socket_is_exempt(make_pooler, certs):
    pooler = make_pooler(**client_tls(certs, "require"))
    assert pooler.raw(unix=True).query("SELECT 1").value() == "1"


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
@pytest.mark.parametrize("cert, works", [("alice", True), (None, False), ("stranger", False)])
def test_client_certificate(make_pooler, certs, mode, cert, works):
    pooler = make_pooler(**client_tls(certs, mode))
    if works:
        assert tls_conn(pooler, context(certs, cert=cert)).query("SELECT 1").value() == "1"
        return
    with pytest.raises((ssl.SSLError, Closed, ConnectionError)):
        tls_conn(pooler, context(certs, cert=cert))


@pytest.mark.pgweir_only
def test_presented_certificate_is_always_verified(make_pooler, certs):
    pooler = make_pooler(**client_tls(certs, "require"))
    with pytest.raises((ssl.SSLError, Closed, ConnectionError)):
        tls_conn(pooler, context(certs, cert="stranger"))


def test_auth_by_certificate(make_pooler, certs):
    pooler = make_pooler(**client_tls(certs, "verify-full", auth_type="cert"))
    conn = tls_conn(pooler, context(certs, cert="alice"))
    assert conn.auth_requests() == [0]
    assert conn.query("SELECT current_user").value() == "alice"
    with pytest.raises(PgError) as e:
        tls_conn(pooler, context(certs, cert="bob"))
    assert_refused(e.value, "certificate authentication failed")


@pytest.mark.pgweir_only
def test_auth_by_certificate_with_a_map(make_pooler, certs):
    pooler = make_pooler(
        hba="hostssl all all 127.0.0.1/32 cert map=m\n", ident="m bob alice\n",
        **client_tls(certs, "verify-full"))
    assert tls_conn(pooler, context(certs, cert="bob")).query("SELECT 1").value() == "1"
    with pytest.raises(PgError) as e:
        tls_conn(pooler, context(certs, cert="alice"))
    assert_refused(e.value, "certificate authentication failed")


def test_hba_hostssl_and_hostnossl(make_pooler, certs):
    hba = "hostssl all alice 127.0.0.1/32 trust\nhostnossl all bob 127.0.0.1/32 trust\n" \
          "host all admin 127.0.0.1/32 trust\n"
    pooler = make_pooler(hba=hba, **client_tls(certs, "allow"))
    assert tls_conn(pooler, context(certs)).query("SELECT 1").value() == "1"
    assert pooler.raw(user="bob").query("SELECT 1").value() == "1"
    with pytest.raises(PgError):
        pooler.raw()
    with pytest.raises(PgError):
        tls_conn(pooler, context(certs), user="bob")


@pytest.mark.parametrize("auth_type", ["md5", "scram-sha-256"])
def test_psycopg_over_tls(make_pooler, certs, auth_type):
    pooler = make_pooler(auth_type=auth_type, **client_tls(certs, "require"))
    conn = pooler.connect(sslmode="verify-full", host="localhost", hostaddr="127.0.0.1",
                          sslrootcert=str(certs / "ca.crt"))
    for _ in range(20):
        assert len(conn.execute("SELECT repeat('t', 100000)").fetchone()[0]) == 100_000
    with pytest.raises(psycopg.OperationalError):
        pooler.connect(sslmode="disable")


@pytest.mark.parametrize("injected", [b"x", query("SELECT 'injected'"),
                                      startup({"user": "alice", "database": "x"})])
def test_plaintext_behind_ssl_request(make_pooler, certs, injected):
    """Bytes sent before the handshake must never be taken for bytes of the session."""
    pooler = make_pooler(**client_tls(certs, "require"))
    conn = pooler.raw(login=False)
    conn.send(SSL_REQUEST + injected)
    error = conn.expect_fatal()
    assert_refused(error, "received unencrypted data after SSL request")


@pytest.mark.pgweir_only
def test_plaintext_behind_ssl_request_that_is_declined(pooler):
    conn = pooler.raw(login=False)
    conn.send(SSL_REQUEST + startup({"user": "alice", "database": pooler.db}))
    first = conn.read_exactly(1)
    if first == b"N":
        first = conn.recv().kind.encode()
    assert first == b"E"


def test_ssl_request_inside_tls(make_pooler, certs):
    pooler = make_pooler(**client_tls(certs, "require"))
    conn = tls_conn(pooler, context(certs), login=False)
    conn.send(SSL_REQUEST)
    conn.expect_refusal()


@pytest.mark.pgweir_only
def test_direct_tls(make_pooler, certs):
    pooler = make_pooler(**client_tls(certs, "require"))
    conn = pooler.raw(login=False)
    conn.wrap(context(certs, alpn=["postgresql"]))
    assert conn.sock.selected_alpn_protocol() == "postgresql"
    conn.login("alice", pooler.db)
    assert conn.query("SELECT 'direct'").value() == "direct"


@pytest.mark.pgweir_only
def test_direct_tls_of_a_client_that_waits(make_pooler, certs):
    """The pooler has long accepted the connection when the ClientHello comes."""
    pooler = make_pooler(tcp_defer_accept=0, **client_tls(certs, "allow"))
    conn = pooler.raw(login=False)
    wait_for(lambda: by(shown(pooler, "LISTS"), list="login_clients")["items"] == "1",
             what="the connection is known")
    conn.wrap(context(certs, alpn=["postgresql"]))
    assert conn.sock.selected_alpn_protocol() == "postgresql"
    conn.login("alice", pooler.db)
    assert conn.query("SELECT 'late'").value() == "late"


@pytest.mark.pgweir_only
@pytest.mark.parametrize("defer", [0, 1])
def test_direct_tls_byte_by_byte(make_pooler, make_proxy, certs, defer):
    pooler = make_pooler(tcp_defer_accept=defer, **client_tls(certs, "require"))
    proxy = make_proxy(pooler.port)
    proxy.crumble(1)
    with RawConn(proxy.port) as conn:
        conn.wrap(context(certs, alpn=["postgresql"]))
        conn.login("alice", pooler.db)
        assert conn.query("SELECT 'crumbs'").value() == "crumbs"


@pytest.mark.pgweir_only
def test_direct_tls_behind_another_request(make_pooler, certs):
    """Only the very first byte of a connection may begin TLS."""
    pooler = make_pooler(tcp_defer_accept=0, **client_tls(certs, "allow"))
    conn = pooler.raw(login=False)
    conn.send(GSSENC_REQUEST)
    assert conn.read_exactly(1) == b"N"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        conn.wrap(context(certs, alpn=["postgresql"]))
    assert pooler.raw().query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
def test_direct_tls_for_another_protocol(make_pooler, certs):
    pooler = make_pooler(**client_tls(certs, "require"))
    conn = pooler.raw(login=False)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        conn.wrap(context(certs, alpn=["http/1.1"]))
        conn.recv()
    assert tls_conn(pooler, context(certs)).query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
def test_direct_tls_when_tls_is_off(pooler, certs):
    conn = pooler.raw(login=False)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        conn.wrap(context(certs, alpn=["postgresql"]))
    assert pooler.raw().query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
def test_client_with_absurdly_many_certificates(make_pooler, certs, tmp_path):
    """They are kept before anybody knows who shows them."""
    names = ",".join(f"DNS:{i}.a-rather-long-name-of-a-host.example" for i in range(1000))
    make_cert(certs, "ca", "verbose", "alice", names)
    pooler = make_pooler(**client_tls(certs, "verify-ca"))
    with pytest.raises((ssl.SSLError, ConnectionError, Closed)):
        conn = tls_conn(pooler, context(certs, cert="verbose"), login=False)
        conn.login("alice", pooler.db)
    pooler.wait_log("excessive message size")
    assert tls_conn(pooler, context(certs, cert="alice")).query("SELECT 1").value() == "1"


def test_garbage_instead_of_a_handshake(make_pooler, certs):
    pooler = make_pooler(**client_tls(certs, "require"))
    for data in (b"\x16\x03\x01\xff\xff" + b"\0" * 100, b"GET / HTTP/1.0\r\n\r\n", b"\0" * 50):
        conn = pooler.raw(login=False)
        conn.ask_tls()
        conn.send(data)
        conn.close()
    assert tls_conn(pooler, context(certs)).query("SELECT 1").value() == "1"


def test_handshake_that_never_comes(make_pooler, certs):
    pooler = make_pooler(**client_tls(certs, "require", client_login_timeout=1))
    conn = pooler.raw(login=False)
    conn.ask_tls()
    assert tls_conn(pooler, context(certs)).query("SELECT 1").value() == "1"
    with pytest.raises(Closed):
        conn.read_exactly(1000)


def test_protocol_versions(make_pooler, certs):
    pooler = make_pooler(**client_tls(certs, "require", client_tls_protocols="tlsv1.2"))
    conn = tls_conn(pooler, context(certs))
    assert conn.sock.version() == "TLSv1.2"
    only13 = context(certs)
    only13.minimum_version = ssl.TLSVersion.TLSv1_3
    with pytest.raises((ssl.SSLError, ConnectionError)):
        tls_conn(pooler, only13)


@pytest.mark.parametrize("cut", ["bytes", "random"])
@pytest.mark.pgweir_only
def test_records_in_pieces(make_pooler, certs, cut):
    pooler = make_pooler(pool_mode="transaction", **client_tls(certs, "require"))
    conn = tls_conn(pooler, context(certs), login=False)
    conn.login("alice", pooler.db, cut=cut)
    assert conn.query("SELECT 'pieces'", cut=cut).value() == "pieces"


def test_large_results_over_tls(make_pooler, certs):
    pooler = make_pooler(pool_mode="transaction", **client_tls(certs, "require"))
    conn = tls_conn(pooler, context(certs))
    assert len(conn.query("SELECT repeat('x', 5000000)").value()) == 5_000_000
    assert len(conn.query("SELECT generate_series(1, 50000)").rows) == 50_000
    assert conn.query(f"SELECT length('{'q' * 1_000_000}')").value() == "1000000"


def test_cancel_over_tls(make_pooler, certs, pg, db):
    pooler = make_pooler(pool_mode="transaction", **client_tls(certs, "require"))
    conn = tls_conn(pooler, context(certs))
    conn.send(query("SELECT pg_sleep(20)"))
    pg.wait_running(db, "pg_sleep(20)")
    conn.cancel()
    assert conn.result().error.code == "57014"


@pytest.mark.pgweir_only
def test_reload_of_certificates_keeps_connections(make_pooler, certs):
    pooler = make_pooler(pool_mode="transaction", **client_tls(certs, "require"))
    admin = tls_conn(pooler, context(certs), login=False)
    admin.login("admin", "pgbouncer")
    conn = tls_conn(pooler, context(certs))
    pooler.settings["client_tls_cert_file"] = certs / "impostor.crt"
    pooler.settings["client_tls_key_file"] = certs / "impostor.key"
    pooler.write_files()
    assert admin.query("RELOAD").tag == "RELOAD"
    assert conn.query("SELECT 1").value() == "1"
    with pytest.raises(ssl.SSLCertVerificationError):
        tls_conn(pooler, context(certs))
    assert tls_conn(pooler, context(certs, ca="other_ca")).query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
def test_reload_with_a_bad_certificate_keeps_the_old_one(make_pooler, certs):
    pooler = make_pooler(**client_tls(certs, "require"))
    admin = tls_conn(pooler, context(certs), login=False)
    admin.login("admin", "pgbouncer")
    pooler.settings["client_tls_cert_file"] = pooler.write("broken.crt", "nothing\n")
    pooler.write_files()
    assert admin.query("RELOAD").error.code == "F0000"
    assert tls_conn(pooler, context(certs)).query("SELECT 1").value() == "1"


# -- towards servers --


def server_tls(pg, db, mode, host=None, **kw):
    return {"server_tls_sslmode": mode,
            "databases": {db: {"host": host or pg.host, "port": pg.port, "dbname": db}}, **kw}


IN_USE = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.mark.parametrize("mode, used", [("disable", "f"), ("allow", "t"), ("prefer", "t"),
                                        ("require", "t")])
def test_server_tls(make_pooler, pg, db, mode, used):
    pooler = make_pooler(**server_tls(pg, db, mode))
    conn = pooler.raw()
    assert conn.query(IN_USE).value() == used
    row = next(r for r in pooler.console("SHOW SERVERS") if r["database"] == db)
    assert (row["tls"] != "") == (used == "t")


def test_server_that_wants_tls(make_pooler, pg, db):
    pooler = make_pooler(**server_tls(pg, db, "require"))
    assert pooler.raw(user="tls_only").query(IN_USE).value() == "t"


def refused_or_hangs(pooler):
    with pytest.raises(PgError) as e:
        pooler.raw()
    assert e.value.severity == "FATAL"


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_server_certificate_is_good(make_pooler, pg, db, certs, mode):
    pooler = make_pooler(**server_tls(pg, db, mode, host="localhost",
                                      server_tls_ca_file=certs / "ca.crt"))
    assert pooler.raw().query(IN_USE).value() == "t"


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_server_certificate_of_another_authority(make_pooler, pg, db, certs, mode):
    pooler = make_pooler(**server_tls(pg, db, mode, host="localhost", client_login_timeout=1,
                                      server_tls_ca_file=certs / "other_ca.crt"))
    refused_or_hangs(pooler)
    pooler.wait_log("certificate verify failed")


def tls_server(certs, name):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certs / f"{name}.crt", certs / f"{name}.key")
    return made


@pytest.mark.parametrize("mode, works", [("require", True), ("verify-ca", True),
                                         ("verify-full", False)])
def test_server_certificate_with_another_name(make_pooler, make_fake, db, certs, mode, works):
    fake = make_fake(tls_answer=b"S", tls_context=tls_server(certs, "wronghost"))
    pooler = make_pooler(server_tls_sslmode=mode, server_tls_ca_file=certs / "ca.crt",
                         client_login_timeout=1,
                         databases={db: {"host": "localhost", "port": fake.port}})
    if works:
        assert pooler.raw().query("SELECT v").value() == "1"
    else:
        refused_or_hangs(pooler)
        assert not fake.sessions


@pytest.mark.parametrize("mode, works", [("allow", True), ("prefer", True), ("require", False),
                                         ("verify-ca", False), ("verify-full", False)])
def test_server_without_tls(make_pooler, make_fake, db, certs, mode, works):
    fake = make_fake()
    pooler = make_pooler(server_tls_sslmode=mode, server_tls_ca_file=certs / "ca.crt",
                         client_login_timeout=1,
                         databases={db: {"host": fake.host, "port": fake.port}})
    if works:
        assert pooler.raw().query("SELECT v").value() == "1"
        return
    refused_or_hangs(pooler)
    assert not fake.sessions
    pooler.wait_log("server refused SSL")


@pytest.mark.pgweir_only
@pytest.mark.parametrize("answer", [b"S" + b"plain", b"N" + b"R\0\0\0\x08\0\0\0\0", b"E", b"?"])
def test_server_answers_ssl_request_oddly(make_pooler, make_fake, db, certs, answer):
    fake = make_fake(tls_answer=answer)
    pooler = make_pooler(server_tls_sslmode="require", client_login_timeout=1,
                         databases={db: {"host": fake.host, "port": fake.port}})
    refused_or_hangs(pooler)
    assert not fake.sessions
    assert pooler.console("SHOW VERSION")


def test_client_certificate_for_the_server(make_pooler, make_fake, db, certs):
    wants = tls_server(certs, "server")
    wants.load_verify_locations(certs / "ca.crt")
    wants.verify_mode = ssl.CERT_REQUIRED
    fake = make_fake(tls_answer=b"S", tls_context=wants)
    pooler = make_pooler(server_tls_sslmode="require", server_tls_cert_file=certs / "alice.crt",
                         server_tls_key_file=certs / "alice.key",
                         databases={db: {"host": fake.host, "port": fake.port}})
    assert pooler.raw().query("SELECT v").value() == "1"
    subject = fake.session().sock.getpeercert()["subject"]
    assert subject == ((("commonName", "alice"),),)


def test_tls_on_both_sides(make_pooler, pg, db, certs):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, **client_tls(certs),
                         **server_tls(pg, db, "verify-full", host="localhost",
                                      server_tls_ca_file=certs / "ca.crt"))
    conns = [tls_conn(pooler, context(certs)) for _ in range(5)]
    for _ in range(5):
        for c in conns:
            c.send(query("SELECT repeat('b', 50000)"))
        for c in conns:
            assert len(c.result().value()) == 50_000
