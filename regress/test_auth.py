# SPDX-License-Identifier: PostgreSQL
"""Who gets in: methods, stored forms of passwords, auth_query, HBA rules, logins at servers."""

import getpass
import struct
import threading
import uuid

import psycopg
import pytest

from lib.check import assert_refused
from lib.fakepg import error
from lib.proc import is_sanitized, remembers
from lib.scram import ScramClient, attributes, md5_secret, scram_secret
from lib.wait import wait_for
from lib.wire import PgError, cstring, message, query, startup

PLAIN = MD5 = "password authentication failed"
SCRAM = "SASL authentication failed"


def stored(form, user, password):
    return {"plain": password, "md5": md5_secret(user, password),
            "scram": scram_secret(password)}[form]


def refused(pooler, user, password, **kw):
    with pytest.raises(PgError) as e:
        pooler.raw(user=user, password=password, **kw)
    return e.value


def console_only(auth_type, form, **kw):
    """Settings of a pooler whose user 'keeper' has such a secret and may use the console."""
    return {"auth_type": auth_type, "auth": {"keeper": stored(form, "keeper", "right")},
            "stats_users": "keeper", **kw}


@pytest.mark.parametrize("auth_type, form, request_code", [
    ("plain", "plain", 3), ("plain", "md5", 3), ("plain", "scram", 3),
    ("md5", "plain", 5), ("md5", "md5", 5), ("md5", "scram", 10),
    ("scram-sha-256", "plain", 10), ("scram-sha-256", "scram", 10),
])
def test_method_and_stored_form(make_pooler, auth_type, form, request_code):
    pooler = make_pooler(**console_only(auth_type, form))
    conn = pooler.raw(user="keeper", dbname="pgbouncer", password="right")
    assert conn.auth_requests()[0] == request_code
    assert conn.query("SHOW VERSION").rows
    refusal = refused(pooler, "keeper", "wrong", dbname="pgbouncer")
    assert_refused(refusal, SCRAM if request_code == 10 else MD5)


def test_scram_login_with_md5_secret_fails(make_pooler):
    pooler = make_pooler(**console_only("scram-sha-256", "md5"))
    assert_refused(refused(pooler, "keeper", "right", dbname="pgbouncer"), SCRAM)


@pytest.mark.parametrize("auth_type, text", [
    ("trust", '"trust" authentication failed'), ("plain", PLAIN), ("md5", MD5),
    ("scram-sha-256", SCRAM),
])
def test_unknown_user(make_pooler, auth_type, text):
    pooler = make_pooler(auth_type=auth_type)
    assert_refused(refused(pooler, "stranger", "x"), text)


@pytest.mark.parametrize("auth_type", ["plain", "md5", "scram-sha-256"])
def test_unknown_user_is_asked_like_a_known_one(make_pooler, auth_type):
    pooler = make_pooler(auth_type=auth_type)
    asked = []
    for user in ("alice", "stranger"):
        conn = pooler.raw(login=False)
        with pytest.raises(PgError):
            conn.login(user, pooler.db, "wrong")
        asked.append(conn.auth_requests())
    assert asked[0] == asked[1]


@pytest.mark.parametrize("auth_type", ["plain", "md5", "scram-sha-256"])
def test_wrong_password_hides_that_the_database_is_unknown(make_pooler, auth_type):
    pooler = make_pooler(auth_type=auth_type)
    refusal = refused(pooler, "alice", "wrong", dbname="nowhere")
    assert refusal.message in (MD5, SCRAM)


def test_empty_password(make_pooler):
    pooler = make_pooler(auth_type="plain")
    assert_refused(refused(pooler, "alice", ""), "empty password returned by client")


def test_empty_stored_password_never_matches(make_pooler):
    pooler = make_pooler(auth_type="md5", auth={"alice": ""})
    assert_refused(refused(pooler, "alice", ""), MD5)


@pytest.mark.pgweir_only
def test_costly_verifier_is_not_worked_through(make_pooler):
    """With a cleartext password the work is the pooler's, and others wait meanwhile."""
    pooler = make_pooler(**console_only("plain", "plain"))
    for iterations, is_fine in ((100_000, True), (100_001, False)):
        pooler.auth["keeper"] = scram_secret("right", iterations)
        pooler.reload()
        if is_fine:
            pooler.raw(user="keeper", dbname="pgbouncer", password="right").close()
        else:
            assert_refused(refused(pooler, "keeper", "right", dbname="pgbouncer"), PLAIN)
    assert "SCRAM secret of 100001 iterations" in pooler.log_text()


