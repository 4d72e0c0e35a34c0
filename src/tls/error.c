/* SPDX-License-Identifier: PostgreSQL
 *
 * How failures are put into words. Any thread.
 */
#include "config.h"

#include "tls_priv.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <string.h>

enum pw_status pw_tls_build_fail(struct pw_tls_build *build, const char *fmt, ...)
{
	va_list ap;

	pw_strbuf_add_string(build->why, "TLS setup failed: ");
	va_start(ap, fmt);
	pw_strbuf_vprintf(build->why, fmt, ap);
	va_end(ap);
	return PW_EINVAL;
}

const char *pw_tls_reason(void)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_reason_error_string(error);

	if (!reason && ERR_SYSTEM_ERROR(error))
		reason = strerror(ERR_GET_REASON(error));
	ERR_clear_error();
	return reason ? reason : "unknown error";
}
