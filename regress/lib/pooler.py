# SPDX-License-Identifier: PostgreSQL
"""The pooler under test: its files, its process, its console and its log."""

import ctypes
import functools
import itertools
import os
import random
import re
import signal
import socket
import subprocess
from pathlib import Path

import psycopg

from lib.pg import PASSWORDS, repository
from lib.wait import TIME_FACTOR, TIMEOUT, wait_for
from lib.wire import RawConn

ADMIN = "admin"
STATS = "stats"

# None of these may ever be said by a process under test.
ALARMS = re.compile(
    r"assert failed|assertion .*failed|AddressSanitizer|ThreadSanitizer|LeakSanitizer"
    r"|runtime error:|Sanitizer:", re.IGNORECASE)

PR_SET_PDEATHSIG = 1


def die_with_parent():
    """In the child: it must not outlive a test run that was killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def binary():
    if "PW_BINARY" in os.environ:
        return Path(os.environ["PW_BINARY"])
    for place in (repository() / "pgweir", repository() / "build" / "plain" / "pgweir"):
        if place.exists():
            return place
    raise RuntimeError("no pgweir to test: build it, or set PW_BINARY")


def version_text():
    return subprocess.run([binary(), "-V"], text=True, check=True, timeout=60,
                          stdout=subprocess.PIPE).stdout


@functools.cache
def is_pgweir():
    return "pgbouncer" not in version_text().split("\n", 1)[0].lower()


def port_counter():
    """Ports below the range that outgoing connections use, a band for each xdist worker."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
    start = 12000 + 2500 * (worker % 8)
    offset = random.randrange(2500)
    for i in itertools.count(offset):
        yield start + i % 2500


PORTS = port_counter()


CLAIMS = {}


def claim(port):
    """Suites that run side by side on one machine keep off each other's ports: the name goes with
    the process."""
    s = socket.socket(socket.AF_UNIX)
    try:
        s.bind(f"\0pgweir-regress-port-{port}")
    except OSError:
        s.close()
        return False
    CLAIMS[port] = s
    return True


def release(port):
    """select() knows no more than 1024 descriptors, and a run has more poolers than that."""
    if port in CLAIMS:
        CLAIMS.pop(port).close()


def free_port():
    for port in PORTS:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            if claim(port):
                return port


def connection_string(value):
    """A [databases] or [users] line: a string as it is, a dict in key=value form."""
    if isinstance(value, str):
        return value
    parts = []
    for key, word in value.items():
        word = str(word)
        if re.search(r"[\s']", word) or word == "":
            word = "'" + word.replace("'", "''") + "'"
        parts.append(f"{key}={word}")
    return " ".join(parts)


def auth_file(users):
    def quote(text):
        return '"' + text.replace('"', '""') + '"'
    return "".join(f"{quote(u)} {quote(p)}\n" for u, p in users.items())


def settings_of_the_run():
    """Those of every pooler that is not told otherwise: PW_SETTINGS, as name=value name=value."""
    return dict(pair.split("=", 1) for pair in os.environ.get("PW_SETTINGS", "").split())