@pytest.mark.pgweir_only
def test_costly_verifier_of_a_role(make_pooler, pg, role):
    pg.execute(f"ALTER ROLE {role[0]} PASSWORD '{scram_secret('right', 100_001)}'")
    pooler = make_pooler(**with_auth_query(pg, auth_type="plain"))
    assert_refused(refused(pooler, role[0], "right"), PLAIN)
    assert "SCRAM secret of 100001 iterations" in pooler.log_text()


@pytest.mark.parametrize("auth_type", ["plain", "md5", "scram-sha-256"])
def test_psycopg_logs_in(make_pooler, auth_type):
    pooler = make_pooler(auth_type=auth_type)
    assert pooler.connect().execute("SELECT current_user").fetchone() == ("alice",)
    with pytest.raises(psycopg.OperationalError):
        pooler.connect(password="wrong")


@pytest.mark.parametrize("cut", ["bytes", "random"])
@pytest.mark.parametrize("auth_type", ["plain", "md5", "scram-sha-256"])
@pytest.mark.pgweir_only
def test_authentication_in_pieces(make_pooler, auth_type, cut):
    pooler = make_pooler(auth_type=auth_type)
    conn = pooler.raw(login=False)
    conn.login("alice", pooler.db, pooler.auth["alice"], cut=cut)
    assert conn.query("SELECT 1").value() == "1"


# -- SCRAM from a client that does not play fair --


def sasl_initial(mechanism, data):
    return message("p", cstring(mechanism) + struct.pack("!i", len(data)) + data)


def begin_scram(pooler, user="alice"):
    conn = pooler.raw(login=False)
    conn.send(startup({"user": user, "database": pooler.db}))
    assert conn.recv().body[:4] == struct.pack("!i", 10)
    return conn


def test_scram_unknown_mechanism(make_pooler):
    conn = begin_scram(make_pooler(auth_type="scram-sha-256"))
    conn.send(sasl_initial("SCRAM-SHA-1", b"n,,n=,r=abc"))
    assert_refused(conn.expect_fatal(),
                   "client selected an invalid SASL authentication mechanism")


def salt_of(pooler, user):
    conn = begin_scram(pooler, user)
    conn.send(sasl_initial("SCRAM-SHA-256", b"n,,n=,r=abcdefgh"))
    return attributes(conn.recv().body[4:].decode())["s"]


@pytest.mark.pgweir_only
def test_salt_does_not_show_who_is_known(make_pooler):
    """It is the user's for the life of the process, in every worker and after a reload."""
    pooler = make_pooler(auth_type="scram-sha-256", worker_threads=2)
    users = ("alice", "bob", "stranger", "another stranger")
    salts = {user: {salt_of(pooler, user) for _ in range(4)} for user in users}
    pooler.reload()
    for user in users:
        salts[user] |= {salt_of(pooler, user) for _ in range(4)}
    assert [len(salts[user]) for user in users] == [1, 1, 1, 1]
    assert len(set.union(*salts.values())) == len(users)


@pytest.mark.parametrize("first", [
    b"p=tls-server-end-point,,n=,r=abcdefgh", b"n,a=alice,n=,r=abcdefgh",
    b"n,,m=ext,n=,r=abcdefgh", b"", b"n", b"n,,", b"\xff\xfe\x00",
    b"y,,n=" + b"\0" * 200, b"n,,n=,r=" + b"\x01" * 8,
])
def test_scram_bad_first_message(make_pooler, first):
    pooler = make_pooler(auth_type="scram-sha-256")
    conn = begin_scram(pooler)
    conn.send(sasl_initial("SCRAM-SHA-256", first))
    assert conn.expect_fatal().code == "08P01"
    assert pooler.raw(password=pooler.auth["alice"]).query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
@pytest.mark.parametrize("length", [-2, 2**31 - 1, 4096])
def test_scram_length_that_lies(make_pooler, length):
    """The length inside the message does not agree with the message."""
    pooler = make_pooler(auth_type="scram-sha-256")
    conn = begin_scram(pooler)
    conn.send(message("p", cstring("SCRAM-SHA-256") + struct.pack("!i", length) + b"n,,n=,r=abc"))
    assert conn.expect_fatal().code == "08P01"
    assert pooler.raw(password=pooler.auth["alice"]).query("SELECT 1").value() == "1"


