/* SPDX-License-Identifier: PostgreSQL
 *
 * Tracked values beside what else a session has set.
 */
#include "config.h"

#include <ctype.h>

#include "client_priv.h"

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
