# SPDX-License-Identifier: PostgreSQL
"""The first bytes of a connection: encryption requests, versions, parameters, broken packets."""

import struct

import pytest

from lib.check import assert_refused
from lib.wire import GSSENC_REQUEST, PgError, RawConn, V3_0, V3_2, query, startup


def good_startup(pooler, **more):
    return startup({"user": "alice", "database": pooler.db, **more})


def test_ssl_request_is_declined(pooler):
    conn = pooler.raw(login=False)
    assert conn.ask_tls() == b"N"
    conn.login("alice", pooler.db)
    assert conn.query("SELECT 1").value() == "1"


def test_gssenc_request_is_declined(pooler):
    conn = pooler.raw(login=False)
    conn.send(GSSENC_REQUEST)
    assert conn.read_exactly(1) == b"N"
    assert conn.ask_tls() == b"N"
    conn.login("alice", pooler.db)
    assert conn.query("SELECT 2").value() == "2"


def test_version_2_is_refused(pooler):
    conn = pooler.raw(login=False)
    body = struct.pack("!i", 0x00020000) + b"alice".ljust(292, b"\0")
    conn.send(struct.pack("!i", len(body) + 4) + body)
    assert_refused(conn.expect_fatal(), "old V2 protocol not supported")


@pytest.mark.parametrize("code", [0x00040000, 0x12345678, 1])
def test_unknown_request_code_is_refused(pooler, code):
    conn = pooler.raw(login=False)
    conn.send(startup({"user": "alice"}, code))
    error = conn.expect_fatal()
    assert error.message.startswith("bad packet header: '"), error
    assert error.code == "08P01"


@pytest.mark.pgweir_only
@pytest.mark.parametrize("version, agreed", [
    (0x00030001, {V3_0}), (V3_2, {V3_0, V3_2}), (0x0003FFFF, {V3_0, V3_2})])
def test_newer_minor_version_is_negotiated_down(pooler, version, agreed):
    conn = pooler.raw(login=False)
    conn.login("alice", pooler.db, version=version)
    first = conn.login_messages[0]
    if first.kind != "v":
        assert version in agreed
    else:
        newest, options = struct.unpack_from("!ii", first.body)
        assert newest in agreed and options == 0
    assert conn.query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
def test_protocol_extensions_are_listed_and_declined(pooler):
    conn = pooler.raw(login=False)
    conn.login("alice", pooler.db, **{"_pq_.first": "1", "_pq_.second": "2"})
    first = conn.login_messages[0]
    assert first.kind == "v"
    version, count = struct.unpack_from("!ii", first.body)
    assert version in (V3_0, V3_2) and count == 2
    assert sorted(first.body[8:].rstrip(b"\0").split(b"\0")) == [b"_pq_.first", b"_pq_.second"]
    assert [m.kind for m in conn.login_messages].count("v") == 1


def test_no_negotiation_at_version_3_0(pooler):
    conn = pooler.raw()
    assert "v" not in [m.kind for m in conn.login_messages]


def test_user_is_required(pooler):
    conn = pooler.raw(login=False)
    conn.send(startup({"database": pooler.db}))
    assert_refused(conn.expect_fatal(), "no username supplied")


def test_database_defaults_to_user(make_pooler, pg, db):
    pooler = make_pooler(databases={"alice": {"host": pg.host, "port": pg.port, "dbname": db}})
    conn = pooler.raw(login=False)
    conn.login("alice")
    assert conn.query("SELECT current_database()").value() == db


def test_unknown_database(pooler):
    with pytest.raises(PgError) as e:
        pooler.raw(dbname="nowhere")
    assert_refused(e.value, "no such database: nowhere")


def test_unsupported_startup_parameter(pooler):
    with pytest.raises(PgError) as e:
        pooler.raw(work_mem="1MB")
    assert_refused(e.value, "unsupported startup parameter: work_mem")


def test_ignored_startup_parameter(make_pooler):
    pooler = make_pooler(ignore_startup_parameters="extra_float_digits, work_mem")
    conn = pooler.raw(work_mem="1MB", extra_float_digits="3")
    assert conn.query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
