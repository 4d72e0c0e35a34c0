/* SPDX-License-Identifier: PostgreSQL
 *
 * Any text: tokens follow each other within it, and its shape is that of the same tokens with
 * nothing but a blank between them.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/base/strbuf.h"
#include "pgweir/sql/lexer.h"
#include "pgweir/sql/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The tokens, one by one; false where the text is broken. */
static bool rewrite(const uint8_t *text, size_t len, struct pw_strbuf *out)
{
	struct pw_lexer lexer;
	struct pw_lexeme token;
	size_t at = 0;

	pw_lexer_init(&lexer, text, len);
	for (;;) {
		pw_lexer_next(&lexer, &token);
		if (token.begin < at || token.end < token.begin || token.end > len)
			abort();
		if (token.kind == PW_TOKEN_BROKEN)
			return false;
		if (token.kind == PW_TOKEN_END)
			return true;
		if (token.end == token.begin)
			abort();
		pw_strbuf_add(out, text + token.begin, token.end - token.begin);
		/* Strings that follow each other must not become one. */
		pw_strbuf_add_char(out, ' ');
		at = token.end;
	}
}

static struct pw_shape shape_of(const void *text, size_t len)
{
	static const struct pw_hash_key secret = {1, 2};
	struct pw_shape_key key;
	struct pw_shape shape;

	pw_shape_key_init(&key, &secret);
	pw_shape_take(&shape, &key, text, len);
	return shape;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pw_strbuf text = PW_STRBUF_INIT, again = PW_STRBUF_INIT;
	struct pw_shape first, second;
	bool is_whole;

	/* With the zero behind it. */
	pw_strbuf_add(&text, data, size);
	pw_strbuf_add(&text, "", 0);
	if (!text.data)
		abort();
	is_whole = rewrite((const uint8_t *)text.data, text.len, &again);
	first = shape_of(text.data, text.len);
	if (first.is_broken == is_whole)
		abort();
	if (is_whole && again.len > 0) {
		second = shape_of(again.data, again.len);
		if (!pw_id_equal(first.id, second.id) || first.words != second.words ||
		    first.statements != second.statements || first.tokens != second.tokens ||
		    first.depth != second.depth || first.n_literals != second.n_literals)
			abort();
	}
	pw_strbuf_fini(&text);
	pw_strbuf_fini(&again);
	return 0;
}