@pytest.mark.parametrize("change", [
    lambda final: final.replace(b"c=biws", b"c=eSws"),
    lambda final: final.replace(b",r=", b",r=x"),
    lambda final: final[:-4] + b"AAA=",
    lambda final: final.split(b",p=")[0],
    lambda final: b"",
    lambda final: b"," * 500,
])
def test_scram_bad_final_message(make_pooler, change):
    pooler = make_pooler(auth_type="scram-sha-256")
    conn = begin_scram(pooler)
    scram = ScramClient(pooler.auth["alice"])
    conn.send(sasl_initial("SCRAM-SHA-256", scram.first()))
    server_first = conn.recv().body[4:]
    conn.send(message("p", change(scram.final(server_first))))
    assert conn.expect_fatal().code == "08P01"


@pytest.mark.pgweir_only
def test_huge_message_before_authentication_is_not_buffered(make_pooler):
    conn = begin_scram(make_pooler(auth_type="scram-sha-256"))
    conn.send(b"p" + struct.pack("!i", 2**31 - 1))
    assert conn.expect_fatal().code == "08P01"


def test_query_instead_of_password(make_pooler):
    pooler = make_pooler(auth_type="md5")
    conn = pooler.raw(login=False)
    conn.send(startup({"user": "alice", "database": pooler.db}))
    conn.recv()
    conn.send(query("SELECT 'let me in'"))
    conn.expect_refusal()
    assert pooler.raw(password=pooler.auth["alice"]).query("SELECT 1").value() == "1"


# -- auth_query --


@pytest.fixture
def role(pg):
    """A role that is in no auth_file, with a SCRAM secret; yields (name, password)."""
    name = "r_" + uuid.uuid4().hex[:10]
    pg.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'role-pw'")
    yield name, "role-pw"
    pg.execute(f"DROP OWNED BY {name}")
    pg.execute(f"DROP ROLE {name}")


AUTH_QUERY = ("SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END "
              "FROM pg_authid WHERE rolname=$1 AND rolcanlogin")


def with_auth_query(pg, **kw):
    return {"auth_type": "scram-sha-256", "auth_user": pg.superuser, "auth_query": AUTH_QUERY,
            "auth": {pg.superuser: pg.password}, **kw}


def test_auth_query(make_pooler, pg, role):
    pooler = make_pooler(**with_auth_query(pg))
    conn = pooler.raw(user=role[0], password=role[1])
    assert conn.query("SELECT current_user").value() == role[0]
    assert_refused(refused(pooler, role[0], "wrong"), SCRAM)


def test_auth_query_runs_under_nobodys_settings(make_pooler, pg, role):
    """The only server is another client's, who has become somebody without rights there."""
    pooler = make_pooler(**with_auth_query(pg, pool_mode="transaction", default_pool_size=1,
                                           session_state="track", worker_threads=1))
    first = pooler.raw(user=pg.superuser)
    assert first.query(f"SET ROLE {role[0]}").error is None
    conn = pooler.raw(user=role[0], password=role[1])
    assert conn.query("SELECT current_user").value() == role[0]
    assert first.query("SELECT current_user").value() == role[0]


def test_auth_query_without_a_row(make_pooler, pg):
    pooler = make_pooler(**with_auth_query(pg))
    assert_refused(refused(pooler, "nobody_at_all", "x"), "no such user")


def test_auth_query_sees_a_changed_password_at_once(make_pooler, pg, role):
    pooler = make_pooler(**with_auth_query(pg))
    pooler.raw(user=role[0], password=role[1]).close()
    pg.execute(f"ALTER ROLE {role[0]} PASSWORD 'newer'")
    assert_refused(refused(pooler, role[0], role[1]), SCRAM)
    assert pooler.raw(user=role[0], password="newer").query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
def test_default_auth_query_heeds_valid_until(make_pooler, pg, role):
    pooler = make_pooler(**with_auth_query(pg, auth_query=None))
    assert pooler.raw(user=role[0], password=role[1]).query("SELECT 1").value() == "1"
    pg.execute(f"ALTER ROLE {role[0]} VALID UNTIL '2001-01-01'")
    assert_refused(refused(pooler, role[0], role[1]), SCRAM)


def test_auth_query_null_password_is_an_ordinary_failure(make_pooler, pg, role):
    pg.execute(f"ALTER ROLE {role[0]} VALID UNTIL '2001-01-01'")
    pooler = make_pooler(**with_auth_query(pg))
    assert_refused(refused(pooler, role[0], role[1]), SCRAM)


def test_auth_query_nologin_role(make_pooler, pg, role):
    pg.execute(f"ALTER ROLE {role[0]} NOLOGIN")
    pooler = make_pooler(**with_auth_query(pg))
    assert_refused(refused(pooler, role[0], role[1]), "no such user")


