# SPDX-License-Identifier: PostgreSQL
"""The process: command line, start, signals, files it leaves and removes, shutdown."""

import os
import re
import signal
import subprocess

import pytest

from lib.check import assert_refused
from lib.pooler import ADMIN, binary, is_pgweir, version_text
from lib.wait import stays_true, wait_for
from lib.wire import Closed, PgError, query


def run(*args, **kw):
    return subprocess.run([binary(), *args], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, check=False, **kw)


def start_refused(pooler):
    """Starts a pooler that must not come up; returns what it said."""
    pooler.start(wait=False)
    try:
        assert pooler.wait_exit() == 1
    finally:
        pooler.process.kill()
    return pooler.said()


# -- command line --


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option):
    done = run(option)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == version_text().splitlines()[0]
    assert any(line.startswith("libevent ") for line in lines)
    assert any(line.startswith("tls: ") for line in lines)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option):
    done = run(option)
    assert done.returncode == 0
    for word in ("--daemon", "--quiet", "--user", "--verbose", "--version", "--help"):
        assert word in done.stdout


@pytest.mark.parametrize("args", [[], ["--no-such-option"], ["a.ini", "b.ini"]])
def test_bad_command_line(args):
    done = run(*args)
    assert done.returncode == 1
    assert "--help" in done.stderr


def test_missing_file(tmp_path):
    done = run(str(tmp_path / "none.ini"))
    assert done.returncode == 1
    assert "none.ini" in done.stderr


# -- start --


@pytest.mark.parametrize("setting, value", [
    ("no_such_setting", "1"), ("pool_mode", "sometimes"), ("default_pool_size", "many"),
    ("auth_type", "handshake"), ("server_lifetime", "1min"), ("client_tls_sslmode", "perhaps")])
def test_bad_setting(make_pooler, setting, value):
    said = start_refused(make_pooler(start=False, **{setting: value}))
    assert setting in said


@pytest.mark.parametrize("line", ["x = no equals sign", "x = port=none_at_all=2", "x = colour=red"])
@pytest.mark.pgweir_only
def test_bad_database(make_pooler, line):
    name, _, value = line.partition(" = ")
    start_refused(make_pooler(start=False, databases={name: value}))


def test_reserved_database_name(make_pooler):
    start_refused(make_pooler(start=False, databases={"pgbouncer": "host=127.0.0.1"}))


def test_nowhere_to_listen(make_pooler):
    start_refused(make_pooler(start=False, listen_addr="", unix_socket_dir=""))


@pytest.mark.pgweir_only
def test_port_in_use(make_pooler):
    first = make_pooler()
    second = make_pooler(start=False)
    second.port = first.port
    second.settings["listen_port"] = first.port
    start_refused(second)
    assert first.raw().query("SELECT 1").value() == "1"


def test_tls_without_certificate(make_pooler):
    start_refused(make_pooler(start=False, client_tls_sslmode="require"))


@pytest.mark.pgweir_only
def test_file_syntax(make_pooler, pg, db):
    """Indented lines, comments of both kinds, quoted keys, long lines, blanks around '='."""
    pooler = make_pooler(start=False)
    included = pooler.write("more.ini", f"'odd name' = host={pg.host} port={pg.port} dbname={db}\n")
    pooler.write_files()
    settings = pooler.path.read_text().split("[pgbouncer]\n")[1]
    pooler.write(pooler.path.name, f"""
; a comment
   # another
[databases]
   {db}   =   host = {pg.host}   port={pg.port} dbname='{db}' application_name='{"a" * 300}'
%include {included}

[pgbouncer]
""" + "".join("\t" + line + "\n" for line in settings.splitlines()))
    pooler.write_files = lambda: None
    write_auth(pooler)
    pooler.start()
    try:
        assert pooler.raw().query("SELECT 1").value() == "1"
        assert pooler.raw(dbname="odd name").query("SELECT current_database()").value() == db
    finally:
        pooler.stop()


def write_auth(pooler):
    pooler.write(pooler.auth_path.name, '"alice" "alice\'s secret"\n"admin" "admin-pw"\n')


def test_pidfile(make_pooler):
    pooler = make_pooler()
    assert pooler.pidfile.read_text() == f"{pooler.pid}\n"
    pooler.stop()
    assert not pooler.pidfile.exists()


