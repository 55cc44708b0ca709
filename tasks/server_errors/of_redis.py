"""What the words of Redis mean, those of its sentinels and those of redis-py, and what mends it."""

from __future__ import annotations

from tasks.server_errors.of_database import Meaning

_REDIS_USER = (
    "refuses the user or the password",
    "mend them in REDIS_URL: redis://:PASSWORD@HOST, or redis://USER:PASSWORD@HOST for a user of an ACL",
)
AWAY = (
    "is away",
    "start it, or mend REDIS_URL (rediss:// for a port that speaks TLS, redis:// for one that does not)",
)
SILENT = (
    "does not answer",
    "see whether its machine or its disk stands still, or something on the way drops what is sent; start it again, or "
    "mend REDIS_URL (rediss:// for a port that speaks TLS, redis:// for one that does not)",
)
TLS_ALONE = (
    "speaks TLS there",
    "write rediss:// in REDIS_URL (sentinels:// for sentinels), and name its CA with ssl_ca_certs",
)
NO_TLS = (
    "does not speak TLS there",
    "write redis:// in REDIS_URL (sentinel:// for sentinels), or have it speak TLS (tls-port)",
)
_OTHER_HOST = ("shows a certificate for another host", "write the host in REDIS_URL as the certificate names it")
_UNTRUSTED = (
    "shows a certificate that is not trusted",
    "name the file of the CA that signed it in REDIS_URL, like rediss://...?ssl_ca_certs=/path/to/ca.pem",
)
_OWN_CERTIFICATE = (
    "does not take this client's certificate, or gets none",
    "name one that its CA signed, and its key, in REDIS_URL: ssl_certfile and ssl_keyfile",
)
_TLS = ("cannot be asked over TLS", "its words tell why: mend the options of REDIS_URL, or the server's certificate")
_NO_REDIS = ("is no Redis: another protocol is spoken there", "mend the host and the port in REDIS_URL")
_OTHER_TYPE = (
    "has something else under a name of ours",
    "another program writes there, too: give Dialstock a database of its own (the number in REDIS_URL) or a "
    "REDIS_KEY_PREFIX, or take that key away; `dialstock doctor` names it",
)
_REDIS_RIGHT = ("does not give its user a right that is needed", "grant that (ACL SETUSER), or name another user")
CLUSTER = (
    "is a Redis Cluster, or a part of one, which is not supported",
    "name a server in REDIS_URL that is none (cluster-enabled no), or sentinels: "
    "sentinel://HOST:26379,HOST:26379,HOST:26379/NAME/0",
)
NEW_ROLE = "was given another role"
REDIS: dict[str, Meaning] = {
    "NOAUTH": ("asks for a password", "write it in REDIS_URL: redis://:PASSWORD@HOST"),
    "WRONGPASS": _REDIS_USER,
    "NOPERM": _REDIS_RIGHT,
    "READONLY": ("is a replica, which takes no writes", "name the master in REDIS_URL, or promote this one"),
    "MISCONF": ("takes no writes: it cannot save to its disk", "make room there; its own log tells why it cannot save"),
    "OOM": ("has no memory left", "raise maxmemory, or take out what others keep there"),
    "LOADING": ("is loading its data", "it is asked again; this passes by itself"),
    "MASTERDOWN": ("is a replica that has lost its master", "start the master, or name it in REDIS_URL"),
    "NOREPLICAS": ("takes no writes: too few of its replicas are there", "start them, or lower min-replicas-to-write"),
    "BUSY": (
        "is held up by a script",
        "end it: SCRIPT KILL, or FUNCTION KILL; one that has written ends with the server alone; later SLOWLOG GET "
        "tells which it was",
    ),
    "WRONGTYPE": _OTHER_TYPE,
    "UNBLOCKED": (NEW_ROLE, "it is asked again; this passes by itself"),
    "CLUSTERDOWN": CLUSTER,
    "MOVED": CLUSTER,
    "ASK": CLUSTER,
    "CROSSSLOT": CLUSTER,
}
REDIS_WORDS: tuple[tuple[str, Meaning], ...] = (
    (
        r"was the master, and is a replica now",
        ("has another master", "its sentinels tell which within seconds: it is asked again"),
    ),
    (
        r"sentinels know no master",
        ("has no master of that name", "write it in REDIS_URL as the sentinels have it (SENTINEL MASTERS)"),
    ),
    (
        r"a sentinel does not let us in",
        ("is behind sentinels that ask for a password", "write it in REDIS_URL: .../NAME/0?sentinel_password=PASSWORD"),
    ),
    (
        r"no sentinel answers",
        ("is away", "start its sentinels, or mend their addresses in REDIS_URL (sentinels:// where they speak TLS)"),
    ),
    (
        r"its master is down",
        ("has no master now", "a failover follows within seconds; else SENTINEL CKQUORUM NAME tells what is missing"),
    ),
    # Valkey's and Redis's word where a script is refused what NOPERM refuses a client.
    (r"ACL failure in script|user executing the script can't", _REDIS_RIGHT),
    (r"without any password configured|invalid password|invalid username-password", _REDIS_USER),
    (r"WRONG_VERSION_NUMBER", NO_TLS),
    (r"(Hostname|IP address) mismatch", _OTHER_HOST),
    (r"CERTIFICATE_VERIFY_FAILED|certificate verify failed", _UNTRUSTED),
    (r"CERTIFICATE_REQUIRED|ALERT_(UNKNOWN_CA|BAD_CERTIFICATE)", _OWN_CERTIFICATE),
    (r"\[SSL: (?!UNEXPECTED_EOF)", _TLS),
    (r"Protocol error, got", _NO_REDIS),
    (
        r"unknown (command|subcommand)",
        (
            "does not know a command that is needed",
            "have it neither renamed nor taken away there, or name another server",
        ),
    ),
    (r"max number of clients reached", ("has no connection left", "run fewer processes, or raise maxclients")),
    (r"DB index is out of range|SELECT is not allowed", ("has no such database", "mend the number in REDIS_URL")),
)
