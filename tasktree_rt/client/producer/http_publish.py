"""One request of a `Publisher`, and what its answer means."""

from __future__ import annotations

import ssl
import time
from typing import Final

import httpx
from attrs import frozen

from tasktree_rt.client.interactions.prompts import Answer, Question, ask_steps
from tasktree_rt.client.transport.http_retry import (
    RETRIED,
    Came,
    Conversation,
    Pause,
    Request,
    Steps,
    built,
    read_refusal,
    retry_after,
)
from tasktree_rt.client.transport.tls import tls_problem
from tasktree_rt.client.transport.urls import events_url
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused

_FOR_ALL: Final = ("Authorization", "Content-Type")
_NOT_THE_EVENTS: Final = frozenset({401, 403, 404, 405, 407})
"""Refusals of the caller or the address: every part of the batch would meet the same."""


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
        token: str | None,
        timeout: float,
        transport: httpx.BaseTransport | None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        events_url(url, "")
        self.timeout = timeout
        self._transport = transport
        self._url = url
        headers = {"Producer-Id": producer_id, "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._verify = tls or False
        self._client = httpx.Client(
            headers=headers, timeout=timeout, transport=transport, verify=self._verify
        )

    def post(self, project_id: str, key: str, body: bytes) -> Posted:
        """Post a batch once, under idempotency key `key`; `body` is a JSON array of events."""
        try:
            response = self._client.post(
                events_url(self._url, project_id), content=body, headers={"Idempotency-Key": key}
            )
        except httpx.HTTPError as error:
            # Whether it was kept is not known; under the same key a repeat is harmless.
            why = tls_problem(error) or f"{type(error).__name__}: {error}"
            return Posted(ConnectionLost(why), again=True)
        return _read(response)

    def ask(self, question: Question, talk: Conversation) -> Answer:
        """Ask people, on a connection of its own; blocks until there is an answer, whatever ends it takes the
        question back (best effort).

        Raises:
            RequestRefused, ConnectionLost: see `Conversation.call`.
        """
        headers = {key: self._client.headers[key] for key in _FOR_ALL if key in self._client.headers}
        with httpx.Client(headers=headers, transport=self._transport, verify=self._verify) as client:
            try:
                return self._drive(client, ask_steps(question, talk))
            except BaseException as error:
                if not isinstance(error, ClientError):
                    self._send(client, Request("DELETE", question.path))
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
        try:
            return client.send(built(client, self._url, request, self.timeout))
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