def test_auth_query_error(make_pooler, pg, role):
    pooler = make_pooler(**with_auth_query(pg, auth_query="SELECT 1/0, $1"))
    assert_refused(refused(pooler, role[0], role[1]), "bouncer config error")


@pytest.mark.pgweir_only
def test_strangers_cannot_fill_the_tables(make_pooler, pg, role):
    """Nor do they hear from the server which databases it has."""
    pooler = make_pooler(**with_auth_query(pg, databases={"*": {"host": pg.host, "port": pg.port}}))
    assert pooler.raw(user=role[0], password=role[1]).query("SELECT 1").value() == "1"

    def listed():
        return {row["database"] for row in pooler.console("SHOW POOLS")}

    kept = listed()
    for i in range(30):
        name = f"made_up_{i}"
        assert_refused(refused(pooler, "stranger", "x", dbname=name), "bouncer config error")
        assert f'database "{name}" does not exist' in pooler.log_text()
    wait_for(lambda: listed() == kept, what="the pools that no server let in are gone")


@pytest.mark.pgweir_only
def test_failing_lookups_say_no_more_than_the_first(make_pooler, pg):
    pooler = make_pooler(**with_auth_query(pg, server_login_retry=60, databases={
        "*": {"host": pg.host, "port": pg.port}}))
    for _ in range(2):
        assert_refused(refused(pooler, "stranger", "x", dbname="made_up"), "bouncer config error")


@pytest.mark.pgweir_only
def test_auth_query_runs_on_auth_dbname(make_pooler, pg, db, role):
    pooler = make_pooler(**with_auth_query(
        pg, auth_dbname="keys", databases={
            db: {"host": pg.host, "port": pg.port, "dbname": db},
            "keys": {"host": pg.host, "port": pg.port, "dbname": "postgres"}}))
    assert pooler.raw(user=role[0], password=role[1]).query("SELECT 1").value() == "1"
    assert "keys" in [row["database"] for row in pooler.console("SHOW POOLS")]


def test_auth_user_of_one_database_only(make_pooler, pg, db, role):
    pooler = make_pooler(**with_auth_query(
        pg, auth_user=None, databases={
            "with": {"host": pg.host, "port": pg.port, "dbname": db, "auth_user": pg.superuser},
            "without": {"host": pg.host, "port": pg.port, "dbname": db}}))
    conn = pooler.raw(user=role[0], password=role[1], dbname="with")
    assert conn.query("SELECT 1").value() == "1"
    assert_refused(refused(pooler, role[0], role[1], dbname="without"), SCRAM)


def test_auth_query_user_never_becomes_auth_user(make_pooler, pg):
    """An unknown name must not get the session of auth_user."""
    pooler = make_pooler(**with_auth_query(pg))
    for name in ("nobody_at_all", "", "' OR true --", pg.superuser + " "):
        with pytest.raises((PgError, Exception)) as e:
            pooler.raw(user=name, password="")
        assert isinstance(e.value, PgError)
    assert pg.superuser not in [
        row["user"] for row in pooler.console("SHOW CLIENTS") if row["database"] == pooler.db]


@pytest.mark.pgweir_only
def test_password_that_came_too_early_is_forgotten(make_pooler, make_fake, db):
    fake = make_fake(on_message=lambda *_: True)
    pooler = make_pooler(databases={db: {"host": fake.host, "port": fake.port}}, worker_threads=1,
                         auth_type="plain", auth_user="asker", auth={"asker": "pw"},
                         auth_query="SELECT $1, 'x'", client_login_timeout=2)
    if is_sanitized(pooler.pid):
        pytest.skip("its shadow memory is too large to be looked through")
    stranger, other = pooler.raw(login=False), pooler.raw(login=False)
    for conn in (stranger, other):
        conn.send(startup({"user": "stranger", "database": db}))
    pooler.wait_log("login attempt", 2)
    secret = uuid.uuid4().bytes * 8
    stranger.send(message("p", secret + b"\0"))
    wait_for(lambda: remembers(pooler.pid, secret))
    # The worker reads everybody's bytes into the same place.
    other.send(bytes(20_000))
    pooler.wait_log("closing because: client_login_timeout", 2)
    wait_for(lambda: not remembers(pooler.pid, secret[-64:]))


