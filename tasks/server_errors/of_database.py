"""What the database's codes and words mean, and what mends it."""

from __future__ import annotations

Meaning = tuple[str, str]
"""What the server does, said of it, and the mend."""

_USER = (
    "refuses the user or the password",
    "write both in DATABASE_URL as USER:PASSWORD@HOST, with the colon between them, or let the role in "
    "(ALTER ROLE ... LOGIN PASSWORD, pg_hba.conf)",
)
_NO_DATABASE = (
    "has no database of that name",
    "create it (CREATE DATABASE), or mend the name at the end of DATABASE_URL",
)
_NO_RIGHT = (
    "does not give its user a right that is needed",
    "have its owner GRANT it (for `dialstock migrate`: USAGE and CREATE on the schema), or name another user in "
    "DATABASE_URL",
)
_READ_ONLY = (
    "takes no writes: it is a replica, or set to read only",
    "name the primary in DATABASE_URL, or set default_transaction_read_only = off for the role and the database",
)
_FULL_HOUSE = (
    "has no connection left",
    "run fewer processes, or raise max_connections (or the role's or the database's CONNECTION LIMIT, or PgBouncer's "
    "max_client_conn)",
)
# A pooler lets in and has wait, whatever holds up its own connections to the server.
_SILENT = (
    "does not answer",
    "see whether its machine or its disk stands still, all connections of its pooler are at work (SHOW POOLS there), "
    "or something on the way drops what is sent; start it again, or mend DATABASE_URL; it is asked again",
)
_POOLER_SILENT = (
    "does not answer through its pooler",
    "see there (SHOW POOLS) whether all of its connections are at work: raise default_pool_size; else the server "
    "stands still, or lets none in: the pooler's log tells; it is asked again",
)
_POOLER_ALONE = ("is away from its pooler", "start it, or mend where the pooler looks for it; it is asked again")
_POOLER_MODE = (
    "is behind a pooler in statement mode, in which nothing works",
    "set pool_mode = transaction there",
)
_POOLER_OPTION = (
    "is behind a pooler that does not know an option of the URL",
    "take that out of DATABASE_URL, and set it for the role (ALTER ROLE ... SET) instead",
)
_OPTION = (
    "cannot be asked as DATABASE_URL says",
    "mend what its words name among the options of the URL, or take it out",
)
_NOT_LET_IN = (
    "does not let in this host, user and database",
    "write a line for them into its pg_hba.conf; where its line is for hostssl, add ?sslmode=require to DATABASE_URL",
)
_TLS_ALONE = (
    "speaks TLS alone",
    "add ?sslmode=verify-full&sslrootcert=/path/to/ca.pem to DATABASE_URL (sslmode=require looks at no certificate)",
)
_NO_TLS = (
    "does not speak TLS",
    "take sslmode out of DATABASE_URL where nobody listens on the way, or have it speak TLS (ssl = on; PgBouncer: "
    "client_tls_sslmode)",
)
_UNTRUSTED = (
    "shows a certificate that is not trusted",
    "name the file of the CA that signed it in DATABASE_URL: sslrootcert=/path/to/ca.pem",
)
_OTHER_HOST = (
    "shows a certificate for another host",
    "write the host in DATABASE_URL as the certificate names it, or have it renewed for this one",
)
_NO_CA = (
    "cannot be trusted without the file of its CA, which cannot be read",
    "name a file in PEM in DATABASE_URL: sslrootcert=/path/to/ca.pem (sslrootcert=system for the CAs of this machine)",
)
_OWN_CERTIFICATE = (
    "does not take this client's certificate, or gets none",
    "name one that its CA signed, and the key of that, which nobody else may read: sslcert and sslkey in DATABASE_URL",
)
_TLS = ("cannot be asked over TLS", "its words tell why: mend the options of DATABASE_URL that begin with ssl")
_STARTING = ("is starting or stopping", "it is asked again; where that does not pass, its own log tells why")
LOST = ("is away", "start it, or mend DATABASE_URL")
_BEHIND = ("lacks what this version needs", "run dialstock migrate")
# Without USAGE on a schema, or with another's before it in the search_path, PostgreSQL says the same as without a
# table; and where the tables are not seen, `dialstock migrate` would make new ones.
_NOT_SEEN = (
    "lacks what this version needs, or does not show it to its user",
    "see that the user's search_path begins with the schema of the tables (ALTER ROLE ... SET search_path) and that it "
    "may use that (GRANT USAGE ON SCHEMA); where that is so, run dialstock migrate",
)
_DISK = ("has no room left on its disk", "make room there")
_MEMORY = ("has no memory left", "give it more, or run less beside it")
_SLOW = ("ended what took too long", "see in its own log what held it up; it is asked again")
REFUSED = ("refuses the connection", "its words tell why: mend DATABASE_URL, or the server")
NO_CONNECTION = ("has no connection left for this process", "it is asked again; give it fewer threads")
OTHER = ("cannot be used", "its own log tells more")

