/* SPDX-License-Identifier: PostgreSQL
 *
 * HBA and ident text up to the first line that says "%%", the ident map behind it. Every rule set
 * that comes out is asked, from all kinds of peers.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/auth/hba.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct pw_hba *hba, struct pw_hba_request *req)
{
	struct pw_hba_match match;

	for (int i = 0; i < 4; i++) {
		req->is_tls = i & 1;
		req->is_physical_replication = i & 2;
		if (!pw_hba_find(hba, req, &match))
			continue;
		if (match.method == PW_AUTH_ANY || match.method == PW_AUTH_HBA || match.line < 1)
			abort();
		(void)pw_ident_allows(match.map, "bob", "bob");
		(void)pw_ident_allows_cert(match.map, "*.example.org", "bob");
	}
}

static void ask_all(const struct pw_hba *hba)
{
	static const char *const peers[] = {"127.0.0.1", "::1", "::ffff:10.1.2.3", "10.1.2.3"};
	struct pw_addr addr = {.family = AF_UNIX};
	struct pw_hba_request req = {.addr = &addr, .database = "db", .user = "bob"};

	ask(hba, &req);
	for (size_t i = 0; i < PW_COUNTOF(peers); i++) {
		if (pw_addr_parse(peers[i], 5432, &addr))
			ask(hba, &req);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pw_strbuf warnings = PW_STRBUF_INIT;
	struct pw_unreadable unreadable = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_hba_text rules, ident = {"/nonexistent/ident.conf", NULL, 0};
	const uint8_t *split;
	size_t len;
	const struct pw_hba *hba;

	/* "@/file" would read whatever lies on this machine. */
	if (size == 0 || (memchr(data, '@', size) && memchr(data, '/', size)))
		return 0;
	split = memmem(data, size, "\n%%\n", 4);
	len = split ? (size_t)(split - data) : size;
	rules = (struct pw_hba_text){"/nonexistent/hba.conf", (const char *)data, len};
	if (split)
		ident = (struct pw_hba_text){"/nonexistent/ident.conf", (const char *)split + 4,
					     size - len - 4};
	hba = pw_hba_parse(&rules, &ident, &unreadable, &warnings);
	if (!hba)
		abort();
	ask_all(hba);
	pw_hba_unref(hba);
	pw_strbuf_fini(&warnings);
	pw_unreadable_fini(&unreadable);
	return 0;
}