@pytest.fixture
def lookup(make_pooler, make_fake, db):
    """A stranger hangs up while the secret is looked up: (pooler, the server, its session)."""
    fake = make_fake(on_message=lambda session, kind, body: not session.may_answer)
    fake.on_login = lambda session: setattr(session, "may_answer", False)
    pooler = make_pooler(databases={db: {"host": fake.host, "port": fake.port}},
                         pool_mode="transaction", auth_type="scram-sha-256", auth_user="asker",
                         auth={"asker": "pw"}, auth_query="SELECT $1, 'x'",
                         abandoned_query_timeout=2)
    stranger = pooler.raw(login=False)
    stranger.send(startup({"user": "stranger", "database": db}))
    session = fake.session()
    wait_for(lambda: len(session.messages) == 5)
    stranger.close()
    pooler.wait_log("stranger@.*closing because")
    return pooler, fake, session


def test_stranger_who_hangs_up_costs_the_server_one_auth_query(lookup):
    pooler, fake, session = lookup
    session.may_answer = True
    for m in session.messages[:]:
        session.default_answer(m)
    pooler.wait_pool(user="asker", sv_idle=1)
    assert "".join(m.kind for m in session.messages) == "PBDES"
    assert fake.cancels == []


def test_auth_query_that_nobody_waits_for_has_a_time_limit(lookup):
    pooler, _fake, _session = lookup
    pooler.wait_log("abandoned query timeout")


def test_search_path_of_a_client_never_reaches_auth_query(make_pooler, pg, db, role):
    """A table named like the catalogue's, in a schema of the attacker, must not answer."""
    with pg.connect(db) as c:
        c.execute("CREATE SCHEMA evil")
        c.execute("CREATE TABLE evil.pg_authid (rolname name, rolpassword text,"
                  " rolvaliduntil timestamptz, rolcanlogin bool)")
        c.execute("INSERT INTO evil.pg_authid VALUES (%s, %s, NULL, true)",
                  (role[0], scram_secret("forged")))
    pooler = make_pooler(**with_auth_query(
        pg, track_extra_parameters="IntervalStyle, search_path",
        ignore_startup_parameters="search_path"))
    with pytest.raises(PgError) as e:
        pooler.raw(user=role[0], password="forged", search_path="evil, pg_catalog")
    assert e.value.message == SCRAM


# -- HBA --


def test_hba_first_matching_rule_wins(make_pooler, db):
    hba = f"""
# comment
host {db} alice 127.0.0.1/32 trust
host all  bob   127.0.0.1/32 reject
host all  carol_md5,dave_plain 127.0.0.0 255.0.0.0 md5
host all  admin all trust
host sameuser all 127.0.0.1/32 trust
"""
    pooler = make_pooler(hba=hba)
    assert pooler.raw().auth_requests() == [0]
    assert_refused(refused(pooler, "bob", "bob-pw"), "login rejected")
    assert pooler.raw(user="carol_md5").auth_requests()[0] == 5
    assert_refused(refused(pooler, "dave_plain", "wrong"), MD5)


def test_hba_no_rule(make_pooler):
    hba = "host all admin all trust\nhost all alice 10.1.2.0/24 trust\n"
    pooler = make_pooler(hba=hba)
    with pytest.raises(PgError) as e:
        pooler.raw()
    assert e.value.severity == "FATAL"
    assert e.value.code == "08P01"


@pytest.mark.pgweir_only
def test_hba_no_rule_has_its_own_text(make_pooler):
    pooler = make_pooler(hba="host all admin all trust\n")
    assert_refused(refused(pooler, "alice", "x"), "no authentication method is found")


@pytest.mark.pgweir_only
def test_hba_bad_line_is_skipped_and_named(make_pooler):
    hba = "host all all 127.0.0.1/32 nonsense\nhost all all 127.0.0.1/32 trust\n"
    pooler = make_pooler(hba=hba)
    assert pooler.raw().query("SELECT 1").value() == "1"
    pooler.wait_log(r"hba\.conf:1\b|line 1\b")


@pytest.mark.pgweir_only
def test_hba_ldap_lets_nobody_pass_to_the_next_line(make_pooler):
    pooler = make_pooler(hba="""
host all alice all ldap ldapserver=ldap.example.org ldapprefix="uid=" ldapsuffix=", dc=x"
host all all all trust
""")
    assert_refused(refused(pooler, "alice", "x"), "login rejected")
    assert pooler.raw(user="bob").auth_requests() == [0]
    assert "hba.conf:2: nobody passes: ldap" in pooler.log_text()


BANNED = "host all admin all trust\nhost all @banned all reject\nhost all all all trust\n"


