# SPDX-License-Identifier: PostgreSQL
"""The console: what SHOW shows, how it is spoken to, and who may."""

import asyncio
import re

import asyncpg
import psycopg
import pytest

from lib.check import assert_refused
from lib.console import by, shown
from lib.pooler import ADMIN, STATS, is_pgweir, version_text
from lib.wait import wait_for
from lib.wire import PgError, parse, query, run_named, sync, terminate

TEXT, INT4, INT8, NUMERIC = 25, 23, 20, 1700
LENGTHS = {TEXT: -1, INT4: 4, INT8: 8, NUMERIC: -1}

SOCKET = """type user database replication state addr port:i local_addr local_port:i connect_time
    request_time wait:i wait_us:i close_needed:i ptr link remote_pid:i tls application_name
    prepared_statements:i id:i"""

COUNTERS = """server_assignment_count xact_count query_count received sent xact_time query_time
    wait_time client_parse_count server_parse_count bind_count client_login_count"""


def counters(prefix, names=COUNTERS, kind=":n", **renamed):
    return " ".join(prefix + renamed.get(n, n) + kind for n in names.split())


COLUMNS = {
    "CLIENTS": SOCKET,
    "SERVERS": SOCKET,
    "POOLS": """database user cl_active:i cl_waiting:i cl_active_cancel_req:i
        cl_waiting_cancel_req:i sv_active:i sv_active_cancel:i sv_being_canceled:i sv_idle:i
        sv_used:i sv_tested:i sv_login:i maxwait:i maxwait_us:i pool_mode load_balance_hosts""",
    "DATABASES": """name host port:i database force_user pool_size:i min_pool_size:i
        reserve_pool_size:i server_lifetime:i pool_mode load_balance_hosts max_connections:i
        current_connections:i max_client_connections:i current_client_connections:i paused:i
        disabled:i cluster routing consistency max_lag_ms:i""",
    "USERS": """name pool_size reserve_pool_size pool_mode max_user_connections:i
        current_connections:i max_user_client_connections:i current_client_connections:i""",
    "LISTS": "list items:i",
    "CONFIG": "key value default changeable",
    "STATS": "database " + counters("total_") + " " + counters(
        "avg_", received="recv"),
    "STATS_TOTALS": "database " + counters(
        "", received="bytes_received", sent="bytes_sent"),
    "STATS_AVERAGES": "database " + counters(
        "", received="bytes_received", sent="bytes_sent",
        client_parse_count="avg_client_parse_count", server_parse_count="avg_server_parse_count",
        bind_count="avg_bind_count", client_login_count="avg_client_login_count"),
    "TOTALS": "name value:n",
    "STATE": "key value",
    "VERSION": "version",
}

LISTS = """databases users peers pools peer_pools free_clients used_clients login_clients
    free_servers used_servers dns_names dns_zones dns_queries dns_pending"""

TOTALS = """server_assignment_count xact_count query_count client_bytes server_bytes xact_time
    query_time wait_time ps_client_parse_count ps_server_parse_count ps_bind_count
    client_login_count"""

