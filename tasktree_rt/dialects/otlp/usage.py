"""The model, the tokens and the cost of a span, by the names of all conventions."""

from __future__ import annotations

from typing import Final

from tasktree_rt.core.event_schema import MAX_MODEL
from tasktree_rt.core.events import Json
from tasktree_rt.core.usage import MAX_COST, MAX_TOKENS
from tasktree_rt.dialects.otlp.records import Attributes

_MODEL: Final = (
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.model_name",
    "embedding.model_name",
    "llm.request.model",
)
_TOKENS: Final = {
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "output_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
    ),
    "total_tokens": ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total"),
    "cache_read_input_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "cache_creation_input_tokens": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning_output_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
}
"""Keys of ``usage``, with the attributes that hold each, the newest name first."""
_COST: Final = ("gen_ai.usage.cost", "operation.cost", "llm.cost.total", "gen_ai.usage.total_cost")


def model_of(attributes: Attributes) -> str | None:
    """Return the name of the model; None if there is none."""
    for name in _MODEL:
        value = attributes.get(name)
        if isinstance(value, str) and value not in ("", "unknown"):
            return value[:MAX_MODEL]
    return None


def usage_of(attributes: Attributes) -> Json:
    """Return the tokens, by the keys of a node's ``usage``."""
    found: Json = {}
    for key, names in _TOKENS.items():
        count = next((one for name in names if (one := _tokens(attributes.get(name))) is not None), None)
        if count is not None:
            found[key] = count
    return found


def cost_of(attributes: Attributes) -> float | None:
    """Return the cost in US dollars; None if there is none."""
    for name in _COST:
        value = attributes.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MAX_COST:
            return value
    return None


def _tokens(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TOKENS
    return value if good and isinstance(value, int) else None
