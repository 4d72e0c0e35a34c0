# SPDX-License-Identifier: PostgreSQL
"""A primary and two replicas of a test's own, and what may befall them."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from lib.pg import FOR_TESTS, Postgres, pgcluster
from lib.wait import wait_for
from lib.wire import RawConn

MONITOR = "watcher"


class Node:
    def __init__(self, cluster, name, port):
        self.cluster, self.name, self.port = cluster, name, port
        self.data = cluster.directory / name

    def __str__(self):
        return f"127.0.0.1:{self.port}"

    def pg_ctl(self, *args):
        done = subprocess.run([self.cluster.pg.bin / "pg_ctl", "-D", self.data, *args], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout

    def run(self, program, *args):
        """One of PostgreSQL's that talks to another node as superuser; returns what it said."""
        env = dict(os.environ, PGPASSWORD=self.cluster.pg.password)
        done = subprocess.run([self.cluster.pg.bin / program, *args], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def pid(self):
        return int((self.data / "postmaster.pid").read_text().split("\n")[0])

    def kill(self):
        """As by a power cut: all of its processes at once."""
        pid = self.pid()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(pid, signal.SIGKILL)
        for child in children:
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(lambda: not any(Path(f"/proc/{p}/stat").exists() for p in [pid, *children]))

    def start(self, command="start", **settings):
        """With settings that count until it is stopped, and more than those of its files."""
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self.pg_ctl("-w", "-l", str(self.cluster.directory / "log" / f"{self.name}.again"),
                    *(["-o", options] if options else []), command)

    def restart(self):
        self.start("restart")

    def promote(self):
        self.pg_ctl("-w", "promote")

    def connect(self, dbname="postgres", **kw):
        kw = {"host": "127.0.0.1", "user": self.cluster.pg.superuser,
              "password": self.cluster.pg.password, "autocommit": True, **kw}
        return psycopg.connect(port=self.port, dbname=dbname, **kw)

    def connect_by_socket(self, dbname="postgres"):
        """Where nobody else knows the way."""
        return self.connect(dbname, host=self.cluster.pg.socket_dir)

    def raw(self, dbname="postgres"):
        conn = RawConn(self.port)
        conn.login("alice", dbname, password="alice's secret")
        return conn

    def execute(self, text, dbname="postgres"):
        with self.connect(dbname) as conn:
            cursor = conn.execute(text)
            return cursor.fetchall() if cursor.description else []

    def follow(self, other):
        """Becomes, or stays, a standby: of that one from now on."""
        conninfo = self.cluster.conninfo(other)
        (self.data / "standby.signal").touch()
        with open(self.data / "postgresql.auto.conf", "a", encoding="utf-8") as f:
            f.write(f"primary_conninfo = '{conninfo}'\nprimary_slot_name = ''\n"
                    "recovery_target_timeline = 'latest'\n")

    def copy(self, other):
        """Made anew from that one, whose standby it is when it starts."""
        conf = (self.data / "pgcluster.conf").read_text()
        shutil.rmtree(self.data)
        self.run("pg_basebackup", "-D", self.data, "-h", "127.0.0.1", "-p", str(other.port), "-U",
                 self.cluster.pg.superuser, "-c", "fast", "-X", "stream")
        (self.data / "pgcluster.conf").write_text(conf)
        self.follow(other)

    def rewind(self, other):
        """As copy(), but with what it has where that is the same; it does not run, and may have
        been killed. Returns what pg_rewind said."""
        conf = (self.data / "pgcluster.conf").read_text()
        # Before PostgreSQL 16 it is the last checkpoint that says which timeline that one is on.
        other.execute("CHECKPOINT")
        said = self.run("pg_rewind", "-D", self.data, "--source-server", f"host=127.0.0.1 port={other.port} "
                        f"user={self.cluster.pg.superuser} dbname=postgres")
        (self.data / "pgcluster.conf").write_text(conf)
        self.follow(other)
        return said


def make_template(directory):
    """What every cluster is a copy of: to copy it takes a third of the time to make it."""
    pgcluster("start", str(directory), "--replicas", "2", *FOR_TESTS)
    pgcluster("stop", str(directory))
    return directory


class Cluster:
    def __init__(self, template, directory):
        self.directory = directory
        pgcluster("copy", str(template), str(directory))
        try:
            pgcluster("start", str(directory), "--replicas", "2", *FOR_TESTS)
        except RuntimeError:
            # Some of them may run.
            pgcluster("drop", str(directory))
            raise
        self.pg = Postgres(directory / "cluster.env")
        self.nodes = [Node(self, "primary", self.pg.port)]
        for i in (1, 2):
            self.nodes.append(Node(self, f"replica{i}", int(self.pg.env[f"PW_PG_REPLICA{i}_PORT"])))
        with self.nodes[0].connect() as conn:
            conn.execute(f"CREATE ROLE {MONITOR} LOGIN PASSWORD 'watching' IN ROLE pg_monitor")
            conn.execute("CREATE ROLE alice LOGIN PASSWORD 'alice''s secret'")
            conn.execute("CREATE TABLE t (v int); GRANT ALL ON t TO public")
        self.catch_up()

    def conninfo(self, node):
        """As a standby of it has it."""
        for line in (self.nodes[1].data / "pgcluster.conf").read_text().splitlines():
            if line.startswith("primary_conninfo"):
                value = line.split("=", 1)[1].strip().strip("'").replace("''", "'")
                return " ".join(f"port={node.port}" if p.startswith("port=") else p
                                for p in value.split(" "))
        raise AssertionError("no primary_conninfo")

    def catch_up(self, primary=None, replicas=None):
        """Until the replicas have replayed what the primary has flushed."""
        primary = primary or self.nodes[0]
        flushed = primary.execute("SELECT pg_current_wal_flush_lsn()")[0][0]
        for node in replicas or self.nodes[1:]:
            wait_for(lambda n=node: n.execute(
                f"SELECT pg_last_wal_replay_lsn() >= '{flushed}'")[0][0])

    def stop(self):
        for node in self.nodes:
            try:
                node.pg_ctl("-m", "immediate", "stop")
            except AssertionError:
                pass
        pgcluster("drop", str(self.directory))
