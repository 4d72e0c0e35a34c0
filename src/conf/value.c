/* SPDX-License-Identifier: PostgreSQL
 *
 * The kinds of values: how each is read, shown and described. A kind is one row of `kinds`; the
 * tables of keys (settings.c, keys.c) only name kinds. Pure functions.
 */
#include "config.h"

#include "conf_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define US_PER_SECOND 1000000

struct kind {
	size_t size;
	int unset_byte; /* fills a field that has no value */
	bool (*parse)(const struct pw_conf_key *key, const char *text, struct pw_conf_arena *arena,
		      void *field);
	bool (*show)(const struct pw_conf_key *key, const void *field, struct pw_strbuf *out);
	void (*expects)(const struct pw_conf_key *key, struct pw_strbuf *out);
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The whole text is one number within the bounds. strtoll alone would take leading blanks. */
static bool parse_bounded(const char *text, int base, const char *min, const char *max,
			  long long *out)
{
	const char *first = text + (text[0] == '-' || text[0] == '+');
	char *end;
	long long n;

	if (!is_digit(*first))
		return false;
	errno = 0;
	n = strtoll(text, &end, base);
	if (errno != 0 || *end != '\0')
		return false;
	if (min && n < strtoll(min, NULL, 0))
		return false;
	if (max && n > strtoll(max, NULL, 0))
		return false;
	*out = n;
	return true;
}

static bool parse_int(const struct pw_conf_key *key, const char *text,
		      struct pw_conf_arena *arena PW_UNUSED, void *field)
{
	long long n;

	if (!parse_bounded(text, 0, key->min, key->max, &n))
		return false;
	*(int *)field = (int)n;
	return true;
}

static bool parse_uint(const struct pw_conf_key *key, const char *text,
		       struct pw_conf_arena *arena PW_UNUSED, void *field)
{
	long long n;

	if (!parse_bounded(text, 0, key->min, key->max, &n))
		return false;
	*(unsigned *)field = (unsigned)n;
	return true;
}

static bool parse_bool(const struct pw_conf_key *key PW_UNUSED, const char *text,
		       struct pw_conf_arena *arena PW_UNUSED, void *field)
{
	long long n;

	if (!parse_bounded(text, 0, NULL, NULL, &n))
		return false;
	*(bool *)field = n != 0;
	return true;
}

/* By hand and not with strtod, which depends on the locale and knows "nan" and "0x1p3". */
static bool parse_time(const struct pw_conf_key *key, const char *text,
		       struct pw_conf_arena *arena PW_UNUSED, void *field)
{
	uint64_t max_us = strtoull(key->max, NULL, 10) * US_PER_SECOND;
	uint64_t min_us = strtoull(key->min, NULL, 10) * US_PER_SECOND;
	uint64_t us = 0, unit = US_PER_SECOND;
	const char *p = text;

