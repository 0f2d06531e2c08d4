"""The queue of a `Publisher`: batches by project, room, counts and the end."""

from __future__ import annotations

import pytest

from tasktree_rt.client.producer.job_queue import MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Job, JobQueue
from tasktree_rt.errors import ConnectionLost


def filled(*jobs: Job, max_waiting: int = 10_000, max_bytes: int = 10**9) -> JobQueue:
    queue = JobQueue(max_waiting, max_bytes)
    for job in jobs:
        queue.put(job, 0)
    return queue


def batch_of(queue: JobQueue) -> list[Job]:
    batch = queue.next_batch()
    assert batch is not None
    return batch


def test_projects_take_turns_and_each_keeps_its_order() -> None:
    jobs = [Job(project, b"%d" % n, MAX_BATCH_EVENTS) for n in range(2) for project in ("p", "q")]
    queue = filled(*jobs)
    order = [(job.project_id, job.body) for _ in jobs for job in batch_of(queue)]
    assert order == [("p", b"0"), ("q", b"0"), ("p", b"1"), ("q", b"1")]


@pytest.mark.parametrize(("events", "size"), [(MAX_BATCH_EVENTS // 2, 1), (1, MAX_BATCH_BYTES // 2)])
def test_a_batch_is_bounded_by_events_and_bytes(events: int, size: int) -> None:
    queue = filled(*(Job("p", b"x" * size, events) for _ in range(5)))
    assert [len(batch_of(queue)) for _ in range(3)] == [2, 2, 1]


def test_a_job_that_is_taken_out_needs_its_room_until_it_is_settled() -> None:
    queue = filled(Job("p", b"x", 2), max_waiting=2)
    batch = batch_of(queue)
    with pytest.raises(TimeoutError):
        queue.put(Job("p", b"x", 1), 0)
    queue.settle(batch, delivered=2)
    queue.put(Job("p", b"x", 9), 0)  # one alone always has room
    assert queue.statistics().waiting == 9


def test_bytes_are_bounded_too_and_parts_count_in_place_of_the_whole() -> None:
    queue = filled(Job("p", b"x" * 8, 1), max_bytes=10)
    [job] = batch_of(queue)
    parts = [Job("p", b"x" * 5, 1) for _ in range(2)]
    queue.divide(job, parts)
    assert (queue.statistics().published, queue.statistics().waiting) == (2, 2)
    queue.settle(parts[:1], refused=1)
    queue.put(Job("p", b"x" * 5, 1), 0)
    with pytest.raises(TimeoutError):
        queue.put(Job("p", b"x", 1), 0)


def test_a_closed_queue_gives_what_is_left_and_one_that_is_given_up_does_not() -> None:
    queue = filled(Job("p", b"x", 1), Job("q", b"x", 1))
    queue.close()
    with pytest.raises(ConnectionLost):
        queue.put(Job("p", b"x", 1), 0)
    assert [job.project_id for job in batch_of(queue)] == ["p"]
    queue.give_up()
    assert queue.next_batch() is None
    assert not queue.pause(ConnectionLost("away"), 100)
    assert [job.project_id for job in queue.take_rest()] == ["q"]
    assert (queue.statistics().retries, queue.statistics().last_error) == (1, "away")
