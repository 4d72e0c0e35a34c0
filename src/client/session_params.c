/* SPDX-License-Identifier: PostgreSQL
 *
 * Tracked values beside what else a session has set.
 */
#include "config.h"

#include <ctype.h>

#include <string.h>

#include "client_priv.h"
#include "pgweir/proto/writer.h"

/* As names of settings are written there. */
static struct pw_state *with_folded(struct pw_state *settings, const char *name, const char *value)
{
	struct pw_strbuf folded = PW_STRBUF_INIT;
	struct pw_state *result = NULL;

	for (; *name; name++)
		pw_strbuf_add_char(&folded, (char)tolower((unsigned char)*name));
	pw_strbuf_add_char(&folded, '\0');
	if (!folded.has_failed)
		result = pw_state_with(settings, folded.data, value);
	pw_strbuf_fini(&folded);
	return result;
}

bool pw_session_part_params(struct pw_client *c, const struct pw_params *reported)
{
	const struct pw_tracked *tracked = c->clients->tracked;
	struct pw_params_table *table = &c->clients->pools->params;

	for (unsigned i = 0; i < tracked->n; i++) {
		const char *name = tracked->names[i], *value = c->params->values[i];
		struct pw_state *settings;
		struct pw_params *params;

		if (!value || pw_params_find_reported(tracked, reported, name) >= 0)
			continue;
		settings = with_folded(c->settings, name, value);
		params = settings ? pw_params_with(table, c->params, i, NULL) : NULL;
		if (!params) {
			pw_state_unref(settings);
			return false;
		}
		pw_state_unref(c->settings);
		pw_params_unref(table, c->params);
		c->loan.settings = c->settings = settings;
		c->loan.params = c->params = params;
	}
	return true;
}

/* ---- what went back ---- */

void pw_session_note_param(struct pw_client *c)
{
	struct pw_client_session *s = c->session;

	if (s && s->initial_params && !s->params_before)
		s->params_before = pw_params_ref(c->params);
}

void pw_session_forget_params(struct pw_client *c)
{
	pw_params_unref(&c->clients->pools->params, c->session->params_before);
	c->session->params_before = NULL;
}

static bool is_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* A change that is not set for the session took it back to what the server began with. */
static bool has_gone_back(const struct pw_client *c, unsigned i,
			  const struct pw_residue_found *found)
{
	const struct pw_client_session *s = c->session;
	const char *value = c->params->values[i], *initial = s->initial_params->values[i];

	return initial && !(found->reported >> i & 1) && !is_equal(value, initial) &&
	       !is_equal(value, s->params_before->values[i]);
}

bool pw_session_restore_params(struct pw_client *c, const struct pw_residue_found *found)
{
	const struct pw_client_session *s = c->session;
	struct pw_params_table *table = &c->clients->pools->params;
	struct pw_strbuf told = PW_STRBUF_INIT;
	bool ok = true;

	for (unsigned i = 0; s->params_before && ok && i < c->params->n; i++) {
		const char *value = s->initial_params->values[i];
		struct pw_params *changed;

		if (!has_gone_back(c, i, found))
			continue;
		changed = pw_params_with(table, c->params, i, value);
		ok = changed != NULL;
		if (!ok)
			break;
		pw_write_parameter_status(&told, c->clients->tracked->names[i], value);
		pw_params_unref(table, c->params);
		c->loan.params = c->params = changed;
	}
	ok &= !told.has_failed;
	if (ok && told.len > 0)
		pw_batch_copy(pw_relay_to_client(c), told.data, told.len);
	pw_strbuf_fini(&told);
	return ok;
}
