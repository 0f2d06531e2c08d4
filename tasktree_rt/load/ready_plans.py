"""Ready plans, as the TOML that a user would write; ``--plan NAME``, and flags change single fields."""

from __future__ import annotations

from typing import Final

READY: Final = {
    "dashboard": """
# A team's wall of dashboards: many people, a few busy projects, page reloads now and then.
dialect = "tasktree.v1"
watchers = 500
projects = 20
spread = "skewed"
ramp = "5s"
rate = 100
size = "512B"
nodes = 200
burst = 100
burst_every = "10s"
churn = 2
duration = "1m"
""",
    "storm": """
# Everybody reconnects in the same moment, as after the restart of a proxy.
dialect = "tasktree.v1"
watchers = 2000
projects = 20
ramp = "5s"
rate = 50
storms = ["10s", "30s"]
duration = "45s"
settle = "30s"
""",
    "slow-readers": """
# A tenth of the readers is slow, a few read nothing at all. The others must not notice.
dialect = "tasktree.v1"
watchers = 500
projects = 5
rate = 200
size = "2KB"
slow = "10%"
slow_rate = "4KB"
stalled = "2%"
half_open = "1%"
duration = "1m"
settle = "30s"
""",
    "soak": """
# Everything at once, for an hour: what grows shows here.
dialect = {"tasktree.v1" = 3, plain = 1, sse = 1}
watchers = 300
projects = 15
spread = "skewed"
ramp = "10s"
rate = 60
size = "700B"
burst = 200
burst_every = "30s"
slow = "5%"
slow_rate = "20KB"
stalled = "1%"
half_open = "1%"
churn = 3
prompts = 0.5
duration = "1h"
settle = "60s"
""",
}
