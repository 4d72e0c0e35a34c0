/* SPDX-License-Identifier: PostgreSQL
 *
 * The rule set: read from files or memory, then asked. Built by one thread and frozen; rules lie
 * in one array in the order of the file, and the first that matches decides.
 */
#include "config.h"

#include "pgweir/auth/hba.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/base/refcount.h"

#include "auth_priv.h"

struct pw_hba {
	struct pw_refcount refs;
	struct pw_ident_map *maps;
	bool lacks_maps; /* their file could not be read */
	struct pw_hba_rule *rules;
	size_t count;
	size_t cap;
};

static void destroy_hba(struct pw_hba *hba)
{
	for (size_t i = 0; i < hba->count; i++)
		pw_hba_rule_fini(&hba->rules[i]);
	free(hba->rules);
	pw_ident_destroy_all(hba->maps);
	free(hba);
}

static enum pw_status use_hba_line(void *arg, const struct pw_auth_place *place,
				   const struct pw_auth_line *line)
{
	struct pw_hba *hba = arg;
	struct pw_hba_rule *rules;
	enum pw_status status;

	rules = pw_auth_grow(hba->rules, hba->count, &hba->cap, sizeof(*rules));
	if (!rules)
		return PW_ENOMEM;
	hba->rules = rules;
	status =
	    pw_hba_rule_parse(&rules[hba->count], place, line, hba->lacks_maps ? NULL : &hba->maps);
	if (status == PW_OK)
		hba->count++;
	return status;
}

struct pw_hba *pw_hba_parse(const struct pw_hba_text *rules, const struct pw_hba_text *ident,
			    struct pw_unreadable *unreadable, struct pw_strbuf *warnings)
{
	struct pw_auth_place place = {
	    .path = rules->path, .warnings = warnings, .unreadable = unreadable};
	struct pw_hba *hba = calloc(1, sizeof(*hba));

	if (!hba)
		return NULL;
	pw_refcount_init(&hba->refs);
	hba->lacks_maps = ident->path && !ident->text;
	if ((ident->text &&
	     pw_ident_parse(&hba->maps, ident->text, ident->len, ident->path, warnings) != PW_OK) ||
	    pw_auth_each_line(&place, rules->text, rules->len, use_hba_line, hba) != PW_OK) {
		destroy_hba(hba);
		return NULL;
	}
	return hba;
}

/* False without memory. */
static bool read_whole(struct pw_hba_text *text, const char *what, struct pw_strbuf *buf,
		       struct pw_unreadable *unreadable)
{
	enum pw_status status;

	pw_strbuf_add(buf, "", 0); /* an empty file has a text, too */
	status = pw_auth_read_file(text->path, buf);
	if (status == PW_EIO)
		pw_unreadable_add(unreadable, what, text->path);
	/* Half of the rules could say the opposite of all of them. */
	if (status == PW_OK) {
		text->text = buf->data;
		text->len = buf->len;
	}
	return status != PW_ENOMEM && !buf->has_failed;
}

struct pw_hba *pw_hba_load(const char *path, const char *ident_path,
			   struct pw_unreadable *unreadable, struct pw_strbuf *warnings)
{
	struct pw_strbuf buf = PW_STRBUF_INIT, ident_buf = PW_STRBUF_INIT;
	struct pw_hba_text rules = {.path = path};
	struct pw_hba_text ident = {.path = ident_path && ident_path[0] ? ident_path : NULL};
	struct pw_hba *hba = NULL;

	if (read_whole(&rules, "hba file", &buf, unreadable) &&
	    (!ident.path || read_whole(&ident, "ident map file", &ident_buf, unreadable)))
		hba = pw_hba_parse(&rules, &ident, unreadable, warnings);
	pw_strbuf_fini(&buf);
	pw_strbuf_fini(&ident_buf);
	return hba;
}

/* The reference count is the one thing in a frozen rule set that changes. */
static struct pw_hba *thaw(const struct pw_hba *hba)
{
	return (struct pw_hba *)(uintptr_t)hba;
}

const struct pw_hba *pw_hba_ref(const struct pw_hba *hba)
{
	pw_refcount_ref(&thaw(hba)->refs);
	return hba;
}

void pw_hba_unref(const struct pw_hba *hba)
{
	if (hba && pw_refcount_unref(&thaw(hba)->refs))
		destroy_hba(thaw(hba));
}

/* ---- asking ---- */

/* A peer on a dual-stack socket is the IPv4 peer that it is. */
static struct pw_addr unmap_address(const struct pw_addr *addr)
{
	static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
	struct pw_addr plain = *addr;

	if (addr->family == AF_INET6 &&
	    memcmp(addr->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		memset(&plain, 0, sizeof(plain));
		plain.family = AF_INET;
		memcpy(plain.bytes, addr->bytes + sizeof(mapped_prefix), 4);
	}
	return plain;
}

/* Bits of the rule's address outside its mask make it match nobody: PgBouncer's reading, and the
 * safe one. */
static bool matches_address(const struct pw_hba_rule *rule, const struct pw_addr *peer)
{
	size_t len = peer->family == AF_INET ? 4 : 16;

	if (rule->is_any_address)
		return true;
	if (rule->net.family != peer->family)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((peer->bytes[i] & rule->mask[i]) != rule->net.bytes[i])
			return false;
	}
	return true;
}

static bool matches_connection(const struct pw_hba_rule *rule, const struct pw_addr *peer,
			       bool is_tls)
{
	if (rule->type == PW_HBA_LOCAL)
		return peer->family == AF_UNIX;
	if (peer->family != AF_INET && peer->family != AF_INET6)
		return false;
	if ((rule->type == PW_HBA_HOSTSSL && !is_tls) || (rule->type == PW_HBA_HOSTNOSSL && is_tls))
		return false;
	return matches_address(rule, peer);
}

/* Physical replication has no database: only the keyword stands for it, and for nothing else. */
static bool matches_database(const struct pw_auth_names *names, const struct pw_hba_request *req)
{
	if (req->is_physical_replication)
		return names->keywords & PW_NAMES_REPLICATION;
	if (names->keywords & PW_NAMES_ALL)
		return true;
	if ((names->keywords & PW_NAMES_SAMEUSER) && strcmp(req->database, req->user) == 0)
		return true;
	return pw_auth_names_have(names, req->database) ||
	       (req->other_name && pw_auth_names_have(names, req->other_name));
}

bool pw_hba_find(const struct pw_hba *hba, const struct pw_hba_request *req,
		 struct pw_hba_match *out)
{
	struct pw_addr peer = unmap_address(req->addr);

	for (size_t i = 0; i < hba->count; i++) {
		const struct pw_hba_rule *rule = &hba->rules[i];

		if (!matches_connection(rule, &peer, req->is_tls) ||
		    !matches_database(&rule->databases, req))
			continue;
		if (!(rule->users.keywords & PW_NAMES_ALL) &&
		    !pw_auth_names_have(&rule->users, req->user))
			continue;
		out->method = rule->method;
		out->map = rule->map;
		out->map_name = rule->map ? pw_ident_name(rule->map) : NULL;
		out->line = rule->line;
		return true;
	}
	return false;
}