@pytest.mark.pgweir_only
def test_hba_name_file_that_was_never_there(make_pooler):
    """Its rule takes everybody for named, and rejects; a reload does not fail for it."""
    pooler = make_pooler(hba=BANNED)
    assert f"could not open name file {pooler.dir}/banned: No such file" in pooler.log_text()
    assert_refused(refused(pooler, "alice", "x"), "login rejected")
    assert pooler.console_result("RELOAD").error is None
    assert_refused(refused(pooler, "alice", "x"), "login rejected")
    pooler.write("banned", "bob\n")
    assert pooler.console_result("RELOAD").error is None
    assert pooler.raw().auth_requests() == [0]
    assert_refused(refused(pooler, "bob", "x"), "login rejected")


@pytest.mark.pgweir_only
def test_hba_name_file_that_is_gone(make_pooler, tmp_path):
    banned = tmp_path / "banned"
    banned.write_text("bob\n")
    pooler = make_pooler(hba=BANNED.replace("@banned", f"@{banned}"))
    banned.unlink()
    assert pooler.console_result("RELOAD").error.code == "F0000"
    assert f"could not open name file {banned}: No such file" in pooler.log_text()
    assert_refused(refused(pooler, "bob", "x"), "login rejected")
    assert pooler.raw().auth_requests() == [0]


def test_hba_local_and_host_differ(make_pooler):
    hba = "local all all trust\nhost all admin all trust\nhost all all 127.0.0.1/32 md5\n"
    pooler = make_pooler(hba=hba)
    assert pooler.raw(unix=True).auth_requests() == [0]
    assert pooler.raw().auth_requests() == [5, 0]


@pytest.mark.pgweir_only
def test_hba_password_asks_in_clear(make_pooler):
    pooler = make_pooler(hba="host all admin all trust\nhost all all all password\n")
    assert pooler.raw().auth_requests() == [3, 0]


def test_hba_quoted_names_and_keywords(make_pooler, db):
    hba = f'host "{db}" "alice" 127.0.0.1/32 trust\nhost "all" bob 127.0.0.1/32 trust\n' \
          "host all admin all trust\n"
    pooler = make_pooler(hba=hba)
    assert pooler.raw().query("SELECT 1").value() == "1"
    assert refused(pooler, "bob", "x").code == "08P01"


def test_hba_peer(make_pooler):
    pooler = make_pooler(hba="local all all peer\nhost all admin all trust\n")
    with pytest.raises(PgError) as e:
        pooler.raw(unix=True)
    assert_refused(e.value, "unix socket login rejected")


@pytest.mark.pgweir_only
def test_hba_peer_with_a_map(make_pooler):
    pooler = make_pooler(
        hba="local all all peer map=m\nhost all admin all trust\n",
        ident=f"m {getpass.getuser()} alice\nother {getpass.getuser()} bob\n")
    assert pooler.raw(unix=True).query("SELECT current_user").value() == "alice"
    with pytest.raises(PgError) as e:
        pooler.raw(user="bob", unix=True)
    assert_refused(e.value, "unix socket login rejected")


def test_hba_is_read_again_by_reload(make_pooler):
    pooler = make_pooler(hba="host all all 127.0.0.1/32 trust\n")
    assert pooler.raw().query("SELECT 1").value() == "1"
    pooler.write("hba.conf", "host all admin all trust\nhost all all 127.0.0.1/32 reject\n")
    pooler.reload()
    assert_refused(refused(pooler, "alice", "x"), "login rejected")


# -- auth_file --


def test_auth_file_is_read_again_by_reload(make_pooler):
    pooler = make_pooler(auth_type="md5")
    pooler.auth["alice"] = "quite another"
    pooler.reload()
    assert_refused(refused(pooler, "alice", "alice's secret"), MD5)


def setting(pooler, name):
    return {row["key"]: row["value"] for row in pooler.console("SHOW CONFIG")}[name]


@pytest.mark.pgweir_only
@pytest.mark.parametrize("name", ["userlist.txt", "hba.conf", "ident.conf"])
def test_reload_without_a_file_changes_nothing(make_pooler, name):
    pooler = make_pooler(hba="host all admin all trust\nhost all all all md5\n", ident="m a b\n",
                         default_pool_size=5)
    path = pooler.dir / name
    path.rename(pooler.dir / "elsewhere")
    pooler.write(pooler.path.name, pooler.path.read_text().replace("size = 5", "size = 6"))
    error = pooler.console_result("RELOAD").error
    assert (error.severity, error.code) == ("ERROR", "F0000")
    assert f"{path}: No such file or directory" in pooler.log_text()
    assert pooler.raw(user="alice").query("SELECT 1").value() == "1"
    assert setting(pooler, "default_pool_size") == "5"
    (pooler.dir / "elsewhere").rename(path)
    assert pooler.console_result("RELOAD").error is None
    assert setting(pooler, "default_pool_size") == "6"


