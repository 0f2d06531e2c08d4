import pytest

from tasktree_rt.integrations.ci import ci_run
from tasktree_rt.integrations.naming import new_node_id, own_project

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_RUN_ID": "71",
    "GITHUB_RUN_NUMBER": "8",
    "GITHUB_WORKFLOW": "Tests",
    "GITHUB_REF_NAME": "main",
    "GITHUB_SHA": "0123456789abcdef",
}
BUILDKITE = {
    "BUILDKITE": "true",
    "BUILDKITE_PIPELINE_SLUG": "shop",
    "BUILDKITE_BUILD_NUMBER": "9",
    "BUILDKITE_BUILD_URL": "https://ci/9",
}
GITLAB = {"GITLAB_CI": "true", "CI_PROJECT_PATH": "acme/shop", "CI_PIPELINE_ID": "10"}


@pytest.mark.parametrize(
    ("variables", "project", "title"),
    [
        (GITHUB, "gh:acme-shop:71", "Tests #8"),
        (BUILDKITE, "bk:shop:9", "shop #9"),
        (GITLAB, "gl:acme-shop:10", "acme/shop #10"),
    ],
)
def test_all_jobs_of_a_pipelines_run_meet_in_one_project(
    variables: dict[str, str], project: str, title: str
) -> None:
    found = own_project(None, "folder", variables)
    assert (found.id, found.fields["title"], found.own) == (project, title, False)


def test_a_run_says_its_branch_commit_and_address() -> None:
    run = ci_run(GITHUB)
    assert run is not None
    assert run.labels == {"branch": "main", "commit": "0123456789ab"}
    assert run.url == "https://github.com/acme/shop/actions/runs/71"


def test_who_names_a_project_owns_it_and_who_inherits_one_does_not() -> None:
    assert own_project("mine", "folder", GITHUB)[:3] == ("mine", {}, True)
    assert own_project(None, "folder", {"TASKTREE_RT_PROJECT": "theirs", **GITHUB})[:3] == (
        "theirs",
        {},
        False,
    )


def test_a_made_up_project_is_new_each_time_and_of_its_folders_series() -> None:
    one, two = own_project(None, "my shop", {}), own_project(None, "my shop", {})
    assert one.id != two.id
    assert one.id.startswith("my-shop-")
    assert (one.fields, one.own, one.made_up) == ({"series": "my-shop"}, True, True)


def test_a_new_nodes_id_says_what_it_is_of() -> None:
    assert new_node_id("make -j8  all").startswith("make-j8-all-")
    assert new_node_id("") != new_node_id("")