# What `SHOW CONFIG` of PgBouncer lists on Linux.
CONFIG = """
    admin_users application_name_add_host auth_dbname auth_file auth_hba_file auth_ident_file
    auth_ldap_options auth_query auth_type auth_user autodb_idle_timeout cancel_wait_timeout
    client_idle_timeout client_login_timeout client_tls13_ciphers client_tls_ca_file
    client_tls_cert_file client_tls_ciphers client_tls_dheparams client_tls_ecdhcurve
    client_tls_key_file client_tls_protocols client_tls_sslmode conffile default_pool_size
    disable_pqexec dns_max_ttl dns_nxdomain_ttl dns_zone_check_period idle_transaction_timeout
    ignore_startup_parameters job_name listen_addr listen_backlog listen_port log_connections
    log_disconnections log_pooler_errors log_stats logfile login_notify_message max_client_conn
    max_db_client_connections max_db_connections max_packet_size max_prepared_statements
    max_user_client_connections max_user_connections min_pool_size peer_id pidfile pkt_buf
    pool_mode pool_idle_timeout query_timeout query_wait_notify query_wait_timeout
    reserve_pool_size reserve_pool_timeout resolv_conf sbuf_loopcnt scram_iterations
    server_check_delay server_check_query server_connect_timeout server_fast_close
    server_idle_timeout server_lifetime server_login_retry server_reset_query
    server_reset_query_always server_round_robin server_tls13_ciphers server_tls_ca_file
    server_tls_cert_file server_tls_ciphers server_tls_key_file server_tls_protocols
    server_tls_sslmode so_reuseport stats_period stats_users suspend_timeout syslog
    syslog_facility syslog_ident tcp_defer_accept tcp_keepalive tcp_keepcnt tcp_keepidle
    tcp_keepintvl tcp_socket_buffer tcp_user_timeout track_extra_parameters transaction_timeout
    unix_socket_dir unix_socket_group unix_socket_mode user verbose
"""


def expected_columns(text):
    kinds = {"i": INT4, "n": NUMERIC, "8": INT8, "": TEXT}
    pairs = (word.partition(":") for word in text.split())
    return [(name, kinds[kind]) for name, _, kind in pairs]


@pytest.fixture
def admin(pooler):
    return pooler.raw(user=ADMIN, dbname="pgbouncer")


# -- SHOW --


@pytest.mark.pgweir_only
@pytest.mark.parametrize("what", COLUMNS)
def test_columns(pooler, what):
    pooler.raw().query("SELECT 1")
    result = pooler.console_result("SHOW " + what)
    assert result.error is None
    assert [(c.name, c.oid) for c in result.columns] == expected_columns(COLUMNS[what])
    for c in result.columns:
        assert (c.table, c.number, c.modifier, c.form) == (0, 0, -1, 0)
        assert c.length == LENGTHS[c.oid]
    assert result.tag == "SHOW"
    assert all(len(row) == len(result.columns) for row in result.rows)


def test_numbers_are_numbers(pooler):
    pooler.raw().query("SELECT 1")
    for what in ("POOLS", "CLIENTS", "SERVERS", "STATS", "DATABASES"):
        result = pooler.console_result("SHOW " + what)
        assert result.rows
        for row in result.rows:
            for column, value in zip(result.columns, row):
                if column.oid in (INT4, INT8, NUMERIC) and value is not None:
                    int(value)


def test_version(pooler):
    assert shown(pooler, "VERSION")[0]["version"] == version_text().split("\n")[0]


@pytest.mark.pgweir_only
def test_lists(pooler):
    rows = shown(pooler, "LISTS")
    assert [r["list"] for r in rows[:14]] == LISTS.split()
    assert int(by(rows, list="databases")["items"]) >= 2
    assert by(rows, list="dns_pending")["items"] == "0"


@pytest.mark.pgweir_only
def test_totals(pooler):
    names = [r["name"] for r in shown(pooler, "TOTALS")]
    assert names == ["total_" + n for n in TOTALS.split()] + ["avg_" + n for n in TOTALS.split()]


@pytest.mark.pgweir_only
def test_config_has_every_name(pooler):
    rows = shown(pooler, "CONFIG")
    names = [r["key"] for r in rows]
    wanted = CONFIG.split()
    assert [n for n in names if n in wanted] == wanted
    assert set(r["changeable"] for r in rows) == {"yes", "no"}


@pytest.mark.pgweir_only
def test_config_values(make_pooler):
    pooler = make_pooler(default_pool_size=7, server_lifetime="0.5", pool_mode="transaction")
    rows = shown(pooler, "CONFIG")
    for key, value, default, changeable in (
            ("default_pool_size", "7", "20", "yes"), ("server_lifetime", "0.5", "3600", "yes"),
            ("pool_mode", "transaction", "session", "yes"),
            ("max_client_conn", "100", "100", "yes"),
            ("unix_socket_mode", "511", "0777", "no"), ("listen_backlog", "128", "128", "no"),
            ("server_check_query", "<empty>", "<empty>", "yes"), ("auth_user", None, None, "yes")):
        row = by(rows, key=key)
        assert row == {"key": key, "value": value, "default": default, "changeable": changeable}