@pytest.mark.pgweir_only
def test_reload_judges_each_file_for_itself(make_pooler):
    """That another one was never there is no reason to go on without this one."""
    pooler = make_pooler(hba="host all admin all trust\nhost all all all md5\n",
                         auth_ident_file="/nonexistent")
    assert "could not open ident map file /nonexistent: " in pooler.log_text()
    assert pooler.console_result("RELOAD").error is None
    pooler.auth_path.rename(pooler.dir / "elsewhere")
    assert pooler.console_result("RELOAD").error.code == "F0000"
    assert pooler.raw(user="alice").query("SELECT 1").value() == "1"
    (pooler.dir / "elsewhere").rename(pooler.auth_path)
    assert pooler.console_result("RELOAD").error is None


@pytest.mark.pgweir_only
def test_empty_name_of_a_file_is_none(make_pooler):
    pooler = make_pooler(hba="host all all all trust\n", auth_ident_file="")
    assert pooler.console_result("RELOAD").error is None
    assert "could not open" not in pooler.log_text()


@pytest.mark.pgweir_only
def test_auth_file_that_was_never_there(make_pooler):
    """It is a warning, at the start and later."""
    pooler = make_pooler(auth_file="/nonexistent")
    console = pooler.raw(user="pgbouncer", dbname="pgbouncer", unix=True)
    assert console.query("RELOAD").tag == "RELOAD"
    assert pooler.log_count("could not open auth_file /nonexistent: ") == 2


def test_auth_file_quotes(make_pooler):
    pooler = make_pooler(auth_type="plain", auth={'we"ird': 'p"w'}, admin_users='admin, we"ird')
    conn = pooler.raw(user='we"ird', password='p"w', dbname="pgbouncer")
    assert conn.query("SHOW VERSION").rows


# -- login at the server --


@pytest.mark.parametrize("user", ["trusty", "carol_md5", "dave_plain", "alice"])
def test_server_login_methods(pooler, user):
    assert pooler.raw(user=user).query("SELECT current_user").value() == user


def test_server_login_with_md5_secret(make_pooler):
    pooler = make_pooler(auth={"carol_md5": md5_secret("carol_md5", "carol-pw")})
    assert pooler.raw(user="carol_md5").query("SELECT current_user").value() == "carol_md5"


def test_scram_pass_through(make_pooler, pg):
    secret, = pg.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'")[0]
    pooler = make_pooler(auth_type="scram-sha-256", auth={"alice": secret})
    conn = pooler.raw(password="alice's secret")
    assert conn.query("SELECT current_user").value() == "alice"


def test_scram_pass_through_with_another_verifier_fails(make_pooler):
    pooler = make_pooler(auth_type="scram-sha-256",
                         auth={"alice": scram_secret("alice's secret")},
                         client_login_timeout=3)
    with pytest.raises(PgError) as e:
        pooler.raw(password="alice's secret")
    assert e.value.severity == "FATAL"


def test_scram_secret_without_scram_login_cannot_reach_the_server(make_pooler):
    pooler = make_pooler(auth={"alice": scram_secret("alice's secret")}, client_login_timeout=3)
    with pytest.raises(PgError) as e:
        pooler.raw()
    assert e.value.message == "server login failed: wrong password type"


@pytest.mark.pgweir_only
@pytest.mark.parametrize("form", ["md5", "scram"])
def test_cleartext_login_opens_a_server_that_wants_more_than_the_file_has(make_pooler, form):
    pooler = make_pooler(auth_type="plain", client_login_timeout=3,
                         auth={"alice": stored(form, "alice", "alice's secret")})
    conn = pooler.raw(password="alice's secret")
    assert conn.query("SELECT current_user").value() == "alice"


@pytest.mark.pgweir_only
def test_password_of_the_entry_goes_before_the_client_s(make_pooler, pg, db):
    pooler = make_pooler(auth_type="plain", client_login_timeout=3,
                         auth={"alice": scram_secret("of the pooler")}, databases={db: {
                             "host": pg.host, "port": pg.port, "password": "alice's secret"}})
    conn = pooler.raw(password="of the pooler")
    assert conn.query("SELECT current_user").value() == "alice"


def test_server_refuses_the_password(make_pooler, pg):
    """The waiting client gets the server's own message and SQLSTATE."""
    pooler = make_pooler(auth={"alice": "wrong"}, client_login_timeout=5)
    with pytest.raises(PgError) as e:
        pooler.raw()
    assert e.value.message == 'password authentication failed for user "alice"'
    assert e.value.severity == "FATAL"


