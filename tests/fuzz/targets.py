"""Every decoder that faces the network, as a fuzz target."""

from __future__ import annotations

from typing import Final

from tests.fuzz import compression, foreign, forwarded, hooks, jwks, stage, wire, words
from tests.fuzz.target import Target

TARGETS: Final = {
    one.name: one
    for one in (
        Target("head", wire.run_head, wire.HEAD_WORDS, 0.1),
        Target("handshake", stage.run_handshake, (*wire.HEAD_WORDS, *stage.QUERY_WORDS), 0.5),
        Target("frames", wire.run_frames, wire.FRAME_WORDS, 0.8),
        Target("offers", compression.run_offers, compression.OFFER_WORDS, 0.05),
        Target("inflated", compression.run_inflated, compression.DEFLATE_WORDS, 1.0),
        Target("request", words.run_request, words.REQUEST_WORDS, 0.05),
        Target("event", words.run_event, words.EVENT_WORDS, 0.1),
        Target("publish", stage.run_publish, words.EVENT_WORDS, 0.9),
        Target("http", stage.run_http, (*stage.HTTP_WORDS, *words.EVENT_WORDS), 1.2),
        Target("execution", words.run_execution, words.REQUEST_WORDS, 0.05),
        Target("autogpt", foreign.run_autogpt, foreign.AUTOGPT_WORDS, 0.05),
        Target("aiecs", foreign.run_aiecs, foreign.AIECS_WORDS, 0.05),
        Target("redis", foreign.run_redis, foreign.REDIS_WORDS, 3.0),
        Target("work", stage.run_work, words.WORK_WORDS, 4.0),
        Target("query", stage.run_query, stage.QUERY_WORDS, 4.0),
        Target("position", words.run_position, (*words.JSON_WORDS, *stage.QUERY_WORDS), 0.12),
        Target("token", words.run_token, words.TOKEN_WORDS, 0.2),
        Target("jwks", jwks.run_jwks, (*words.JSON_WORDS, *jwks.JWKS_WORDS), 1.0),
        Target("claims", words.run_claims, words.CLAIM_WORDS, 0.4),
        Target("hook", hooks.run_answers, hooks.ANSWER_WORDS, 0.2),
        Target("forwarded", forwarded.run_forwarded, forwarded.FORWARDED_WORDS, 0.1),
        Target("client", words.run_client, words.CLIENT_WORDS, 0.2),
    )
}