def test_pools(tx_pooler):
    a, b = tx_pooler.raw(), tx_pooler.raw(user="bob")
    a.query("BEGIN")
    b.query("SELECT 1")
    rows = shown(tx_pooler, "POOLS")
    mine, theirs = (by(rows, database=tx_pooler.db, user=u) for u in ("alice", "bob"))
    assert (mine["cl_active"], mine["sv_active"], mine["sv_idle"]) == ("1", "1", "0")
    assert (theirs["cl_active"], theirs["sv_active"]) == ("1", "0")
    assert int(theirs["sv_idle"]) + int(theirs["sv_used"]) == 1
    assert by(rows, database="pgbouncer")["user"] == "pgbouncer"
    order = [(r["database"], r["user"]) for r in rows]
    assert order == sorted(order)


def test_maxwait(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    holder, waiter = pooler.raw(), pooler.raw()
    holder.query("BEGIN")
    waiter.send(query("SELECT 1"))
    wait_for(lambda: pooler.pool()["maxwait"] >= 1)
    holder.query("COMMIT")
    waiter.result()
    assert (pooler.pool()["maxwait"], pooler.pool()["maxwait_us"]) == (0, 0)


def test_clients_and_servers(tx_pooler, pg, db):
    conn = tx_pooler.raw(application_name="seen")
    conn.query("BEGIN")
    client = by(shown(tx_pooler, "CLIENTS"), database=db)
    server = by(shown(tx_pooler, "SERVERS"), database=db)
    assert (client["type"], client["user"], client["state"]) == ("C", "alice", "active")
    assert (server["type"], server["user"], server["state"]) == ("S", "alice", "active")
    host, port = conn.sock.getsockname()
    assert (client["addr"], client["port"]) == (host, str(port))
    assert client["local_port"] == str(tx_pooler.port)
    assert (server["addr"], server["port"]) == ("127.0.0.1", str(pg.port))
    assert client["link"] == server["ptr"]
    assert server["link"] == client["ptr"]
    assert int(server["remote_pid"]) == pg.backends(db)[0]
    assert client["application_name"] == "seen"


@pytest.mark.pgweir_only
def test_client_states(make_pooler, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    idle, active, waiting = pooler.raw(), pooler.raw(), pooler.raw()
    active.query("BEGIN")
    waiting.send(query("SELECT 1"))
    pooler.wait_pool(cl_waiting=1)
    states = sorted(r["state"] for r in shown(pooler, "CLIENTS") if r["database"] == db)
    assert states == ["active", "idle", "waiting"]
    active.query("COMMIT")
    assert waiting.result().value() == "1"
    idle.close()


@pytest.mark.pgweir_only
def test_ids_are_unique_and_grow(tx_pooler, db):
    conns = [tx_pooler.raw() for _ in range(3)]
    conns[0].query("SELECT 1")
    ids = [int(r["id"]) for what in ("CLIENTS", "SERVERS") for r in shown(tx_pooler, what)
           if r["database"] == db]
    assert len(ids) == len(set(ids)) == 4
    later = tx_pooler.raw()
    port = str(later.sock.getsockname()[1])
    assert int(by(shown(tx_pooler, "CLIENTS"), port=port)["id"]) > max(ids)


def test_databases(make_pooler, pg, db):
    pooler = make_pooler(default_pool_size=9, databases={
        "plain": {"host": pg.host, "port": pg.port, "dbname": db},
        "set": {"host": pg.host, "port": pg.port, "dbname": db, "user": "bob", "pool_size": 3,
                "pool_mode": "statement", "max_db_connections": 5}})
    rows = shown(pooler, "DATABASES")
    plain, given = by(rows, name="plain"), by(rows, name="set")
    assert (plain["host"], plain["port"], plain["database"]) == (pg.host, str(pg.port), db)
    assert (plain["force_user"], plain["pool_size"], plain["pool_mode"]) == (None, "9", None)
    assert (given["force_user"], given["pool_size"]) == ("bob", "3")
    assert given["pool_mode"] == "statement"
    assert given["max_connections"] == "5"
    own = by(rows, name="pgbouncer")
    assert (own["force_user"], own["pool_mode"]) == ("pgbouncer", "statement")


@pytest.mark.pgweir_only
def test_databases_of_clusters(make_pooler, pg):
    pooler = make_pooler(
        pool_mode="transaction", session_state="track", routing="auto", monitor_user="alice",
        databases={"plain": {"host": pg.host, "port": pg.port},
                   "auto": {"cluster": "c"},
                   "session": {"cluster": "c", "pool_mode": "session", "max_lag": "0"},
                   "reports": {"cluster": "c", "routing": "replica", "consistency": "eventual",
                               "max_lag": "1500ms"}},
        sections={"clusters": {"c": {"nodes": f"{pg.host}:{pg.port}"}}})
    rows = {r["name"]: tuple(r[k] for k in ("cluster", "routing", "consistency", "max_lag_ms"))
            for r in shown(pooler, "DATABASES")}
    assert rows["plain"] == rows["pgbouncer"] == (None, None, None, None)
    assert rows["auto"] == ("c", "split", "session", None)
    assert rows["session"] == ("c", "primary", "session", "0")
    assert rows["reports"] == ("c", "replica", "eventual", "1500")


@pytest.mark.pgweir_only
def test_users(make_pooler):
    pooler = make_pooler(users={"alice": "pool_size=1 pool_mode=transaction"})
    rows = shown(pooler, "USERS")
    alice, bob = by(rows, name="alice"), by(rows, name="bob")
    assert (alice["pool_size"].strip(), alice["pool_mode"]) == ("1", "transaction")
    assert (bob["pool_size"], bob["pool_mode"]) == ("", None)
    with pytest.raises(PgError):
        pooler.raw(user="never_existed")
    assert "never_existed" not in [r["name"] for r in shown(pooler, "USERS")]


@pytest.mark.pgweir_only
def test_state(pooler):
    rows = {r["key"]: r["value"] for r in shown(pooler, "STATE")}
    assert rows == {"active": "yes", "paused": "no", "suspended": "no"}
    pooler.console("PAUSE")
    rows = {r["key"]: r["value"] for r in shown(pooler, "STATE")}
    assert (rows["active"], rows["paused"]) == ("no", "yes")


def test_help_is_a_notice(pooler):
    result = pooler.console_result("SHOW HELP")
    assert result.tag == "SHOW"
    assert not result.rows
    notice, = result.notices
    assert (notice.severity, notice.code, notice.message) == ("NOTICE", "00000", "Console usage")
    assert "RECONNECT" in notice.fields["D"]


def test_statistics_count(pooler, db):
    """Four sessions of one query, one with two transactions of three."""
    for _ in range(4):
        conn = pooler.raw()
        conn.query("SELECT 1")
        conn.close()
    conn = pooler.raw()
    for _ in range(2):
        conn.query("BEGIN")
        for _ in range(3):
            conn.query("SELECT 1")
        conn.query("COMMIT")
    row = by(shown(pooler, "STATS"), database=db)
    assert (row["total_xact_count"], row["total_query_count"]) == ("6", "14")
    assert int(row["total_received"]) > 14 * len(query("COMMIT"))
    assert int(row["total_query_time"]) > 0
    totals = by(shown(pooler, "STATS_TOTALS"), database=db)
    assert (totals["xact_count"], totals["query_count"]) == ("6", "14")
    if is_pgweir():
        assert row["total_server_assignment_count"] == row["total_client_login_count"] == "5"


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_goodbye_is_no_query(make_pooler, db, mode):
    pooler = make_pooler(pool_mode=mode)
    for _ in range(4):
        conn = pooler.raw()
        conn.query("SELECT 1")
        conn.send(terminate())
        assert conn.is_closed()
    conn = pooler.raw()
    conn.query("BEGIN")
    conn.send(terminate())
    assert conn.is_closed()
    row = by(shown(pooler, "STATS"), database=db)
    assert (row["total_xact_count"], row["total_query_count"]) == ("5", "5")


@pytest.mark.pgweir_only
def test_request_that_no_server_was_asked_is_over(tx_pooler, db):
    """The server has the statement from the first time: all answers to the second are ours."""
    for _ in range(2):
        conn = tx_pooler.raw()
        conn.run(parse("s", "SELECT 1"), sync())
    rows = [row for row in shown(tx_pooler, "CLIENTS") if row["database"] == db]
    assert [row["wait_us"] for row in rows] == ["0", "0"]


@pytest.mark.pgweir_only
def test_statistics_of_statements(tx_pooler, db):
    conn = tx_pooler.raw()
    conn.run(parse("s", "SELECT 1"), sync())
    for _ in range(3):
        conn.run(run_named("s"))
    row = by(shown(tx_pooler, "STATS"), database=db)
    assert (row["total_client_parse_count"], row["total_bind_count"]) == ("1", "3")
    assert int(row["total_server_parse_count"]) >= 1


# -- the language --


@pytest.mark.parametrize("text", ["show version", "SHOW VERSION;", " Show\tVersion ;\n",
                                  "SELECT version"])
def test_spellings(pooler, text):
    result = pooler.console_result(text)
    assert result.rows[0][0] == version_text().split("\n")[0]


@pytest.mark.parametrize("text", ["NONSENSE", "SHOW", "SHOW POOLS extra",
                                  "SHOW VERSION; SHOW POOLS", "-- comment", "PAUSE a b", "SET", "SET x"])
def test_invalid_commands(pooler, admin, text):
    result = admin.query(text)
    assert result.error.severity == "ERROR"
    assert result.error.code == "08P01"
    assert result.status == "I"
    assert admin.query("SHOW VERSION").rows


def test_text_of_an_invalid_command(admin):
    assert admin.query("NONSENSE").error.message == \
        "invalid command 'NONSENSE', use SHOW HELP;"


@pytest.mark.pgweir_only
def test_over_long_words(admin):
    for text in ("x" * 100, "PAUSE " + "x" * 100, "SET " + "k" * 100 + "=1",
                 "SET max_client_conn='" + "v" * 300 + "'"):
        assert admin.query(text).error.code == "08P01"
    assert admin.query("SHOW VERSION").rows


@pytest.mark.pgweir_only
def test_long_query_in_pieces(admin):
    text = "SHOW VERSION" + " " * 20_000
    result = admin.query(text, cut="random")
    assert result.rows or result.error.code == "08P01"
    assert admin.query("SHOW VERSION", cut="bytes").rows


@pytest.mark.parametrize("name, value", [
    ("client_encoding", "UTF-8"), ("default_transaction_isolation", "read committed"),
    ("standard_conforming_strings", "on"), ("datestyle", "ISO"), ("timezone", "GMT")])
def test_parameters_that_drivers_ask_for(admin, name, value):
    result = admin.query("SHOW " + name)
    assert [c.name for c in result.columns] == [name]
    assert result.rows == [[value]]
    result = admin.query(f"SET {name} = 'x'")
    assert result.tag == "SET"
    assert result.notices[0].message == "SET ignored"


@pytest.mark.parametrize("database", ["pgbouncer",
                                      pytest.param("pgweir", marks=pytest.mark.pgweir_only)])
def test_names_of_the_console(pooler, database):
    conn = pooler.raw(user=ADMIN, dbname=database)
    assert conn.query("SHOW VERSION").rows


def test_welcome(admin):
    assert re.match(r"\d+\.\d+[.\d]*/", admin.params["server_version"])
    assert admin.params["client_encoding"] == "UTF8"
    assert admin.params["standard_conforming_strings"] == "on"
    assert len(admin.key) == 8


@pytest.mark.pgweir_only
def test_a_session_has_one_name_in_the_log(pooler):
    conn = pooler.raw(user=ADMIN, dbname="pgweir")
    port = conn.sock.getsockname()[1]
    conn.close()
    who = f"pgbouncer/{ADMIN}@127.0.0.1:{port}"
    pooler.wait_log(f"{who} closing because")
    pooler.wait_log(f"{who} login attempt: db=pgweir user={ADMIN}")
    assert len(re.findall(f"/{ADMIN}@127.0.0.1:{port}", pooler.log_text())) == \
        len(re.findall(who, pooler.log_text()))


def test_welcome_repeats_what_the_client_sent(pooler):
    conn = pooler.raw(user=ADMIN, dbname="pgbouncer", application_name="monitor",
                      timezone="Asia/Tokyo")
    told = [m.parameter() for m in conn.login_messages if m.kind == "S"]
    assert [name for name, _ in told[:7]] == [
        "server_version", "client_encoding", "server_encoding", "DateStyle", "TimeZone",
        "standard_conforming_strings", "is_superuser"]
    assert sorted(told[7:]) == [("TimeZone", "Asia/Tokyo"), ("application_name", "monitor")]


@pytest.mark.pgweir_only
def test_extended_protocol_with_psycopg(pooler):
    conn = pooler.connect(user=ADMIN, dbname="pgbouncer", prepare_threshold=0)
    for _ in range(3):
        cursor = conn.execute("SHOW POOLS", prepare=True)
        assert cursor.description[0].name == "database"
        assert "pgbouncer" in [row[0] for row in cursor.fetchall()]
    with pytest.raises(psycopg.Error) as e:
        conn.execute("NONSENSE", prepare=True)
    assert e.value.sqlstate == "08P01"
    assert conn.execute("SHOW VERSION", prepare=True).fetchone()


@pytest.mark.pgweir_only
def test_extended_protocol_with_asyncpg(pooler):
    async def work():
        conn = await asyncpg.connect(host="127.0.0.1", port=pooler.port, user=ADMIN, password="x",
                                     database="pgbouncer", ssl=False)
        rows = await conn.fetch("SHOW POOLS")
        await conn.close()
        return rows

    assert "pgbouncer" in [r["database"] for r in asyncio.run(work())]


# -- rights --


def test_others_may_not_enter(pooler):
    with pytest.raises(PgError) as e:
        pooler.raw(dbname="pgbouncer")
    assert_refused(e.value, "not allowed")


@pytest.mark.pgweir_only
def test_who_may_not_enter_is_told_who_may(pooler):
    with pytest.raises(PgError) as e:
        pooler.raw(dbname="pgweir")
    assert "admin_users and stats_users" in e.value.fields["H"]


@pytest.mark.parametrize("command", ["PAUSE", "RESUME", "RELOAD", "KILL", "RECONNECT", "SHUTDOWN",
                                     "KILL_CLIENT 1"])
def test_stats_users_may_only_look(pooler, command):
    assert shown(pooler, "POOLS", user=STATS)
    error = pooler.console_result(command, user=STATS).error
    assert (error.severity, error.code, error.message) == \
        ("ERROR", "08P01", "admin access needed")
    assert pooler.alive()
    assert pooler.raw().query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
def test_stats_users_may_not_kill_clients(pooler):
    victim = pooler.raw()
    number = by(shown(pooler, "CLIENTS"), database=pooler.db)["id"]
    error = pooler.console_result(f"KILL_CLIENT {number}", user=STATS).error
    assert error.message == "admin access needed"
    assert victim.query("SELECT 1").value() == "1"


def test_unix_peer_is_admin_without_a_password(make_pooler):
    pooler = make_pooler(auth_type="md5", admin_users="")
    conn = pooler.raw(user="pgbouncer", dbname="pgbouncer", unix=True)
    assert conn.auth_requests() == [0]
    assert conn.query("RELOAD").tag == "RELOAD"