	if (!is_digit(p[0]) && !(p[0] == '.' && is_digit(p[1])))
		return false;
	for (; is_digit(*p) && us <= max_us; p++)
		us = us * 10 + (uint64_t)(*p - '0') * US_PER_SECOND;
	if (*p == '.')
		p++;
	for (; is_digit(*p); p++) {
		unit /= 10;
		us += (uint64_t)(*p - '0') * unit;
	}
	if (*p != '\0' || us < min_us || us > max_us)
		return false;
	*(uint64_t *)field = us;
	return true;
}

struct unit {
	const char *name;
	int64_t size;
};

/* From small to large, as PostgreSQL writes them (docs, "Parameter Names and Values"). */
static const struct unit time_units[] = {{"us", 1},
					 {"ms", 1000},
					 {"s", US_PER_SECOND},
					 {"min", 60 * INT64_C(1000000)},
					 {"h", 3600 * INT64_C(1000000)},
					 {"d", 86400 * INT64_C(1000000)},
					 {NULL, 0}};
static const struct unit byte_units[] = {{"B", 1},
					 {"kB", 1024},
					 {"MB", 1024 * 1024},
					 {"GB", 1024 * 1024 * 1024},
					 {"TB", 1024 * 1024 * INT64_C(1048576)},
					 {NULL, 0}};

static int64_t unit_size(const struct unit *units, const char *name)
{
	for (; units->name; units++) {
		if (strcmp(units->name, name) == 0)
			return units->size;
	}
	return 0;
}

/* "500ms": digits, perhaps a fraction, a unit. Only 0 does without. */
static bool parse_measure(const char *text, const struct unit *units, int64_t *out)
{
	int64_t whole = 0, fraction = 0, scale = 1, size;
	const char *p = text;

	if (!is_digit(*p))
		return false;
	for (; is_digit(*p); p++) {
		if (whole > INT64_MAX / 10 - 1)
			return false;
		whole = whole * 10 + (*p - '0');
	}
	if (*p == '.')
		p++;
	for (; is_digit(*p); p++) {
		if (scale < US_PER_SECOND) {
			fraction = fraction * 10 + (*p - '0');
			scale *= 10;
		}
	}
	while (*p == ' ')
		p++;
	size = *p == '\0' && whole == 0 && fraction == 0 ? 1 : unit_size(units, p);
	if (size == 0 || whole > (INT64_MAX - size) / size)
		return false;
	*out = whole * size + fraction * size / scale;
	return true;
}

static bool parse_bounded_measure(const struct pw_conf_key *key, const char *text,
				  const struct unit *units, int64_t *out)
{
	int64_t value, min, max;

	if (!parse_measure(text, units, &value) ||
	    (parse_measure(key->min, units, &min) && value < min) ||
	    (parse_measure(key->max, units, &max) && value > max))
		return false;
	*out = value;
	return true;
}

static bool parse_duration(const struct pw_conf_key *key, const char *text,
			   struct pw_conf_arena *arena PW_UNUSED, void *field)
{
	return parse_bounded_measure(key, text, time_units, field);
}

static bool parse_bytes(const struct pw_conf_key *key, const char *text,
			struct pw_conf_arena *arena PW_UNUSED, void *field)
{
	return parse_bounded_measure(key, text, byte_units, field);
}

static bool parse_string(const struct pw_conf_key *key, const char *text,
			 struct pw_conf_arena *arena, void *field)
{
	if (key->max && strlen(text) > strtoull(key->max, NULL, 10))
		return false;
	*(const char **)field = pw_conf_arena_copy(arena, text);
	return true;
}

static bool parse_choice(const struct pw_conf_key *key, const char *text,
			 struct pw_conf_arena *arena PW_UNUSED, void *field)
{
	size_t len = strlen(text);
	int index = 0;

	for (const char *word = key->min;; index++) {
		size_t word_len = strcspn(word, "|");

		if (word_len == len && strncasecmp(word, text, len) == 0) {
			*(int *)field = index;
			return true;
		}
		if (word[word_len] == '\0')
			return false;
		word += word_len + 1;
	}
}

static bool parse_number(const struct pw_conf_key *key, const char *text,
			 struct pw_conf_arena *arena PW_UNUSED, void *field)
{
	long long n;

	if (!parse_bounded(text, 10, key->min, key->max, &n))
		return false;
	*(int *)field = (int)n;
	return true;
}

static bool parse_seconds(const struct pw_conf_key *key, const char *text,
			  struct pw_conf_arena *arena PW_UNUSED, void *field)
{
	long long n;

	if (!parse_bounded(text, 10, key->min, key->max, &n))
		return false;
	*(int64_t *)field = n < 0 ? -1 : (int64_t)n * US_PER_SECOND;
	return true;
}

static bool show_int(const struct pw_conf_key *key PW_UNUSED, const void *field,
		     struct pw_strbuf *out)
{
	pw_strbuf_printf(out, "%d", *(const int *)field);
	return true;
}

static bool show_uint(const struct pw_conf_key *key PW_UNUSED, const void *field,
		      struct pw_strbuf *out)
{
	pw_strbuf_printf(out, "%u", *(const unsigned *)field);
	return true;
}

static bool show_bool(const struct pw_conf_key *key PW_UNUSED, const void *field,
		      struct pw_strbuf *out)
{
	pw_strbuf_add_char(out, *(const bool *)field ? '1' : '0');
	return true;
}

static bool show_time(const struct pw_conf_key *key PW_UNUSED, const void *field,
		      struct pw_strbuf *out)
{
	pw_strbuf_printf(out, "%g", (double)*(const uint64_t *)field / US_PER_SECOND);
	return true;
}

static bool show_string(const struct pw_conf_key *key PW_UNUSED, const void *field,
			struct pw_strbuf *out)
{
	const char *text = *(const char *const *)field;

