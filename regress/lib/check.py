# SPDX-License-Identifier: PostgreSQL
"""Checks that many tests share."""

from lib.pooler import is_pgweir


def assert_refused(error, text, code="08P01"):
    """An error of the pooler's own: FATAL, its SQLSTATE, and (pgweir) the field V."""
    assert error.severity == "FATAL", error
    assert error.message == text, error
    assert error.code == code, error
    if is_pgweir():
        assert error.fields.get("V") == "FATAL", error.fields
