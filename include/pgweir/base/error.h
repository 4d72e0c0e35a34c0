/* SPDX-License-Identifier: PostgreSQL
 *
 * What a person is told when pgweir refuses something: filled where the fact is known, formatted
 * for the wire or the log in one place each. A plain value: the caller owns it, any thread.
 */
#ifndef PGWEIR_BASE_ERROR_H
#define PGWEIR_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

#include "pgweir/base/sqlstate.h"
#include "pgweir/base/status.h"

enum pw_severity {
	PW_SEVERITY_FATAL, /* the connection closes after it */
	PW_SEVERITY_ERROR,
	PW_SEVERITY_WARNING,
	PW_SEVERITY_NOTICE,
};

struct pw_error {
	char sqlstate[6];
	enum pw_severity severity;
	char message[256];
	char detail[256];
	char hint[192];
};

/* Starts the error afresh: FATAL, no detail, no hint. Over-long text is cut. */
void pw_error_set(struct pw_error *err, const char *sqlstate, const char *fmt, ...) PW_PRINTF(3, 4);
void pw_error_vset(struct pw_error *err, const char *sqlstate, const char *fmt, va_list ap)
    PW_PRINTF(3, 0);
void pw_error_detail(struct pw_error *err, const char *fmt, ...) PW_PRINTF(2, 3);
void pw_error_hint(struct pw_error *err, const char *fmt, ...) PW_PRINTF(2, 3);

/* The word PostgreSQL uses for a severity ("FATAL"). */
const char *pw_severity_name(enum pw_severity severity);

#endif
