/* SPDX-License-Identifier: PostgreSQL
 *
 * Accounts of the operating system. Any thread; may ask a directory server.
 */
#ifndef PGWEIR_BASE_ACCOUNT_H
#define PGWEIR_BASE_ACCOUNT_H

#include <sys/types.h>

/* The name of the account, the caller's to free; NULL = none, or it cannot be found out. */
char *pw_account_name(uid_t uid);

#endif
