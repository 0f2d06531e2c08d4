"""What the CI system that we run in says of itself: a project that all jobs of one pipeline share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class CiRun(NamedTuple):
    """One run of a pipeline.

    Attributes:
        project: a project id, the same in all jobs of the run, once it is made to fit.
        labels: of the project: branch and commit.
    """

    project: str
    title: str
    url: str | None
    labels: dict[str, str]


def ci_run(environment: Mapping[str, str]) -> CiRun | None:
    """Return what GitHub Actions, Buildkite or GitLab CI say in their variables; None elsewhere."""
    for read in (_github, _buildkite, _gitlab):
        found = read(environment)
        if found is not None:
            return found
    return None


def _github(env: Mapping[str, str]) -> CiRun | None:
    repository, number = env.get("GITHUB_REPOSITORY"), env.get("GITHUB_RUN_ID")
    if env.get("GITHUB_ACTIONS") != "true" or not repository or not number:
        return None
    server = env.get("GITHUB_SERVER_URL", "https://github.com")
    title = f"{env.get('GITHUB_WORKFLOW') or repository} #{env.get('GITHUB_RUN_NUMBER') or number}"
    url = f"{server}/{repository}/actions/runs/{number}"
    return CiRun(f"gh:{repository}:{number}", title, url, _labels(env, "GITHUB_REF_NAME", "GITHUB_SHA"))


def _buildkite(env: Mapping[str, str]) -> CiRun | None:
    pipeline, number = env.get("BUILDKITE_PIPELINE_SLUG"), env.get("BUILDKITE_BUILD_NUMBER")
    if env.get("BUILDKITE") != "true" or not pipeline or not number:
        return None
    labels = _labels(env, "BUILDKITE_BRANCH", "BUILDKITE_COMMIT")
    return CiRun(f"bk:{pipeline}:{number}", f"{pipeline} #{number}", env.get("BUILDKITE_BUILD_URL"), labels)


def _gitlab(env: Mapping[str, str]) -> CiRun | None:
    path, number = env.get("CI_PROJECT_PATH"), env.get("CI_PIPELINE_ID")
    if env.get("GITLAB_CI") != "true" or not path or not number:
        return None
    labels = _labels(env, "CI_COMMIT_REF_NAME", "CI_COMMIT_SHA")
    return CiRun(f"gl:{path}:{number}", f"{path} #{number}", env.get("CI_PIPELINE_URL"), labels)


def _labels(env: Mapping[str, str], branch: str, commit: str) -> dict[str, str]:
    found = {"branch": env.get(branch), "commit": (env.get(commit) or "")[:12]}
    return {name: value for name, value in found.items() if value}
