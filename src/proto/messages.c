/* SPDX-License-Identifier: PostgreSQL
 *
 * The two tables, from the message formats of PostgreSQL's documentation.
 */
#include "config.h"

#include "pgweir/proto/messages.h"

#define PREPARED PW_FOR_PREPARED

const struct pw_message_table pw_frontend_messages =
    {
	.rows =
	    {
		['Q'] = {"Query", PW_ROLE_QUERY, PW_GATHER_TEXT, PW_FOR_CONSOLE | PW_FOR_SESSION,
			 PW_TEXT_GATHER_CAP, 1},
		['F'] = {"FunctionCall", PW_ROLE_FUNCTION, PW_GATHER_NOTHING, 0, 0, 4},
		['S'] = {"Sync", PW_ROLE_SYNC, PW_GATHER_NOTHING, 0, 0, 0},
		['P'] = {"Parse", PW_ROLE_PARSE, PW_GATHER_PARSE,
			 PREPARED | PW_FOR_CONSOLE | PW_FOR_SESSION, PW_PARSE_GATHER_CAP, 4},
		['B'] = {"Bind", PW_ROLE_BIND, PW_GATHER_NAMES_2, PREPARED | PW_FOR_SESSION,
			 PW_NAME_GATHER_CAP, 8},
		['D'] = {"Describe", PW_ROLE_DESCRIBE, PW_GATHER_KIND_NAME,
			 PREPARED | PW_FOR_CONSOLE | PW_FOR_SESSION, PW_NAME_GATHER_CAP, 2},
		['E'] = {"Execute", PW_ROLE_EXECUTE, PW_GATHER_NAMES_1, PREPARED,
			 PW_NAME_GATHER_CAP, 5},
		['C'] = {"Close", PW_ROLE_CLOSE, PW_GATHER_KIND_NAME, PREPARED | PW_FOR_CONSOLE,
			 PW_NAME_GATHER_CAP, 2},
		['H'] = {"Flush", PW_ROLE_FLUSH, PW_GATHER_NOTHING, 0, 0, 0},
		['d'] = {"CopyData", PW_ROLE_COPY_DATA, PW_GATHER_NOTHING, 0, 0, 0, true},
		['c'] = {"CopyDone", PW_ROLE_COPY_END, PW_GATHER_NOTHING, 0, 0, 0},
		['f'] = {"CopyFail", PW_ROLE_COPY_END, PW_GATHER_NOTHING, 0, 0, 1},
		['X'] = {"Terminate", PW_ROLE_TERMINATE, PW_GATHER_NOTHING, 0, 0, 0},
		['p'] = {"PasswordMessage", PW_ROLE_PASSWORD, PW_GATHER_ALL, PW_FOR_LOGIN,
			 PW_PASSWORD_GATHER_CAP, 0},
	    },
};

#undef PREPARED

#define ALWAYS PW_FOR_ALWAYS

const struct pw_message_table pw_backend_messages =
    {
	.rows =
	    {
		['R'] = {"Authentication", 0, PW_GATHER_ALL, ALWAYS, 64 * 1024, 4},
		['K'] = {"BackendKeyData", 0, PW_GATHER_ALL, ALWAYS, 1024, 8},
		['S'] = {"ParameterStatus", 0, PW_GATHER_ALL, ALWAYS, 64 * 1024, 2},
		['Z'] = {"ReadyForQuery", 0, PW_GATHER_ALL, ALWAYS, 64, 1},
		['v'] = {"NegotiateProtocolVersion", 0, PW_GATHER_ALL, ALWAYS, 64 * 1024, 8},
		['E'] = {"ErrorResponse", 0, PW_GATHER_ALL, ALWAYS, PW_ERROR_GATHER_CAP, 1},
		['N'] = {"NoticeResponse", 0, PW_GATHER_NOTHING, 0, 0, 1},
		['A'] = {"NotificationResponse", 0, PW_GATHER_ALL, ALWAYS, PW_ROW_GATHER_CAP, 6},
		['1'] = {"ParseComplete", 0, PW_GATHER_NOTHING, 0, 0, 0},
		['2'] = {"BindComplete", 0, PW_GATHER_NOTHING, 0, 0, 0},
		['3'] = {"CloseComplete", 0, PW_GATHER_NOTHING, 0, 0, 0},
		['t'] = {"ParameterDescription", 0, PW_GATHER_ALL, ALWAYS, PW_ROW_GATHER_CAP, 2},
		['T'] = {"RowDescription", 0, PW_GATHER_ALL, ALWAYS, PW_ROW_GATHER_CAP, 2},
		['n'] = {"NoData", 0, PW_GATHER_NOTHING, 0, 0, 0},
		['D'] = {"DataRow", 0, PW_GATHER_NOTHING, 0, 0, 2, true},
		['C'] = {"CommandComplete", 0, PW_GATHER_ALL, ALWAYS, 256, 1},
		['I'] = {"EmptyQueryResponse", 0, PW_GATHER_NOTHING, 0, 0, 0},
		['s'] = {"PortalSuspended", 0, PW_GATHER_NOTHING, 0, 0, 0},
		['V'] = {"FunctionCallResponse", 0, PW_GATHER_NOTHING, 0, 0, 4},
		['G'] = {"CopyInResponse", 0, PW_GATHER_NOTHING, 0, 0, 3},
		['H'] = {"CopyOutResponse", 0, PW_GATHER_NOTHING, 0, 0, 3},
		['W'] = {"CopyBothResponse", 0, PW_GATHER_NOTHING, 0, 0, 3},
		['d'] = {"CopyData", 0, PW_GATHER_NOTHING, 0, 0, 0, true},
		['c'] = {"CopyDone", 0, PW_GATHER_NOTHING, 0, 0, 0},
	    },
};

#undef ALWAYS
