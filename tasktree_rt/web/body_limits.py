"""Which requests may have a larger body than `limits.max_message_size`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tasktree_rt.settings import Settings

OTLP_PATHS: Final = ("/v1/traces", "/v1/logs", "/v1/metrics")


def body_limits(settings: Settings) -> Mapping[str, int]:
    """Return the maximum bytes of a body by the path of the request, where it is not the general limit."""
    return dict.fromkeys(OTLP_PATHS, settings.otlp.max_request)