POSTGRES: dict[str, Meaning] = {
    "28P01": _USER,
    "28000": _USER,
    "3D000": _NO_DATABASE,
    "3F000": ("has no schema of that name", "create it, or mend the search_path of the role"),
    "42501": _NO_RIGHT,
    "25006": _READ_ONLY,
    "53100": _DISK,
    "53200": _MEMORY,
    "53300": _FULL_HOUSE,
    "57P01": ("was stopped", "start it"),
    "57P02": ("was stopped", "start it"),
    "57P03": _STARTING,
    "57014": _SLOW,
    "25P03": _SLOW,
    "25P04": _SLOW,
    "55P03": _SLOW,
    "42P01": _NOT_SEEN,
    "42703": _NOT_SEEN,
    "42P10": _NOT_SEEN,
}
POSTGRES_WORDS: tuple[tuple[str, Meaning], ...] = (
    (r"SSL SYSCALL|unexpected eof|SSL connection has been closed", LOST),
    (r"no pg_hba.conf entry", _NOT_LET_IN),
    (r"FATAL: +SSL required", _TLS_ALONE),
    (r"server does not support SSL", _NO_TLS),
    (r"server certificate for .* does not match|host name must be specified for a verified", _OTHER_HOST),
    (r"root certificate file", _NO_CA),
    (r"private key|client certificate|could not (load|read) certificate|certificate required", _OWN_CERTIFICATE),
    (r"certificate authentication failed|alert (unknown ca|bad certificate)", _OWN_CERTIFICATE),
    (r"certificate verify failed", _UNTRUSTED),
    (r"SSL error: ", _TLS),
    (r"authentication method requirement|channel binding|GSSAPI|service file|definition of service", _OPTION),
    (r"could not match [0-9]+ |could not parse network address", _OPTION),
    (r"password authentication failed|no password supplied|auth(entication)? failed", _USER),
    (r"role \".*\" does not exist|not permitted to log in|no such user", _USER),
    (r"database \".*\" does not exist|no such database", _NO_DATABASE),
    (r"permission denied", _NO_RIGHT),
    (r"too many (clients|connections)|remaining connection slots|no more connections allowed", _FULL_HOUSE),
    (r"query_wait_timeout|client_login_timeout", _POOLER_SILENT),
    (r"^no answer for|timeout expired|timed out", _SILENT),
    (r"server_login_retry|cannot connect to server|server conn crashed|server connection closed", _POOLER_ALONE),
    (r"^(query|idle transaction) timeout", _SLOW),
    (r"database .* is disabled", _STARTING),
    (r"statement pooling mode", _POOLER_MODE),
    (r"unsupported startup parameter", _POOLER_OPTION),
    (r"database system is|not yet accepting connections", _STARTING),
    (r"session is read-only|server is in hot standby|during recovery|recovery is in progress", _READ_ONLY),
    (r"session is not read-only|server is not in hot standby", _OPTION),
    # How libpq tells a server's own words: their gravity comes first, in the server's language.
    (r"failed: \w+:  ", REFUSED),
)
SQLITE: dict[int, Meaning] = {
    1: _BEHIND,
    3: _NO_RIGHT,
    5: ("is held by another process", "end that one, or run this again in a moment"),
    6: ("is held by another process", "end that one, or run this again in a moment"),
    8: ("takes no writes", "let this user write the file and its folder"),
    10: ("cannot be read or written", "look after the disk"),
    11: ("is damaged", "restore it from a backup"),
    13: _DISK,
    14: ("cannot be opened", "mend the path in DATABASE_URL, or let this user into its folder"),
    26: ("is no database", "name another file in DATABASE_URL, or restore it from a backup"),
}