	if (!text)
		return false;
	pw_strbuf_add_string(out, text);
	return true;
}

static bool show_choice(const struct pw_conf_key *key, const void *field, struct pw_strbuf *out)
{
	const char *word = key->min;

	if (*(const int *)field < 0)
		return false;
	for (int i = *(const int *)field; i > 0 && *word != '\0'; i--) {
		word += strcspn(word, "|");
		word += *word == '|';
	}
	pw_strbuf_add(out, word, strcspn(word, "|"));
	return true;
}

static bool show_number(const struct pw_conf_key *key, const void *field, struct pw_strbuf *out)
{
	return *(const int *)field >= 0 && show_int(key, field, out);
}

static bool show_seconds(const struct pw_conf_key *key PW_UNUSED, const void *field,
			 struct pw_strbuf *out)
{
	int64_t us = *(const int64_t *)field;

	if (us < 0)
		return false;
	pw_strbuf_printf(out, "%lld", (long long)(us / US_PER_SECOND));
	return true;
}

/* In the largest unit that it is a multiple of. */
static bool show_measure(const struct unit *units, int64_t value, struct pw_strbuf *out)
{
	const struct unit *best = units;

	if (value < 0)
		return false;
	for (; value > 0 && units->name; units++) {
		if (value % units->size == 0)
			best = units;
	}
	pw_strbuf_printf(out, "%lld%s", (long long)(value / best->size), value ? best->name : "");
	return true;
}

static bool show_duration(const struct pw_conf_key *key PW_UNUSED, const void *field,
			  struct pw_strbuf *out)
{
	return show_measure(time_units, *(const int64_t *)field, out);
}

static bool show_bytes(const struct pw_conf_key *key PW_UNUSED, const void *field,
		       struct pw_strbuf *out)
{
	return show_measure(byte_units, *(const int64_t *)field, out);
}

static void expects_number(const struct pw_conf_key *key, struct pw_strbuf *out)
{
	pw_strbuf_printf(out, "a whole number from %s to %s", key->min, key->max);
}

static void expects_bool(const struct pw_conf_key *key PW_UNUSED, struct pw_strbuf *out)
{
	pw_strbuf_add_string(out, "0 (off) or 1 (on)");
}

static void expects_time(const struct pw_conf_key *key, struct pw_strbuf *out)
{
	pw_strbuf_printf(out, "a number of seconds from %s to %s", key->min, key->max);
}

static void expects_seconds(const struct pw_conf_key *key, struct pw_strbuf *out)
{
	pw_strbuf_printf(out, "a whole number of seconds from %s to %s", key->min, key->max);
}

static void expects_duration(const struct pw_conf_key *key, struct pw_strbuf *out)
{
	pw_strbuf_printf(out, "a time from %s to %s, as 500ms, 2s, 1min, 1h", key->min, key->max);
}

static void expects_bytes(const struct pw_conf_key *key, struct pw_strbuf *out)
{
	pw_strbuf_printf(out, "an amount from %s to %s, as 64kB, 16MB, 1GB", key->min, key->max);
}

static void expects_string(const struct pw_conf_key *key, struct pw_strbuf *out)
{
	pw_strbuf_add_string(out, "text");
	if (key->max)
		pw_strbuf_printf(out, " of at most %s bytes", key->max);
}

static void expects_choice(const struct pw_conf_key *key, struct pw_strbuf *out)
{
	pw_strbuf_add_string(out, "one of ");
	for (const char *p = key->min; *p != '\0'; p++) {
		if (*p == '|')
			pw_strbuf_add_string(out, ", ");
		else
			pw_strbuf_add_char(out, *p);
	}
}

static const struct kind kinds[PW_KIND_COUNT] = {
    [PW_KIND_INT] = {sizeof(int), 0, parse_int, show_int, expects_number},
    [PW_KIND_UINT] = {sizeof(unsigned), 0, parse_uint, show_uint, expects_number},
    [PW_KIND_BOOL] = {sizeof(bool), 0, parse_bool, show_bool, expects_bool},
    [PW_KIND_TIME] = {sizeof(uint64_t), 0, parse_time, show_time, expects_time},
    [PW_KIND_STRING] = {sizeof(char *), 0, parse_string, show_string, expects_string},
    [PW_KIND_CHOICE] = {sizeof(int), 0xff, parse_choice, show_choice, expects_choice},
    [PW_KIND_NUMBER] = {sizeof(int), 0xff, parse_number, show_number, expects_number},
    [PW_KIND_SECONDS] = {sizeof(int64_t), 0xff, parse_seconds, show_seconds, expects_seconds},
    [PW_KIND_DURATION] = {sizeof(int64_t), 0xff, parse_duration, show_duration, expects_duration},
    [PW_KIND_BYTES] = {sizeof(int64_t), 0xff, parse_bytes, show_bytes, expects_bytes},
};

bool pw_conf_key_parse(const struct pw_conf_key *key, const char *text, struct pw_conf_arena *arena,
		       void *object, struct pw_strbuf *why)
{
	if (kinds[key->kind].parse(key, text, arena, (char *)object + key->offset))
		return true;
	pw_strbuf_printf(why, "invalid value \"%.100s\" for %s: ", text, key->name);
	pw_conf_key_expects(key, why);
	pw_strbuf_add_string(why, " is expected");
	pw_conf_comment_hint(text, why);
	return false;
}

void pw_conf_key_reset(const struct pw_conf_key *key, struct pw_conf_arena *arena, void *object)
{
	const struct kind *kind = &kinds[key->kind];
	void *field = (char *)object + key->offset;

	memset(field, kind->unset_byte, kind->size);
	if (key->default_text)
		(void)kind->parse(key, key->default_text, arena, field);
}

void pw_conf_key_copy(const struct pw_conf_key *key, struct pw_conf_arena *arena, void *to,
		      const void *from)
{
	const void *source = (const char *)from + key->offset;
	void *field = (char *)to + key->offset;

	if (key->kind == PW_KIND_STRING)
		*(const char **)field = pw_conf_arena_copy(arena, *(const char *const *)source);
	else
		memcpy(field, source, kinds[key->kind].size);
}

bool pw_conf_key_equal(const struct pw_conf_key *key, const void *a, const void *b)
{
	const void *x = (const char *)a + key->offset;
	const void *y = (const char *)b + key->offset;
	const char *s, *t;

	if (key->kind != PW_KIND_STRING)
		return memcmp(x, y, kinds[key->kind].size) == 0;
	s = *(const char *const *)x;
	t = *(const char *const *)y;
	return s && t ? strcmp(s, t) == 0 : s == t;
}

uint64_t pw_conf_key_hash(const struct pw_conf_key *key, const void *object,
			  const struct pw_hash_key *hash_key)
{
	const void *field = (const char *)object + key->offset;
	const char *text;

	if (key->kind != PW_KIND_STRING)
		return pw_hash(hash_key, field, kinds[key->kind].size);
	text = *(const char *const *)field;
	/* With its zero byte: "" is not the same as "not set". */
	return pw_hash(hash_key, text, text ? strlen(text) + 1 : 0);
}

bool pw_conf_key_show(const struct pw_conf_key *key, const void *object, struct pw_strbuf *out)
{
	return kinds[key->kind].show(key, (const char *)object + key->offset, out);
}

void pw_conf_key_expects(const struct pw_conf_key *key, struct pw_strbuf *out)
{
	kinds[key->kind].expects(key, out);
}
