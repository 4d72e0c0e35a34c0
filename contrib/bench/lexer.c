/* SPDX-License-Identifier: PostgreSQL
 *
 * What it costs to read statements, each way of it alone: links the pooler's own library.
 *
 * lexer ns WHAT FILE...: prints the least nanoseconds a byte of many short stretches, so that what
 * else the machine does does not count; hence also for a text that was read a moment ago.
 *
 * lexer run WHAT N FILE...: reads all texts N times and prints nothing, for whoever counts the
 * instructions of N and of 2 N times.
 *
 * lexer bytes FILE...: prints how many they are.
 *
 * WHAT is lexer, shape, hit, miss or parse (what libpg_query takes without us). A file has
 * statements with empty lines between.
 */
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pgweir/session/effects.h"
#include "pgweir/sql/lexer.h"
#include "pgweir/sql/shape_cache.h"

#define TEXTS_MAX   256
#define STRETCH_NS  1000000
#define STRETCHES   150
#define CACHE_BYTES (1 << 20)

struct bench {
	char *texts[TEXTS_MAX];
	size_t lens[TEXTS_MAX], n_texts, bytes;
	struct pw_shape_key key;
	struct pw_shape_cache cache;
	struct pw_effects effects;
	uint64_t sum; /* so that nothing is left out */
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "lexer: %s\n", what);
	exit(1);
}

/* ---- what is measured ---- */

static void read_lexer(struct bench *b, size_t i)
{
	struct pw_lexer lexer;
	struct pw_lexeme token;

	pw_lexer_init(&lexer, b->texts[i], b->lens[i]);
	do {
		pw_lexer_next(&lexer, &token);
		b->sum += token.end;
	} while (token.kind != PW_TOKEN_END && token.kind != PW_TOKEN_BROKEN);
}

static void read_shape(struct bench *b, size_t i)
{
	struct pw_shape shape;

	pw_shape_take(&shape, &b->key, b->texts[i], b->lens[i]);
	b->sum += shape.id.lo;
}

static void read_hit(struct bench *b, size_t i)
{
	pw_effects_judge(&b->effects, &b->cache, &b->key, b->texts[i], b->lens[i]);
	b->sum += b->effects.flags;
}

/* The same work for each text, also for those that are judged without an analysis. */
static void read_miss(struct bench *b, size_t i)
{
	struct pw_shape_cache cache;
	struct pw_shape shape;

	pw_shape_cache_init(&cache, CACHE_BYTES);
	pw_shape_take(&shape, &b->key, b->texts[i], b->lens[i]);
	b->sum += pw_shape_cache_get(&cache, b->texts[i], &shape)->n_items;
	pw_shape_cache_fini(&cache);
}

static void read_parse(struct bench *b, size_t i)
{
	PgQueryProtobufParseResult result = pg_query_parse_protobuf(b->texts[i]);
	PgQuery__ParseResult *tree = pg_query__parse_result__unpack(
	    NULL, result.parse_tree.len, (const uint8_t *)result.parse_tree.data);

	if (!tree)
		die("a text cannot be parsed");
	b->sum += tree->n_stmts;
	pg_query__parse_result__free_unpacked(tree, NULL);
	pg_query_free_protobuf_parse_result(result);
}

struct what {
	const char *name;
	void (*read)(struct bench *b, size_t i);
};

static const struct what whats[] = {
    {"lexer", read_lexer}, {"shape", read_shape}, {"hit", read_hit},
    {"miss", read_miss},   {"parse", read_parse},
};

static const struct what *find_what(const char *name)
{
	for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
		if (strcmp(whats[i].name, name) == 0)
			return &whats[i];
	}
	die("no such thing to measure");
}

/* ---- texts ---- */

/* Each has memory of its own, as if it stood alone in a message. */
static void add_text(struct bench *b, const char *from, size_t len)
{
	char *text = malloc(len + 1);

	if (!text || b->n_texts == TEXTS_MAX)
		die("too many texts");
	memcpy(text, from, len);
	text[len] = '\0';
	b->texts[b->n_texts] = text;
	b->lens[b->n_texts++] = len;
	b->bytes += len;
}

static void load_file(struct bench *b, const char *path)
{
	static char all[1 << 20];
	FILE *f = fopen(path, "r");
	size_t len = f ? fread(all, 1, sizeof(all) - 1, f) : 0;
	char *at = all, *end;

	if (len == 0)
		die("a file cannot be read");
	fclose(f);
	while (len > 0 && all[len - 1] == '\n')
		len--;
	all[len] = '\0';
	for (; (end = strstr(at, "\n\n")); at = end + 2)
		add_text(b, at, (size_t)(end - at));
	add_text(b, at, strlen(at));
}

/* ---- measuring ---- */

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t read_all(struct bench *b, const struct what *what, unsigned long times)
{
	uint64_t begin = cpu_ns();

	for (unsigned long k = 0; k < times; k++) {
		for (size_t i = 0; i < b->n_texts; i++)
			what->read(b, i);
	}
	return cpu_ns() - begin;
}

static double least_ns_per_byte(struct bench *b, const struct what *what)
{
	unsigned long times = 1;
	double least = 0;

	while (read_all(b, what, times) < STRETCH_NS)
		times *= 2;
	for (int i = 0; i < STRETCHES; i++) {
		double ns = (double)read_all(b, what, times) / (double)(b->bytes * times);

		if (i == 0 || ns < least)
			least = ns;
	}
	return least;
}

int main(int argc, char **argv)
{
	const struct pw_hash_key secret = {UINT64_C(0x0123456789abcdef),
					   UINT64_C(0xfedcba9876543210)};
	struct bench b = {.effects = PW_EFFECTS_INIT};
	const char *how = argc > 1 ? argv[1] : "";
	int first = strcmp(how, "run") == 0 ? 4 : strcmp(how, "ns") == 0 ? 3 : 2;

	if (argc <= first)
		die("usage: lexer bytes FILE... | ns WHAT FILE... | run WHAT N FILE...");
	for (int i = first; i < argc; i++)
		load_file(&b, argv[i]);
	pw_shape_key_init(&b.key, &secret);
	pw_shape_cache_init(&b.cache, CACHE_BYTES);
	if (first == 4)
		read_all(&b, find_what(argv[2]), strtoul(argv[3], NULL, 10));
	else if (first == 3)
		printf("%.3f\n", least_ns_per_byte(&b, find_what(argv[2])));
	else
		printf("%zu\n", b.bytes);
	pw_shape_cache_fini(&b.cache);
	pw_effects_fini(&b.effects);
	for (size_t i = 0; i < b.n_texts; i++)
		free(b.texts[i]);
	return b.sum == 1;
}
