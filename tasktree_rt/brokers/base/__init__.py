"""What the hub asks of a store, one module for each thing that a store keeps.

`log` has the events, `states` checkpoints and snapshots, `interactions` prompts and commands, `producers` the
ids of publishes, `projects` what is known of all logs, `following` what other hubs append, `search` finds
events by their words, `damage` what can be read of a damaged one, `access` API keys and revocations; `Broker`
is all of them. The docstrings are the contract. ``tests/brokers/contract.py`` holds every broker to it.
"""

from tasktree_rt.brokers.base.access import Access, ApiKey, Revocation
from tasktree_rt.brokers.base.broker import KEPT_DEATHS_AGE, Broker, Retention, Trimmed
from tasktree_rt.brokers.base.damage import Outline, Salvaged
from tasktree_rt.brokers.base.following import Following, Foreign, Heard
from tasktree_rt.brokers.base.interactions import Interaction, Settled
from tasktree_rt.brokers.base.log import Append, Appended, Death, Draft, Life, Moved, Outcome
from tasktree_rt.brokers.base.projects import Summary
from tasktree_rt.brokers.base.publish_ids import KEPT_IDS, KEPT_IDS_AGE, Conflict, Duplicate, Key
from tasktree_rt.brokers.base.search import Bounds, Found, Hit, Place, Where
from tasktree_rt.brokers.base.states import Checkpoint, Snapshot

__all__ = [
    "KEPT_DEATHS_AGE",
    "KEPT_IDS",
    "KEPT_IDS_AGE",
    "Access",
    "ApiKey",
    "Append",
    "Appended",
    "Bounds",
    "Broker",
    "Checkpoint",
    "Conflict",
    "Death",
    "Draft",
    "Duplicate",
    "Following",
    "Foreign",
    "Found",
    "Heard",
    "Hit",
    "Interaction",
    "Key",
    "Life",
    "Moved",
    "Outcome",
    "Outline",
    "Place",
    "Retention",
    "Revocation",
    "Salvaged",
    "Settled",
    "Snapshot",
    "Summary",
    "Trimmed",
    "Where",
]
