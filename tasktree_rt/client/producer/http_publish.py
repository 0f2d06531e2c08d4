"""One request of a `Publisher`, and what its answer means."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Final

import httpx
from attrs import frozen

from tasktree_rt.client.interactions.prompts import Answer, Question, ask_steps
from tasktree_rt.client.transport.errors import NoToken
from tasktree_rt.client.transport.http_retry import (
    RETRIED,
    Came,
    Conversation,
    Pause,
    Request,
    Steps,
    built,
    needs_another,
    read_refusal,
    retry_after,
)
from tasktree_rt.client.transport.tls import tls_problem
from tasktree_rt.client.transport.tokens import ThreadTokens, TokenSource, bearer, without_token
from tasktree_rt.client.urls import events_url
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused

_JSON: Final = {"Content-Type": "application/json"}
_NOT_THE_EVENTS: Final = frozenset({401, 403, 404, 405, 407})
"""Refusals of the caller or the address: every part of the batch would meet the same."""

Sent = httpx.Response | httpx.HTTPError | NoToken


@frozen
class Posted:
    """What became of a request.

    Attributes:
        error: None, if the hub has the events.
        again: the same may be sent again, after `retry_after` seconds if given.
        splittable: one of several publishes in it may be at fault, and nothing of it was kept.
    """

    error: ClientError | None = None
    again: bool = False
    splittable: bool = False
    retry_after: float | None = None


class Poster:
    """Posts events to the hub at `url`.

    Raises:
        ValueError: not an address.
    """

    def __init__(
        self,
        url: str,
        producer_id: str,
        token: TokenSource,
        timeout: float,
        transport: httpx.BaseTransport | None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        url, token = without_token(url, token)
        events_url(url, "")
        self._tokens = ThreadTokens(token)
        self.timeout = timeout
        self._transport = transport
        self._url = url
        headers = {"Producer-Id": producer_id, **_JSON}
        self._verify = tls or False
        self._client = httpx.Client(
            headers=headers, timeout=timeout, transport=transport, verify=self._verify
        )

    def post(self, project_id: str, key: str, body: bytes) -> Posted:
        """Post a batch once, under idempotency key `key`; `body` is a JSON array of events."""
        url, named = events_url(self._url, project_id), {"Idempotency-Key": key}
        came = self._admitted(
            lambda token: self._client.post(url, content=body, headers=named | bearer(token))
        )
        if isinstance(came, httpx.Response):
            return _read(came)
        # Whether it was kept is not known; under the same key a repeat is harmless.
        why = tls_problem(came) or f"{type(came).__name__}: {came}"
        return Posted(ConnectionLost(str(came) if isinstance(came, NoToken) else why), again=True)

    def ask(self, question: Question, talk: Conversation) -> Answer:
        """Ask people, on a connection of its own; blocks until there is an answer, whatever ends it takes the
        question back (best effort).

        Raises:
            RequestRefused, ConnectionLost: see `Conversation.call`.
        """
        with httpx.Client(headers=_JSON, transport=self._transport, verify=self._verify) as client:
            try:
                return self._drive(client, ask_steps(question, talk))
            except BaseException as error:
                if not isinstance(error, ClientError):
                    self._send(client, Request("DELETE", question.path, question.place))
                raise

    def _drive(self, client: httpx.Client, steps: Steps[Answer]) -> Answer:
        came: Came = None
        try:
            while True:
                step = steps.send(came)
                came = None
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                else:
                    came = self._send(client, step)
        except StopIteration as end:
            found: Answer = end.value
            return found

    def _send(self, client: httpx.Client, request: Request) -> Came:
        return self._admitted(
            lambda token: client.send(built(client, self._url, request, self.timeout, token))
        )

    def _admitted(self, send: Callable[[str | None], httpx.Response]) -> Sent:
        """Send with the present token, again with another where the hub refuses the first."""
        refusal: httpx.Response | None = None
        try:
            while True:
                token = self._tokens.get()
                came = send(token)
                if not needs_another(self._tokens.store, token, came):
                    return came
                refusal = came
        except NoToken as error:
            return refusal if error.final and refusal is not None else error
        except httpx.HTTPError as error:
            return error

    def close(self) -> None:
        """Close the HTTP connections to the hub."""
        self._client.close()


def _read(response: httpx.Response) -> Posted:
    status = response.status_code
    if response.is_success:
        return Posted()
    found = read_refusal(response)
    refusal = PublishRefused(found.code, found.message, found.field)
    if status >= 500 or status in RETRIED:
        return Posted(ConnectionLost(str(refusal)), again=True, retry_after=retry_after(response))
    return Posted(refusal, splittable=status not in _NOT_THE_EVENTS)
