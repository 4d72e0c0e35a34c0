# SPDX-License-Identifier: PostgreSQL
"""Reading what the console shows."""

from lib.pooler import ADMIN


def shown(pooler, what, user=ADMIN):
    return pooler.console("SHOW " + what, user)


def by(rows, **keys):
    found = [r for r in rows if all(r[k] == v for k, v in keys.items())]
    assert len(found) == 1, rows
    return found[0]
