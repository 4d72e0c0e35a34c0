/* SPDX-License-Identifier: PostgreSQL
 *
 * The one status type of pgweir, and the attributes every header uses.
 *
 * PW_AGAIN always and only means "call again when there is more"; it is never an error.
 */
#ifndef PGWEIR_BASE_STATUS_H
#define PGWEIR_BASE_STATUS_H

enum pw_status {
	PW_OK = 0,
	PW_AGAIN,    /* not yet: call again when there is more */
	PW_CLOSED,   /* the peer closed in good order */
	PW_ENOMEM,   /* no memory; costs one connection */
	PW_EPROTO,   /* the peer broke its protocol */
	PW_EIO,      /* the system refused */
	PW_EDENIED,  /* not allowed */
	PW_ELIMIT,   /* a configured limit was met */
	PW_ETIMEOUT, /* a configured time ran out */
	PW_EINVAL,   /* operator input (file, option, command) is wrong */
};

#define PW_MUSTCHECK        __attribute__((warn_unused_result))
#define PW_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))
#define PW_NORETURN         __attribute__((noreturn))
#define PW_UNUSED           __attribute__((unused))
#define PW_ALWAYS_INLINE    __attribute__((always_inline))

#define PW_COUNTOF(array) (sizeof(array) / sizeof((array)[0]))

#endif
