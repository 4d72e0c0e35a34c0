/* SPDX-License-Identifier: PostgreSQL
 *
 * Lines of pg_hba.conf, pg_ident.conf and "@" name files into tokens (PostgreSQL 15 docs 21.1,
 * 21.2). Tokens end at a blank or a comma; quotes hide both and take the meaning out of keywords;
 * "#" outside quotes ends the line. A token directly followed by a comma goes on in the next one:
 * together they are a field. There is no continuation of lines.
 */
#include "config.h"

#include "auth_priv.h"

#include <stdlib.h>
#include <string.h>

void pw_auth_line_init(struct pw_auth_line *line)
{
	memset(line, 0, sizeof(*line));
}

void pw_auth_line_fini(struct pw_auth_line *line)
{
	free(line->buf);
	free(line->tokens);
	pw_auth_line_init(line);
}

static bool is_separator(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == ',';
}

struct scanner {
	const char *at;
	const char *end;
	char *out; /* next free byte of the line's buffer */
};

/* Copies one token without its quotes; false where a quote stays open. */
static bool scan_token(struct scanner *s)
{
	bool is_in_quote = false;

	for (; s->at < s->end; s->at++) {
		if (!is_in_quote && (is_separator(*s->at) || *s->at == '#'))
			break;
		if (*s->at != '"') {
			*s->out++ = *s->at;
		} else if (is_in_quote && s->at + 1 < s->end && s->at[1] == '"') {
			*s->out++ = '"';
			s->at++;
		} else {
			is_in_quote = !is_in_quote;
		}
	}
	*s->out++ = '\0';
	return !is_in_quote;
}

static enum pw_status scan_line(struct pw_auth_line *line, struct scanner *s)
{
	bool had_comma = false;

	for (;;) {
		struct pw_auth_token *tokens;

		while (s->at < s->end && is_separator(*s->at))
			s->at++;
		if (s->at == s->end || *s->at == '#')
			return PW_OK;
		tokens = pw_auth_grow(line->tokens, line->count, &line->cap, sizeof(*line->tokens));
		if (!tokens)
			return PW_ENOMEM;
		line->tokens = tokens;
		tokens[line->count++] = (struct pw_auth_token){
		    .text = s->out, .is_quoted = *s->at == '"', .is_joined = had_comma};
		if (!scan_token(s))
			return PW_EINVAL;
		had_comma = s->at < s->end && *s->at == ',';
	}
}

enum pw_status pw_auth_line_read(struct pw_auth_line *line, const struct pw_auth_place *place,
				 const char *text, size_t len)
{
	/* A token is never longer than its source, and its separator pays for the zero byte. */
	size_t size = len + 1;
	struct scanner s = {.at = text, .end = text + len};
	enum pw_status status;

	line->count = 0;
	if (len > 0 && memchr(text, '\0', len) != NULL) {
		pw_auth_warn(place, "zero byte in line");
		return PW_EINVAL;
	}
	if (size > line->buf_size) {
		char *buf = realloc(line->buf, size);

		if (!buf)
			return PW_ENOMEM;
		line->buf = buf;
		line->buf_size = size;
	}
	s.out = line->buf;
	status = scan_line(line, &s);
	if (status == PW_EINVAL)
		pw_auth_warn(place, "quoted name is not closed");
	return status;
}

bool pw_auth_token_is(const struct pw_auth_token *token, const char *keyword)
{
	return !token->is_quoted && strcmp(token->text, keyword) == 0;
}

enum pw_status pw_auth_each_line(struct pw_auth_place *place, const char *text, size_t len,
				 pw_auth_use_line *use, void *arg)
{
	struct pw_auth_line line;
	enum pw_status status = PW_OK;

	pw_auth_line_init(&line);
	while (len > 0 && status != PW_ENOMEM) {
		const char *newline = memchr(text, '\n', len);
		size_t line_len = newline ? (size_t)(newline - text) : len;

		place->line++;
		status = pw_auth_line_read(&line, place, text, line_len);
		if (status == PW_OK && line.count > 0)
			status = use(arg, place, &line);
		line_len += newline ? 1 : 0;
		text += line_len;
		len -= line_len;
	}
	pw_auth_line_fini(&line);
	return status == PW_ENOMEM ? PW_ENOMEM : PW_OK;
}
