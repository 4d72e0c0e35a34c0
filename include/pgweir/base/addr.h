/* SPDX-License-Identifier: PostgreSQL
 *
 * A peer's address in 20 bytes (a sockaddr_storage would cost 128 in every connection). A plain
 * value, any thread.
 */
#ifndef PGWEIR_BASE_ADDR_H
#define PGWEIR_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "pgweir/base/status.h"

struct pw_addr {
	uint16_t family;   /* AF_INET, AF_INET6, AF_UNIX; 0 = unknown */
	uint16_t port;     /* host order; 0 for AF_UNIX */
	uint8_t bytes[16]; /* network order; AF_UNIX: the peer's pid as uint32_t */
};

struct pw_addr pw_addr_from_sockaddr(const struct sockaddr *sa);
/* Fills `out` for connect(2); 0 where the family has no such form (AF_UNIX). */
socklen_t pw_addr_to_sockaddr(const struct pw_addr *addr, struct sockaddr_storage *out);
/* Parses a literal IPv4 or IPv6 address; false where it is a name. */
bool pw_addr_parse(const char *text, uint16_t port, struct pw_addr *out);
bool pw_addr_equal(const struct pw_addr *a, const struct pw_addr *b);
/* "10.1.2.3", "fe80::1", "unix". */
void pw_addr_format(const struct pw_addr *addr, char *out, size_t size);
/* "10.1.2.3:5432", "[fe80::1]:5432", "unix(PID):PORT" as in PgBouncer's log prefix. */
void pw_addr_format_port(const struct pw_addr *addr, char *out, size_t size);

enum { PW_ADDR_TEXT_SIZE = 64 };

#endif
