"""Every setting with its default, unit and bounds. Instances are frozen and valid.

A constructor checks every field first, then the rules between fields. An invalid value raises
`UnfitSetting`, which names the field. `tasktree_rt.cli.settings_sources` reads values from the file, the
environment and the flags.
"""

from tasktree_rt.settings.auth import Auth
from tasktree_rt.settings.bounds import NO_RATES, Delivery, Drain, Keep, Limits, Rates, Search
from tasktree_rt.settings.checks import (
    KIB,
    LONGEST,
    MIB,
    MOST,
    SECRET_BYTES,
    UNIX,
    UNIX_PROXY,
    UnfitSetting,
    is_loopback,
    is_origin,
    is_server_name,
    parse_bind,
    shown_value,
)
from tasktree_rt.settings.compression import Compression
from tasktree_rt.settings.dialects import Aiecs, AutoGpt, Execution, People
from tasktree_rt.settings.otlp import Otlp
from tasktree_rt.settings.redis import Redis, is_redis
from tasktree_rt.settings.settings import Logging, Settings
from tasktree_rt.settings.tls import Tls

__all__ = [
    "KIB",
    "LONGEST",
    "MIB",
    "MOST",
    "NO_RATES",
    "SECRET_BYTES",
    "UNIX",
    "UNIX_PROXY",
    "Aiecs",
    "Auth",
    "AutoGpt",
    "Compression",
    "Delivery",
    "Drain",
    "Execution",
    "Keep",
    "Limits",
    "Logging",
    "Otlp",
    "People",
    "Rates",
    "Redis",
    "Search",
    "Settings",
    "Tls",
    "UnfitSetting",
    "is_loopback",
    "is_origin",
    "is_redis",
    "is_server_name",
    "parse_bind",
    "shown_value",
]
