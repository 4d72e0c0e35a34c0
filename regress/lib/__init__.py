# SPDX-License-Identifier: PostgreSQL
"""What the regress tests are written with."""