@pytest.mark.parametrize("options, name, value", [
    ("-c DateStyle=German", "datestyle", "German, DMY"),
    ("-cTimeZone=Asia/Tokyo", "timezone", "Asia/Tokyo"),
    ("--application_name=opt", "application_name", "opt"),
    (r"-c application_name=two\ words", "application_name", "two words"),
    ("-c application_name=a --application_name=b", "application_name", "b"),
])
def test_options_are_understood(pooler, options, name, value):
    conn = pooler.raw(options=options)
    assert conn.query(f"SHOW {name}").value() == value


@pytest.mark.pgweir_only
def test_options_with_an_unsupported_name(pooler):
    with pytest.raises(PgError) as e:
        pooler.raw(options="-c work_mem=1MB")
    assert_refused(e.value, "unsupported startup parameter in options: work_mem")


@pytest.mark.pgweir_only
def test_options_of_another_form(pooler):
    with pytest.raises(PgError) as e:
        pooler.raw(options="-h")
    assert_refused(e.value, "unsupported options startup parameter: only '-c config=val' and "
                            "'--config=val' are allowed")


@pytest.mark.pgweir_only
def test_options_ignored_by_name(make_pooler):
    pooler = make_pooler(ignore_startup_parameters="work_mem")
    conn = pooler.raw(options="-c work_mem=1MB -c application_name=x")
    assert conn.query("SHOW application_name").value() == "x"


def test_welcome_has_what_postgresql_says(pooler, pg):
    direct = pg.raw("alice", pooler.db)
    conn = pooler.raw()
    assert conn.params == direct.params
    assert len(conn.key) == 8
    assert conn.auth_requests() == [0]
    direct.close()


@pytest.mark.pgweir_only
def test_startup_split_at_each_byte(pooler):
    packet = good_startup(pooler, application_name="cut")
    for at in range(1, len(packet)):
        conn = pooler.raw(login=False)
        conn.send(packet, cut=at)
        conn.authenticate("alice", None)
        if at % 10 == 1:
            assert conn.query("SHOW application_name").value() == "cut"
        conn.close()


@pytest.mark.pgweir_only
def test_everything_one_byte_at_a_time(pooler):
    conn = pooler.raw(login=False)
    conn.login("alice", pooler.db, cut="bytes")
    assert conn.query("SELECT repeat('x', 30)", cut="bytes").value() == "x" * 30


def test_query_in_the_same_packet_as_startup(pooler):
    conn = pooler.raw(login=False)
    conn.send(good_startup(pooler) + query("SELECT 'early'"))
    conn.authenticate("alice", None)
    assert conn.result().value() == "early"


def test_startup_without_terminator(pooler):
    conn = pooler.raw(login=False)
    body = struct.pack("!i", V3_0) + b"user\0alice"
    conn.send(struct.pack("!i", len(body) + 4) + body)
    assert conn.expect_fatal().code == "08P01"


@pytest.mark.pgweir_only
@pytest.mark.parametrize("length", [0, 3, 7, -1, 10_001, 2**31 - 1])
def test_absurd_startup_length_ends_the_connection(pooler, length):
    """More than PostgreSQL itself would read before it knows who speaks."""
    conn = pooler.raw(login=False)
    conn.send(struct.pack("!ii", length, V3_0))
    conn.expect_refusal()
    assert pooler.raw().query("SELECT 1").value() == "1"


def test_client_that_says_nothing_harms_nobody(pooler):
    silent = [RawConn(pooler.port) for _ in range(5)]
    assert pooler.raw().query("SELECT 1").value() == "1"
    for conn in silent:
        conn.close()
    assert pooler.raw().query("SELECT 1").value() == "1"


def test_client_login_timeout(make_pooler):
    pooler = make_pooler(client_login_timeout=1)
    conn = pooler.raw(login=False)
    assert_refused(conn.expect_fatal(), "client_login_timeout")


def test_long_names(pooler):
    with pytest.raises(PgError) as e:
        pooler.raw(user="u" * 200)
    assert e.value.severity == "FATAL"
    with pytest.raises(PgError) as e:
        pooler.raw(dbname="d" * 200)
    assert e.value.severity == "FATAL"
    assert pooler.raw().query("SELECT 1").value() == "1"


def test_unix_socket(pooler):
    conn = pooler.raw(unix=True)
    assert conn.query("SELECT 1").value() == "1"
