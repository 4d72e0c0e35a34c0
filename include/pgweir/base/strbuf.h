/* SPDX-License-Identifier: PostgreSQL
 *
 * A growing byte buffer with a sticky failure: append freely, ask once at the end. `data` is
 * always followed by a zero byte once anything was appended. The holder owns it. One thread.
 */
#ifndef PGWEIR_BASE_STRBUF_H
#define PGWEIR_BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/status.h"

struct pw_strbuf {
	char *data;
	size_t len;
	size_t cap;
	bool has_failed; /* no memory at some append; contents are then incomplete */
};

#define PW_STRBUF_INIT                                                                             \
	{                                                                                          \
		NULL, 0, 0, false                                                                  \
	}

void pw_strbuf_init(struct pw_strbuf *sb);
void pw_strbuf_fini(struct pw_strbuf *sb);
/* Overwrites the contents before freeing them. */
void pw_strbuf_wipe(struct pw_strbuf *sb);
/* Forgets the contents, keeps the memory. */
void pw_strbuf_reset(struct pw_strbuf *sb);

/* Makes room for `more` further bytes. */
PW_MUSTCHECK bool pw_strbuf_reserve(struct pw_strbuf *sb, size_t more);

/* The same for an empty buffer, without the slack that growing leaves. */
PW_MUSTCHECK bool pw_strbuf_reserve_exact(struct pw_strbuf *sb, size_t size);

void pw_strbuf_add(struct pw_strbuf *sb, const void *data, size_t len);
void pw_strbuf_add_char(struct pw_strbuf *sb, char c);
void pw_strbuf_add_string(struct pw_strbuf *sb, const char *s);
/* Network byte order, as every integer of the PostgreSQL protocol. */
void pw_strbuf_add_u16(struct pw_strbuf *sb, uint16_t v);
void pw_strbuf_add_u32(struct pw_strbuf *sb, uint32_t v);
void pw_strbuf_printf(struct pw_strbuf *sb, const char *fmt, ...) PW_PRINTF(2, 3);
void pw_strbuf_vprintf(struct pw_strbuf *sb, const char *fmt, va_list ap) PW_PRINTF(2, 0);
/* Removes the first `len` bytes. */
void pw_strbuf_consume(struct pw_strbuf *sb, size_t len);
/* Hands the zero-terminated memory to the caller (free()); NULL where something failed. */
char *pw_strbuf_steal(struct pw_strbuf *sb);

#endif
