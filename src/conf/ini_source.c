/* SPDX-License-Identifier: PostgreSQL
 *
 * Reads configuration files; the only user of inih.
 *
 * The files follow PgBouncer's rules: no continuation lines, no inline comments, keys of any
 * characters in single quotes, `%include`, only `=` separates, lines of any length. A packaged
 * inih has other rules for each of these and its limits are fixed when it is built. So the reader
 * here does the lines: it takes each apart, reports what is wrong with it, and holds the result
 * aside as `entry`. inih gets a short line that stands for it and that every build of inih takes
 * in the same way,
 *
 *     [section]       a header,
 *     header = 17     followed by the notice that it was there,
 *     entry = 18      a key and its value,
 *
 * and does the rest: it drives the reading, remembers the section and calls back. The number is
 * that of the line given; when it does not come back, loading fails rather than guesses.
 *
 * Texts are cut in place and live until the next line is read, paths as long as the arena.
 */
#include "config.h"

#include "conf_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	INCLUDES_MAX = 10,
	SECTION_NAME_MAX = 40, /* inih keeps 49 bytes */
	READ_BYTES = 16384,
};

struct source {
	struct pw_ini_pos pos;
	struct pw_strbuf text;
	size_t at;
};

struct reader {
	const struct pw_ini_sink *sink;
	struct pw_conf_arena *arena;
	struct source sources[INCLUDES_MAX + 1];
	int depth; /* sources that are open; the last one is read */
	bool may_include;
	bool has_header; /* its notice is still to be given */
	enum pw_status status;
	unsigned long number;
	struct pw_ini_entry entry;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
	       c == '.' || c == '-';
}

