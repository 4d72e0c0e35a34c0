# SPDX-License-Identifier: PostgreSQL
"""The PostgreSQL behind the poolers: made by contrib/pgcluster, shared by all tests of a run."""

import os
import shlex
import subprocess
import uuid
from pathlib import Path

import psycopg
from psycopg import sql

from lib.wait import wait_for
from lib.wire import RawConn

# Logins of the tests. How PostgreSQL asks for the password is in the name; see HBA below.
PASSWORDS = {
    "alice": "alice's secret",
    "bob": "bob-pw",
    "carol_md5": "carol-pw",
    "dave_plain": "dave-pw",
    "trusty": "trusty-pw",
    "tls_only": "tls-pw",
    "walter": "walter-pw",
}
REPLICATION_USER = "walter"

HBA = """
local all all scram-sha-256
host all trusty 127.0.0.1/32 trust
host all carol_md5 127.0.0.1/32 md5
host all dave_plain 127.0.0.1/32 password
hostssl all tls_only 127.0.0.1/32 scram-sha-256
hostnossl all tls_only 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""

# How pgcluster makes what lives no longer than a run: quickly, and small on the disk.
FOR_TESTS = ("--no-fsync", "--small")
ENV = "PW_PG_ENV"
TEMPLATE = "pw_template"


def repository():
    return Path(__file__).resolve().parent.parent.parent


def pgcluster(*args):
    done = subprocess.run([repository() / "contrib" / "pgcluster", *args], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stdout)


def start_cluster(directory, replicas=0):
    """Starts a cluster and says in the environment where it is, for the workers of xdist too."""
    pgcluster("start", str(directory), "--replicas", str(replicas), *FOR_TESTS)
    os.environ[ENV] = str(Path(directory) / "cluster.env")


class Postgres:
    def __init__(self, env_file):
        env = dict(part.split("=", 1) for part in shlex.split(Path(env_file).read_text()))
        self.env = env
        self.host = "127.0.0.1"
        self.port = int(env["PW_PG_PORT"])
        self.superuser = env["PW_PG_SUPERUSER"]
        self.password = env["PW_PG_PASSWORD"]
        self.socket_dir = env["PW_PG_SOCKET_DIR"]
        self.bin = Path(env["PW_PG_BIN"])
        self.data = Path(env["PW_PG_DIR"]) / "primary"
        self.admin = None

    def prepare(self, certs):
        """Roles, rules and TLS; once a run, before any test."""
        for name in ("server.crt", "server.key"):
            target = self.data / name
            target.write_bytes((certs / name).read_bytes())
            target.chmod(0o600)
        (self.data / "pg_hba.conf").write_text(HBA)
        with self.connect() as c:
            for user, password in PASSWORDS.items():
                kind = "md5" if user == "carol_md5" else "scram-sha-256"
                c.execute(sql.SQL("SET password_encryption = {}").format(kind))
                c.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(user)))
                c.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(user), password))
            c.execute(f"ALTER ROLE {REPLICATION_USER} REPLICATION")
            c.execute("ALTER SYSTEM SET ssl = on")
            c.execute("SELECT pg_reload_conf()")
            wait_for(lambda: c.execute("SHOW ssl").fetchone()[0] == "on")
            c.execute(f"DROP DATABASE IF EXISTS {TEMPLATE}")
            c.execute(f"CREATE DATABASE {TEMPLATE}")
        with self.connect(TEMPLATE) as c:
            c.execute("GRANT ALL ON SCHEMA public TO public")

    def connect(self, dbname="postgres", **kw):
        """A connection that goes around the pooler, as superuser unless told otherwise."""
        kw = {"user": self.superuser, "password": self.password, "autocommit": True, **kw}
        return psycopg.connect(host=self.host, port=self.port, dbname=dbname, **kw)

    def raw(self, user, dbname, password=None, **params):
        conn = RawConn(self.port, self.host)
        return conn.login(user, dbname, password or PASSWORDS.get(user), **params)

    def execute(self, text, args=None):
        """Runs one statement as superuser, returns its rows."""
        if self.admin is None or self.admin.closed:
            self.admin = self.connect(application_name="harness")
        cursor = self.admin.execute(text, args)
        return cursor.fetchall() if cursor.description else []

    def create_database(self):
        name = "t_" + uuid.uuid4().hex[:12]
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(TEMPLATE)))
        return name

    def drop_database(self, name):
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
            sql.Identifier(name)))

    def backends(self, dbname, user=None):
        """Process ids of the backends of a database, oldest first."""
        rows = self.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = %s AND backend_type = 'client backend' AND (%s::text IS NULL OR usename = %s) ORDER BY backend_start", (dbname, user, user))
        return [row[0] for row in rows]

    def walsenders(self, name):
        """Process ids of the replication sessions with that application_name."""
        rows = self.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'"
                            " AND application_name = %s", (name,))
        return [row[0] for row in rows]

    def wait_walsenders(self, name, count):
        wait_for(lambda: len(self.walsenders(name)) == count,
                 what=f"{count} walsenders {name}, there are {len(self.walsenders(name))}")

    def wait_backends(self, dbname, count, user=None):
        wait_for(lambda: len(self.backends(dbname, user)) == count,
                 what=f"{count} backends in {dbname}, there are {len(self.backends(dbname, user))}")

    def state_of(self, pid):
        rows = self.execute("SELECT state, query FROM pg_stat_activity WHERE pid = %s", (pid,))
        return rows[0] if rows else None

    def wait_running(self, dbname, text, count=1):
        """Waits until that many backends run a query containing text."""
        def running():
            rows = self.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND state = 'active'"
                " AND position(%s in query) > 0", (dbname, text))
            return [r[0] for r in rows] if len(rows) >= count else None
        return wait_for(running, what=f"{count} running {text!r}")