@pytest.mark.pgweir_only
def test_signals_that_a_shell_has_ignored(make_pooler):
    """A shell without job control starts what runs in the background like that."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pooler = make_pooler()
    finally:
        signal.signal(signal.SIGINT, before)
    pooler.signal(signal.SIGINT)
    pooler.wait_exit()
    assert "got SIGINT, shutting down" in pooler.log_text()


def test_unix_socket_is_removed(make_pooler):
    pooler = make_pooler()
    path = pooler.dir / f".s.PGSQL.{pooler.port}"
    assert path.is_socket()
    pooler.stop()
    assert not path.exists()


def test_stale_pidfile_and_socket(make_pooler):
    pooler = make_pooler()
    pooler.kill()
    assert pooler.pidfile.exists()
    again = make_pooler(start=False)
    again.port = again.settings["listen_port"] = pooler.port
    again.pidfile = again.settings["pidfile"] = pooler.pidfile
    again.settings["unix_socket_dir"] = pooler.dir
    again.start()
    try:
        assert again.raw().query("SELECT 1").value() == "1"
        assert again.pidfile.read_text() == f"{again.pid}\n"
    finally:
        again.stop()


def test_second_instance_is_refused(make_pooler):
    pooler = make_pooler()
    second = make_pooler(start=False, pidfile=pooler.pidfile)
    start_refused(second)
    assert pooler.pidfile.read_text() == f"{pooler.pid}\n"
    assert pooler.raw().query("SELECT 1").value() == "1"


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_daemon(make_pooler):
    pooler = make_pooler(start=False)
    pooler.expected_status = 0
    pooler.start("-d", wait=False)
    assert pooler.wait_exit() == 0
    pid = int(wait_for(lambda: pooler.pidfile.exists() and pooler.pidfile.read_text().strip()))
    try:
        assert pid != pooler.pid
        with wait_for(lambda: connect_if_up(pooler)) as conn:
            assert conn.query("SELECT 1").value() == "1"
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
        assert os.getsid(pid) != os.getsid(0)
    finally:
        os.kill(pid, signal.SIGQUIT if is_pgweir() else signal.SIGTERM)
        wait_for(lambda: not is_running(pid))
    assert not pooler.pidfile.exists()


def connect_if_up(pooler):
    try:
        return pooler.raw()
    except OSError:
        return None


def test_daemon_needs_a_pidfile(make_pooler):
    pooler = make_pooler(start=False, pidfile=None)
    pooler.start("-d", wait=False)
    assert pooler.wait_exit() == 1
    assert "pidfile" in pooler.said()


def test_quiet(make_pooler):
    pooler = make_pooler(args=["-q"])
    assert pooler.raw().query("SELECT 1").value() == "1"
    assert pooler.stderr.read_text() == ""
    assert "login attempt" in pooler.log_text()


# -- log --


def test_log_lines(pooler, db):
    conn = pooler.raw()
    conn.query("SELECT 1")
    port = conn.sock.getsockname()[1]
    conn.close()
    pooler.wait_log("closing because")
    stamp = r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+ \[\d+\] LOG "
    pooler.wait_log(stamp + r"C-0x[0-9a-f]+: " + f"{db}/alice@127.0.0.1:{port} "
                    f"login attempt: db={db} user=alice tls=no")
    pooler.wait_log(stamp + r"S-0x[0-9a-f]+: " + f"{db}/alice@127.0.0.1:\\d+ "
                    r"new connection to server \(from 127.0.0.1:\d+\)")
    pooler.wait_log(stamp + r"C-0x[0-9a-f]+: .* closing because: "
                    r"client unexpected eof \(age=\d+s\)")


@pytest.mark.pgweir_only
def test_statistics_outlive_their_pools(make_pooler):
    pooler = make_pooler(stats_period=1, pool_idle_timeout=1, server_idle_timeout=1)
    conn = pooler.raw()
    conn.query("SELECT 1")
    conn.close()
    pooler.wait_log("cleaning up idle pool")
    pooler.wait_log("stats: ", count=pooler.log_count("stats: ") + 2)
    lines = [line for line in pooler.log_text().splitlines() if " stats: " in line]
    numbers = [int(n) for line in lines for n in re.findall(r"\d+", line.split("stats:")[1])]
    assert max(numbers) < 10 ** 9, lines


def test_terminate_is_a_close_request(pooler):
    conn = pooler.raw()
    conn.send(b"X\0\0\0\4")
    assert conn.is_closed()
    pooler.wait_log("closing because: client close request")


def test_secrets_are_not_logged(make_pooler):
    pooler = make_pooler(args=["-v", "-v", "-v"], auth_type="md5")
    secret = pooler.auth["alice"]
    pooler.raw(password=secret).query("SELECT 1")
    with pytest.raises(PgError):
        pooler.raw(password="a wrong secret")
    said = pooler.said()
    assert "alice" in said
    assert secret not in said
    assert "a wrong secret" not in said


@pytest.mark.parametrize("how", ["RELOAD", "SIGHUP"])
def test_log_is_reopened(pooler, how):
    moved = pooler.log.rename(pooler.dir / "old.log")
    if how == "RELOAD":
        pooler.console("RELOAD")
    else:
        pooler.signal(signal.SIGHUP)
    wait_for(lambda: pooler.raw() and pooler.log.exists())
    before = moved.stat().st_size
    pooler.raw()
    pooler.wait_log("login attempt: .*user=alice")
    assert moved.stat().st_size == before


def test_newline_in_a_name_cannot_forge_a_log_line(pooler):
    with pytest.raises(PgError):
        pooler.raw(user="x\n2026-01-01 00:00:00.000 UTC [1] FATAL forged")
    pooler.wait_log("forged")
    assert not any(line.startswith("2026-01-01 00:00:00.000 UTC [1] FATAL forged")
                   for line in pooler.log_text().splitlines())


# -- signals --


def test_sighup_reloads(pooler, pg, db):
    pooler.databases["added"] = {"host": pg.host, "port": pg.port, "dbname": db}
    pooler.write_files()
    pooler.signal(signal.SIGHUP)
    pooler.wait_log("got SIGHUP, re-reading config")
    wait_for(lambda: any(r["name"] == "added" for r in pooler.console("SHOW DATABASES")))
    assert pooler.raw(dbname="added").query("SELECT 1").value() == "1"


def test_sigusr1_pauses_and_sigusr2_resumes(tx_pooler):
    conn = tx_pooler.raw()
    conn.query("SELECT 1")
    tx_pooler.signal(signal.SIGUSR1)
    tx_pooler.wait_log("got SIGUSR1, pausing all activity")
    conn.send(query("SELECT 'on'"))
    tx_pooler.wait_pool(cl_waiting=1)
    tx_pooler.signal(signal.SIGUSR2)
    tx_pooler.wait_log("got SIGUSR2, continuing from PAUSE")
    assert conn.result().value() == "on"
    tx_pooler.signal(signal.SIGUSR2)
    tx_pooler.wait_log("got SIGUSR2, but not paused/suspended")


@pytest.mark.pgweir_only
def test_sigterm_waits_for_clients(tx_pooler):
    conn = tx_pooler.raw()
    conn.query("BEGIN")
    tx_pooler.signal(signal.SIGTERM)
    tx_pooler.wait_log("got SIGTERM, shutting down, waiting for all clients disconnect")
    assert conn.query("COMMIT").tag == "COMMIT"
    assert conn.query("SELECT 'still served'").value() == "still served"
    assert stays_true(tx_pooler.alive, 0.5)
    with pytest.raises((OSError, PgError, Closed)):
        tx_pooler.raw()
    conn.close()
    assert tx_pooler.wait_exit() == 0


@pytest.mark.pgweir_only
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_is_fast(tx_pooler, number):
    conn = tx_pooler.raw()
    conn.query("BEGIN")
    tx_pooler.signal(number)
    tx_pooler.wait_log("shutting down, waiting for all")
    tx_pooler.signal(number)
    assert tx_pooler.wait_exit() == 0
    tx_pooler.wait_log("while shutting down, fast exit")


@pytest.mark.pgweir_only
def test_sigint_waits_for_servers(tx_pooler):
    busy, idle = tx_pooler.raw(), tx_pooler.raw()
    busy.query("BEGIN")
    tx_pooler.signal(signal.SIGINT)
    tx_pooler.wait_log("got SIGINT, shutting down, waiting for all servers connections")
    idle.send(query("SELECT 1"))
    assert_refused(idle.expect_fatal(), "server shutting down")
    assert busy.query("SELECT 'finish'").value() == "finish"
    assert busy.query("COMMIT").tag == "COMMIT"
    assert tx_pooler.wait_exit() == 0


@pytest.mark.pgweir_only
def test_sigquit_is_immediate(tx_pooler, pg, db):
    conn = tx_pooler.raw()
    conn.query("BEGIN")
    tx_pooler.signal(signal.SIGQUIT)
    assert tx_pooler.wait_exit() == 0
    tx_pooler.wait_log("got SIGQUIT, fast exit")
    assert not tx_pooler.pidfile.exists()
    pg.wait_backends(db, 0)


@pytest.mark.pgweir_only
def test_sigusr2_during_shutdown_is_ignored(tx_pooler):
    conn = tx_pooler.raw()
    conn.query("BEGIN")
    tx_pooler.signal(signal.SIGTERM)
    tx_pooler.wait_log("got SIGTERM, shutting down")
    tx_pooler.signal(signal.SIGUSR2)
    tx_pooler.wait_log("got SIGUSR2 while shutting down, ignoring")
    assert conn.query("COMMIT").tag == "COMMIT"
    conn.close()
    assert tx_pooler.wait_exit() == 0


# -- shutdown by the console --


@pytest.mark.pgweir_only
def test_shutdown(tx_pooler):
    conn = tx_pooler.raw()
    conn.query("BEGIN")
    admin = tx_pooler.raw(user=ADMIN, dbname="pgbouncer")
    admin.send(query("SHUTDOWN"))
    assert admin.is_closed()
    assert tx_pooler.wait_exit() == 0
    assert not tx_pooler.pidfile.exists()


@pytest.mark.pgweir_only
def test_shutdown_wait_for_clients(tx_pooler):
    conn = tx_pooler.raw()
    conn.query("SELECT 1")
    assert tx_pooler.console_result("SHUTDOWN WAIT_FOR_CLIENTS").tag == "SHUTDOWN"
    assert conn.query("SELECT 2").value() == "2"
    conn.close()
    assert tx_pooler.wait_exit() == 0


@pytest.mark.pgweir_only
def test_shutdown_wait_for_servers(tx_pooler):
    busy, other = tx_pooler.raw(), tx_pooler.raw()
    busy.query("BEGIN")
    assert tx_pooler.console_result("SHUTDOWN WAIT_FOR_SERVERS").tag == "SHUTDOWN"
    other.send(query("SELECT 1"))
    assert_refused(other.expect_fatal(), "server shutting down")
    assert busy.query("COMMIT").tag == "COMMIT"
    assert tx_pooler.wait_exit() == 0


@pytest.mark.pgweir_only
def test_shutdown_with_another_word(pooler):
    error = pooler.console_result("SHUTDOWN SOMEHOW").error
    assert error.message.startswith("invalid command '")
    assert pooler.alive()


@pytest.mark.pgweir_only
def test_console_over_the_unix_socket_during_shutdown(tx_pooler):
    conn = tx_pooler.raw()
    conn.query("BEGIN")
    tx_pooler.console("SHUTDOWN WAIT_FOR_SERVERS")
    admin = tx_pooler.raw(user="pgbouncer", dbname="pgbouncer", unix=True)
    assert admin.query("SHOW VERSION").rows
    assert admin.query("RESUME").error.message == "pooler is shutting down"
    conn.query("COMMIT")
    assert tx_pooler.wait_exit() == 0


# -- reload --


@pytest.mark.pgweir_only
def test_sighup_with_a_bad_file_changes_nothing(tx_pooler, db):
    conn = tx_pooler.raw()
    conn.query("BEGIN")
    before = tx_pooler.console("SHOW CONFIG")
    tx_pooler.write(tx_pooler.path.name, "[pgbouncer]\nmax_client_conn = 1\n[nonsense]\n")
    tx_pooler.signal(signal.SIGHUP)
    tx_pooler.wait_log("nonsense")
    assert tx_pooler.console("SHOW CONFIG") == before
    assert conn.query("COMMIT").tag == "COMMIT"
    assert tx_pooler.raw().query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
def test_reload_under_load_drops_nobody(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3)
    conns = [pooler.raw() for _ in range(10)]
    for i in range(10):
        for c in conns:
            c.send(query("SELECT pg_sleep(0.005)"))
        pooler.settings["query_wait_timeout"] = 100 + i
        pooler.reload()
        for c in conns:
            assert c.result().tag == "SELECT 1"