static char *skip_blanks(char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

/* ---- sources ---- */

static int read_file(const char *path, struct pw_strbuf *out)
{
	char bytes[READ_BYTES];
	ssize_t n;
	int failure = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	while ((n = read(fd, bytes, sizeof(bytes))) != 0) {
		if (n > 0) {
			pw_strbuf_add(out, bytes, (size_t)n);
		} else if (errno != EINTR) {
			failure = errno;
			break;
		}
	}
	close(fd);
	explicit_bzero(bytes, sizeof(bytes));
	return out->has_failed ? ENOMEM : failure;
}

static struct source *push_source(struct reader *r, const char *path)
{
	struct source *source = &r->sources[r->depth++];

	memset(source, 0, sizeof(*source));
	source->pos.path = pw_conf_arena_copy(r->arena, path);
	return source;
}

static void pop_source(struct reader *r)
{
	pw_strbuf_wipe(&r->sources[--r->depth].text);
}

/* 0 or an errno; nothing is pushed on failure. */
static int push_file(struct reader *r, const char *path)
{
	int failure = read_file(path, &push_source(r, path)->text);

	if (failure != 0)
		pop_source(r);
	return failure;
}

/* The next line of the source, its newline cut off; NULL at the end. */
static char *next_line(struct reader *r, struct source *source)
{
	char *line, *newline;
	size_t len;

	while (source->at < source->text.len) {
		line = source->text.data + source->at;
		len = source->text.len - source->at;
		newline = memchr(line, '\n', len);
		if (newline) {
			len = (size_t)(newline - line);
			*newline = '\0';
		}
		source->at += len + (newline != NULL);
		source->pos.line++;
		if (!memchr(line, '\0', len))
			return line;
		pw_conf_problem(r->sink->problems, &source->pos, "syntax error: zero byte in line");
	}
	return NULL;
}

/* ---- lines ---- */

/* snprintf cuts where inih's buffer is smaller than any known build of it has; then the number
 * does not come back. */
static char *give_line(struct reader *r, char *out, int size, const char *word)
{
	snprintf(out, (size_t)size, "%s = %lu\n", word, ++r->number);
	return out;
}

static void include_file(struct reader *r, struct source *source, char *path)
{
	const char *failure;
	int code;

	if (!r->may_include)
		failure = "not allowed here";
	else if (r->depth > INCLUDES_MAX)
		failure = "includes are nested more than 10 deep";
	else if ((code = push_file(r, path)) != 0)
		failure = strerror(code);
	else
		return;
	pw_conf_problem(r->sink->problems, &source->pos,
			"error processing include file \"%s\": %s%s", path, failure,
			pw_conf_has_comment(path) ? "; comments stand on lines of their own" : "");
}

static void read_directive(struct reader *r, struct source *source, char *line)
{
	static const char word[] = "%include";
	size_t len = sizeof(word) - 1;

	if (strncmp(line, word, len) != 0 || !is_blank(line[len]))
		pw_conf_problem(r->sink->problems, &source->pos,
				"syntax error: only \"%%include FILE\" may begin with %%");
	else
		include_file(r, source, skip_blanks(line + len));
}

/* No section has a name that inih could change; whatever else is written between the brackets is
 * wrong, and so is all that follows it. */
static const char *read_header(struct reader *r, struct source *source, char *line)
{
	char *end = strchr(line, ']'), *rest = end ? skip_blanks(end + 1) : NULL;
	size_t len = 0;

	/* A comment may stand behind it, as at the beginning of a line. */
	if (!end || (*rest != '\0' && *rest != ';' && *rest != '#')) {
		pw_conf_problem(r->sink->problems, &source->pos,
				"syntax error: \"[section]\" is expected");
		return "-";
	}
	*end = '\0';
	while (is_word_char(line[1 + len]))
		len++;
	if (len == 0 || len > SECTION_NAME_MAX || line[1 + len] != '\0') {
		pw_conf_problem(r->sink->problems, &source->pos,
				"invalid section \"%.64s\" in configuration", line + 1);
		return "-";
	}
	r->has_header = true;
	return line + 1;
}

/* Returns the first byte behind the key, NULL on a syntax error (reported). A port may stand behind
 * a name, as in host:5432. */
static char *read_key(struct reader *r, struct source *source, char *line, char **key_end)
{
	char *p = line;

	if (*p == '\'') {
		r->entry.key = ++p;
		*key_end = strchr(p, '\'');
		if (*key_end)
			return *key_end + 1;
		pw_conf_problem(r->sink->problems, &source->pos,
				"syntax error: the quote is not closed");
		return NULL;
	}
	while (is_word_char(*p) || *p == '*' || (*p == ':' && is_digit(p[1])))
		p++;
	r->entry.key = line;
	*key_end = p;
	if (p != line)
		return p;
	pw_conf_problem(r->sink->problems, &source->pos,
			"syntax error: \"key = value\" is expected%s",
			*p == '"' ? "; names are quoted with single quotes" : "");
	return NULL;
}

/* True where `entry` holds a key and a value. */
static bool read_entry(struct reader *r, struct source *source, char *line)
{
	char *key_end, *p, *end;

	p = read_key(r, source, line, &key_end);
	if (!p)
		return false;
	p = skip_blanks(p);
	if (*p != '=') {
		*key_end = '\0';
		pw_conf_problem(r->sink->problems, &source->pos,
				"syntax error: \"=\" is expected after \"%.64s\"%s", r->entry.key,
				*p == '\0' || *p == ':'
				    ? ""
				    : "; a name with other characters than letters, digits and "
				      "_.-* needs single quotes");
		return false;
	}
	*key_end = '\0';
	p = skip_blanks(p + 1);
	end = p + strlen(p);
	while (end > p && is_blank(end[-1]))
		*--end = '\0';
	r->entry.value = p;
	return true;
}

/* One line for inih out of one line of ours; NULL where there is none to give. */
static char *convert_line(struct reader *r, struct source *source, char *line, char *out, int size)
{
	line = skip_blanks(line);
	r->entry.pos = source->pos;
	switch (*line) {
	case '\0':
	case ';':
	case '#':
		return NULL;
	case '%':
		for (char *end = line + strlen(line); is_blank(end[-1]);)
			*--end = '\0';
		read_directive(r, source, line);
		return NULL;
	case '[':
		snprintf(out, (size_t)size, "[%s]\n", read_header(r, source, line));
		return out;
	default:
		return read_entry(r, source, line) ? give_line(r, out, size, "entry") : NULL;
	}
}

/* inih's fgets(). */
static char *feed_line(char *out, int size, void *stream)
{
	struct reader *r = stream;

	if (r->has_header) {
		r->has_header = false;
		return give_line(r, out, size, "header");
	}
	while (r->status == PW_OK && r->depth > 0) {
		struct source *source = &r->sources[r->depth - 1];
		char *line = next_line(r, source);

		if (!line)
			pop_source(r);
		else if (convert_line(r, source, line, out, size))
			return out;
	}
	return NULL;
}

/* inih's callback; true = go on. */
static int take_line(void *ctx, const char *section, const char *name, const char *value)
{
	struct reader *r = ctx;

	/* A build that announces headers by itself passes no name; we do not need it. */
	if (!name || r->status != PW_OK)
		return 1;
	if (!value || strtoul(value, NULL, 10) != r->number)
		r->status = PW_EPROTO;
	else if (strcmp(name, "header") == 0)
		r->sink->section(r->sink->ctx, section, &r->entry.pos);
	else
		r->sink->entry(r->sink->ctx, section, &r->entry);
	return 1;
}

static void open_input(struct reader *r, const struct pw_ini_input *input)
{
	struct pw_ini_pos pos = {NULL, 0};
	int failure;

	if (input->text) {
		struct source *source = push_source(r, input->path);

		pw_strbuf_add(&source->text, input->text, input->len);
		if (source->text.has_failed)
			r->status = PW_ENOMEM;
		return;
	}
	failure = push_file(r, input->path);
	pos.path = input->path;
	if (failure == ENOMEM)
		r->status = PW_ENOMEM;
	else if (failure != 0)
		pw_conf_problem(r->sink->problems, &pos, "could not read file: %s",
				strerror(failure));
}

enum pw_status pw_ini_read(const struct pw_ini_input *input, struct pw_conf_arena *arena,
			   const struct pw_ini_sink *sink)
{
	struct reader *r = calloc(1, sizeof(*r));
	enum pw_status status;

	if (!r)
		return PW_ENOMEM;
	r->sink = sink;
	r->arena = arena;
	r->may_include = input->text == NULL;
	open_input(r, input);
	if (r->status == PW_OK && ini_parse_stream(feed_line, r, take_line, r) != 0 &&
	    r->status == PW_OK)
		r->status = PW_EPROTO;
	while (r->depth > 0)
		pop_source(r);
	status = r->status;
	free(r);
	return status;
}

const char *pw_conf_library_version(void)
{
	return INIH_VERSION;
}
