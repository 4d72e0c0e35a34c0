/* SPDX-License-Identifier: PostgreSQL
 *
 * A buffer that doubles. What it leaves behind when it moves is wiped: any text may hold a secret.
 */
#include "config.h"

#include "pgweir/base/strbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pw_strbuf_init(struct pw_strbuf *sb)
{
	memset(sb, 0, sizeof(*sb));
}

void pw_strbuf_fini(struct pw_strbuf *sb)
{
	free(sb->data);
	pw_strbuf_init(sb);
}

void pw_strbuf_wipe(struct pw_strbuf *sb)
{
	if (sb->data)
		explicit_bzero(sb->data, sb->cap);
	pw_strbuf_fini(sb);
}

void pw_strbuf_reset(struct pw_strbuf *sb)
{
	sb->len = 0;
	sb->has_failed = false;
	if (sb->data)
		sb->data[0] = '\0';
}

bool pw_strbuf_reserve(struct pw_strbuf *sb, size_t more)
{
	size_t want, cap;
	char *data;

	if (sb->has_failed || more > SIZE_MAX / 4 - sb->len)
		return false;
	want = sb->len + more + 1;
	if (want <= sb->cap)
		return true;
	cap = sb->cap ? sb->cap : 64;
	while (cap < want)
		cap *= 2;
	data = malloc(cap);
	if (!data) {
		sb->has_failed = true;
		return false;
	}
	if (sb->data) {
		memcpy(data, sb->data, sb->len);
		/* The old copy may hold a secret that a later wipe would miss. */
		explicit_bzero(sb->data, sb->len);
		free(sb->data);
	}
	data[sb->len] = '\0';
	sb->data = data;
	sb->cap = cap;
	return true;
}

bool pw_strbuf_reserve_exact(struct pw_strbuf *sb, size_t size)
{
	if (sb->data || size >= SIZE_MAX / 4)
		return false;
	sb->data = malloc(size + 1);
	sb->has_failed = !sb->data;
	if (!sb->data)
		return false;
	sb->data[0] = '\0';
	sb->cap = size + 1;
	return true;
}

void pw_strbuf_add(struct pw_strbuf *sb, const void *data, size_t len)
{
	bool has_room = len < sb->cap - sb->len && !sb->has_failed;

	if (!has_room && !pw_strbuf_reserve(sb, len)) {
		sb->has_failed = true;
		return;
	}
	if (len > 0)
		memcpy(sb->data + sb->len, data, len);
	sb->len += len;
	sb->data[sb->len] = '\0';
}

void pw_strbuf_add_char(struct pw_strbuf *sb, char c)
{
	pw_strbuf_add(sb, &c, 1);
}

void pw_strbuf_add_string(struct pw_strbuf *sb, const char *s)
{
	pw_strbuf_add(sb, s, strlen(s));
}

void pw_strbuf_add_u16(struct pw_strbuf *sb, uint16_t v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	pw_strbuf_add(sb, b, sizeof(b));
}

void pw_strbuf_add_u32(struct pw_strbuf *sb, uint32_t v)
{
	uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	pw_strbuf_add(sb, b, sizeof(b));
}

void pw_strbuf_vprintf(struct pw_strbuf *sb, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0 || !pw_strbuf_reserve(sb, (size_t)n)) {
		sb->has_failed = true;
		return;
	}
	vsnprintf(sb->data + sb->len, (size_t)n + 1, fmt, ap);
	sb->len += (size_t)n;
}

void pw_strbuf_printf(struct pw_strbuf *sb, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pw_strbuf_vprintf(sb, fmt, ap);
	va_end(ap);
}

void pw_strbuf_consume(struct pw_strbuf *sb, size_t len)
{
	if (len == 0)
		return;
	memmove(sb->data, sb->data + len, sb->len - len);
	sb->len -= len;
	sb->data[sb->len] = '\0';
}

char *pw_strbuf_steal(struct pw_strbuf *sb)
{
	char *data;

	if (!sb->data)
		pw_strbuf_add(sb, "", 0);
	data = sb->has_failed ? NULL : sb->data;
	if (!data)
		free(sb->data);
	pw_strbuf_init(sb);
	return data;
}