@pytest.mark.pgweir_only
def test_server_refuses_the_password_with_its_sqlstate(make_pooler):
    pooler = make_pooler(auth={"alice": "wrong"}, client_login_timeout=5)
    with pytest.raises(PgError) as e:
        pooler.raw()
    assert e.value.code == "28P01"


def test_forced_user(make_pooler, pg, db):
    pooler = make_pooler(databases={db: {
        "host": pg.host, "port": pg.port, "dbname": db, "user": "bob", "password": "bob-pw"}})
    assert pooler.raw().query("SELECT current_user").value() == "bob"
    assert pooler.raw(user="trusty").query("SELECT current_user").value() == "bob"


def test_auth_type_any_with_forced_user(make_pooler, pg, db):
    pooler = make_pooler(auth_type="any", databases={db: {
        "host": pg.host, "port": pg.port, "dbname": db, "user": "bob", "password": "bob-pw"}})
    assert pooler.raw(user="whoever").query("SELECT current_user").value() == "bob"


def test_auth_type_any_without_forced_user(make_pooler):
    pooler = make_pooler(auth_type="any")
    assert_refused(refused(pooler, "alice", ""), "bouncer config error")


@pytest.mark.parametrize("auth", ["trust", "cleartext", "md5", "scram"])
def test_login_at_a_scripted_server(make_pooler, make_fake, db, auth):
    fake = make_fake(auth=auth, password="alice's secret")
    pooler = make_pooler(databases={db: {"host": fake.host, "port": fake.port}})
    assert pooler.raw().query("SELECT v").value() == "1"
    assert fake.session().startup_params["user"] == "alice"


@pytest.mark.pgweir_only
@pytest.mark.parametrize("nonce_length", [200, 1000, 20000])
def test_hostile_server_with_a_long_nonce(make_pooler, make_fake, db, nonce_length):
    fake = make_fake(auth="scram", password="alice's secret", nonce_length=nonce_length)
    pooler = make_pooler(databases={db: {"host": fake.host, "port": fake.port}},
                         client_login_timeout=1)
    try:
        pooler.raw()
    except PgError as e:
        assert e.severity == "FATAL"
    assert pooler.console("SHOW VERSION")


def test_server_that_proves_nothing(make_pooler, make_fake, db):
    """A server that does not know the password cannot pretend to."""
    fake = make_fake(auth="scram", password="alice's secret", scram_final=b"v=" + b"A" * 43 + b"=")
    pooler = make_pooler(databases={db: {"host": fake.host, "port": fake.port}},
                         client_login_timeout=1)
    with pytest.raises(PgError) as e:
        pooler.raw()
    assert e.value.severity == "FATAL"
    assert all(not s.messages or s.messages[-1].kind != "Q" for s in fake.sessions)


@pytest.mark.parametrize("fields", [
    {"S": "FATAL", "M": "no code"}, {"M": "only a text"}, {}, {"S": "FATAL", "C": "", "M": ""},
    {"S": "FATAL", "C": "28000", "M": "m" * 5000},
])
def test_server_login_error_with_odd_fields(make_pooler, make_fake, db, fields):
    def on_login(session):
        session.send(error("", fields=fields))
        return True

    fake = make_fake(on_login=on_login)
    pooler = make_pooler(databases={db: {"host": fake.host, "port": fake.port}},
                         client_login_timeout=1)
    with pytest.raises(PgError) as e:
        pooler.raw()
    assert e.value.severity == "FATAL"
    assert pooler.console("SHOW VERSION")


def test_server_that_never_answers(make_pooler, make_fake, db):
    release = threading.Event()

    def on_login(session):
        release.wait(20)
        return True

    fake = make_fake(on_login=on_login)
    pooler = make_pooler(databases={db: {"host": fake.host, "port": fake.port}},
                         client_login_timeout=1)
    with pytest.raises(PgError) as e:
        pooler.raw()
    assert e.value.message.startswith("client_login_timeout")
    release.set()
    wait_for(lambda: fake.sessions)


@pytest.mark.parametrize("name", ["pgbouncer", "pgweir"])
@pytest.mark.parametrize("rule", ["pgbouncer", "pgweir"])
def test_hba_rule_for_the_console_holds_for_both_names(make_pooler, name, rule):
    """The console of make_pooler() itself comes over the unix socket."""
    pooler = make_pooler(hba=f"local all all trust\nhost {rule} all all reject\n"
                             "host all all all trust\n")
    with pytest.raises(PgError) as e:
        pooler.raw(dbname=name, user="admin")
    assert e.value.message == "login rejected"
