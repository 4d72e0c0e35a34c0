/* SPDX-License-Identifier: PostgreSQL
 *
 * Builds protocol messages in a string buffer. Pure functions, any thread. Source: PostgreSQL 15
 * docs, 55.7 and 55.8.
 */
#ifndef PGWEIR_PROTO_WRITER_H
#define PGWEIR_PROTO_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/error.h"
#include "pgweir/base/strbuf.h"

enum {
	PW_AUTH_REQ_OK = 0,
	PW_AUTH_REQ_CLEARTEXT = 3,
	PW_AUTH_REQ_MD5 = 5,
	PW_AUTH_REQ_SASL = 10,
	PW_AUTH_REQ_SASL_CONTINUE = 11,
	PW_AUTH_REQ_SASL_FINAL = 12,
};

/* Begins a message and returns where; pw_writer_end() fills in the length. type 0 = a message of
 * the startup kind, without type byte. */
size_t pw_writer_begin(struct pw_strbuf *out, char type);
void pw_writer_end(struct pw_strbuf *out, size_t begin);

/* One whole message with the given body. */
void pw_write_message(struct pw_strbuf *out, char type, const void *body, size_t len);
void pw_write_auth(struct pw_strbuf *out, uint32_t code, const void *data, size_t len);
void pw_write_parameter_status(struct pw_strbuf *out, const char *name, const char *value);
void pw_write_ready(struct pw_strbuf *out, char transaction_status);
void pw_write_query(struct pw_strbuf *out, const char *sql);
/* ErrorResponse, or NoticeResponse for severities below ERROR: S, V, C, M and D, H if set. */
void pw_write_error(struct pw_strbuf *out, const struct pw_error *err);
void pw_write_command_complete(struct pw_strbuf *out, const char *tag);
/* minor_wanted is what the server settles on (0 for 3.0); `options` holds n zero-terminated names
 * one after another. */
void pw_write_negotiate(struct pw_strbuf *out, uint32_t version, const char *options,
			size_t options_len, uint32_t n_options);

/* The fields of an ErrorResponse or NoticeResponse body; pointers into it, "" = absent. Tolerates
 * any subset of fields (a hostile server may send none). The severity is the one that is in no
 * language (V), or where there is none, as from servers before 9.6, the other (S). */
struct pw_error_fields {
	const char *severity, *sqlstate, *message, *detail, *hint, *routine, *position;
};
void pw_parse_error_fields(const uint8_t *body, size_t len, struct pw_error_fields *out);

#endif
