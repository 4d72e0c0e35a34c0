/* SPDX-License-Identifier: PostgreSQL
 *
 * Fills errors, and ends the process for an assertion that does not hold.
 */
#include "config.h"

#include "pgweir/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pgweir/base/assert.h"

static const char *const severity_names[] = {
    [PW_SEVERITY_FATAL] = "FATAL",
    [PW_SEVERITY_ERROR] = "ERROR",
    [PW_SEVERITY_WARNING] = "WARNING",
    [PW_SEVERITY_NOTICE] = "NOTICE",
};

void pw_error_vset(struct pw_error *err, const char *sqlstate, const char *fmt, va_list ap)
{
	pw_assert(strlen(sqlstate) == 5);
	memset(err, 0, sizeof(*err));
	memcpy(err->sqlstate, sqlstate, sizeof(err->sqlstate));
	err->severity = PW_SEVERITY_FATAL;
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
}

void pw_error_set(struct pw_error *err, const char *sqlstate, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pw_error_vset(err, sqlstate, fmt, ap);
	va_end(ap);
}

void pw_error_detail(struct pw_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->detail, sizeof(err->detail), fmt, ap);
	va_end(ap);
}

void pw_error_hint(struct pw_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
}

const char *pw_severity_name(enum pw_severity severity)
{
	return severity_names[severity];
}

void pw_assert_failed(const char *file, int line, const char *claim)
{
	fprintf(stderr, "pgweir: %s:%d: assert failed: %s\n", file, line, claim);
	fflush(stderr);
	abort();
}