class Pooler:
    """settings are those of [pgbouncer]; databases, users, auth are dicts; hba, ident are texts;
    sections are further ones, by name."""

    def __init__(self, directory, db=None, pg=None, databases=None, users=None, auth=None,
                 hba=None, ident=None, sections=None, **settings):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.db = db
        self.port = free_port()
        self.path = self.dir / "pooler.ini"
        self.log = self.dir / "pooler.log"
        self.stderr = self.dir / "stderr"
        self.pidfile = self.dir / "pooler.pid"
        self.auth_path = self.dir / "userlist.txt"
        self.databases = databases if databases is not None else self.default_databases(pg)
        self.users = users or {}
        self.sections = sections or {}
        self.auth = dict(PASSWORDS, **{ADMIN: "admin-pw", STATS: "stats-pw"}, **(auth or {}))
        self.settings = self.default_settings()
        if hba is not None:
            self.write("hba.conf", hba)
            self.settings.update(auth_type="hba", auth_hba_file=self.dir / "hba.conf")
        if ident is not None:
            self.write("ident.conf", ident)
            self.settings.update(auth_ident_file=self.dir / "ident.conf")
        self.settings.update(settings)
        self.process = None
        # PgBouncer 1.18 ends with 1 when it is told to end by a signal.
        self.expected_status = 0 if is_pgweir() else 1
        self.connections = []

    def default_databases(self, pg):
        return {self.db: {"host": pg.host, "port": pg.port, "dbname": self.db}}

    def default_settings(self):
        return {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": self.dir,
            "auth_type": "trust",
            "auth_file": self.auth_path,
            "admin_users": ADMIN,
            "stats_users": STATS,
            "logfile": self.log,
            "pidfile": self.pidfile,
            "server_login_retry": 1,
            **settings_of_the_run(),
        }

    # -- files --

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def write_files(self):
        lines = ["[databases]"]
        lines += [f"{k} = {connection_string(v)}" for k, v in self.databases.items()]
        lines.append("[users]")
        lines += [f"{k} = {connection_string(v)}" for k, v in self.users.items()]
        for name, entries in self.sections.items():
            lines.append(f"[{name}]")
            lines += [f"{k} = {connection_string(v)}" for k, v in entries.items()]
        lines.append("[pgbouncer]")
        lines += [f"{k} = {v}" for k, v in self.settings.items() if v is not None]
        self.write(self.path.name, "\n".join(lines) + "\n")
        self.write(self.auth_path.name, auth_file(self.auth))

    # -- process --

    def start(self, *args, wait=True):
        self.write_files()
        with open(self.stderr, "ab") as stderr:
            self.process = subprocess.Popen(
                [binary(), *args, self.path], cwd=self.dir, stdin=subprocess.DEVNULL, stdout=stderr,
                stderr=stderr, preexec_fn=die_with_parent)
        if wait:
            wait_for(self.accepts, what="the pooler accepts")
        return self

    def accepts(self):
        assert self.process.poll() is None, f"the pooler ended: {self.said()}"
        try:
            socket.create_connection(("127.0.0.1", self.port), TIMEOUT).close()
        except OSError:
            return False
        return self.has_pidfile()

    def has_pidfile(self):
        """It is written after the first connection can be made; with none asked for, that is so."""
        path = self.settings["pidfile"]
        return path is None or (Path(path).exists() and Path(path).read_text().endswith("\n"))

    @property
    def pid(self):
        return self.process.pid

    def cpu_seconds(self):
        """Processor time of all its threads up to now."""
        ran = (Path(task, "schedstat").read_text() for task in
               Path(f"/proc/{self.pid}/task").iterdir())
        return sum(int(text.split()[0]) for text in ran) / 1e9

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout=10):
        return self.process.wait(timeout * TIME_FACTOR)

    def stop(self):
        """Ends the process now and checks that it went in good order."""
        for c in self.connections:
            c.close()
        self.connections.clear()
        if self.alive():
            self.signal(signal.SIGQUIT if is_pgweir() else signal.SIGTERM)
        try:
            status = self.wait_exit(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the pooler did not end when told to: {self.said()}") from None
        release(self.port)
        self.check(status)

    def check(self, status):
        text = self.said()
        alarm = ALARMS.search(text)
        assert not alarm, f"the pooler said {alarm.group(0)!r}:\n{text[-20000:]}"
        assert status == self.expected_status, (
            f"the pooler ended with {status}:\n{(self.log_text() or text)[-5000:]}")

    def kill(self):
        self.expected_status = -signal.SIGKILL
        self.process.kill()
        self.process.wait()

    def reload(self):
        """Writes the files again and makes the pooler read them."""
        self.write_files()
        result = self.console_result("RELOAD")
        assert result.tag == "RELOAD", result.error

    # -- talking to it --

    def raw(self, user="alice", dbname=None, password=None, unix=False, login=True, **kw):
        """A raw connection; logged in unless login=False."""
        path = str(self.dir / f".s.PGSQL.{self.port}") if unix else None
        conn = RawConn(self.port, path=path)
        self.connections.append(conn)
        if login:
            password = self.auth.get(user) if password is None else password
            conn.login(user, dbname or self.db, password, **kw)
        return conn

    def connect(self, user="alice", dbname=None, **kw):
        conn = psycopg.connect(**self.dsn(user, dbname, **kw))
        self.connections.append(conn)
        return conn

    def dsn(self, user="alice", dbname=None, **kw):
        return {"host": "127.0.0.1", "port": self.port, "user": user, "dbname": dbname or self.db,
                "password": self.auth.get(user, ""), "autocommit": True, "sslmode": "disable",
                "gssencmode": "disable", "connect_timeout": int(TIMEOUT), **kw}

    def console_result(self, command, user=ADMIN):
        with RawConn(self.port) as conn:
            conn.login(user, "pgbouncer", self.auth[user])
            result = conn.query(command)
            conn.leave()
            return result

    def console(self, command, user=ADMIN):
        """Rows of a console command as dicts; an error is raised."""
        result = self.console_result(command, user)
        # A sanitizer makes some turns of a loop longer than that.
        for _ in range(10 if TIME_FACTOR > 1 else 0):
            if result.errors and "did not answer within a second" in result.error.message:
                result = self.console_result(command, user)
        if result.errors:
            raise result.error
        return result.dicts()

    def pool(self, dbname=None, user="alice"):
        """The row of SHOW POOLS, numbers as int; None when there is no such pool."""
        for row in self.console("SHOW POOLS"):
            if row["database"] == (dbname or self.db) and row["user"] == user:
                return {k: int(v) if v and v.isdigit() else v for k, v in row.items()}
        return None

    def wait_pool(self, dbname=None, user="alice", **counts):
        """Waits until the named columns of the pool's row have these values."""
        def reached():
            row = self.pool(dbname, user)
            return row is not None and all(row[k] == v for k, v in counts.items())
        wait_for(reached, what=f"pool with {counts}, it is {self.pool(dbname, user)}")

    # -- log --

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def said(self):
        stderr = self.stderr.read_text(errors="replace") if self.stderr.exists() else ""
        return self.log_text() + stderr

    def log_count(self, text):
        return self.log_text().count(text)

    def wait_log(self, pattern, count=1):
        wait_for(lambda: len(re.findall(pattern, self.log_text())) >= count,
                 what=f"{count} times {pattern!r} in the log")
