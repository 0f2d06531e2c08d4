from hypothesis import given, settings
from hypothesis import strategies as st

from tasktree_rt.cli.demo.tree import Folders, News

FOLDERS = [b"", b"a", b"a/b", b"a/b/c", b"d"]
Plan = list[tuple[bytes, str]]


def under(folder: bytes, path: bytes) -> bool:
    return folder == b"" or path == folder or path.startswith(folder + b"/")


FATES = ["done", "failed", "vanished", "cancelled", "reopened", "left"]


def happens(folders: Folders, path: bytes, fate: str) -> None:
    if fate == "vanished":
        folders.vanish(path)
    elif fate == "cancelled":
        folders.cancel(path)
    elif fate != "left":
        folders.finish(path, failed=fate in ("failed", "reopened"))


def expected(fates: list[str]) -> tuple[int, str]:
    finished = [fate for fate in fates if fate not in ("left", "reopened")]
    progress = 100 * len(finished) // len(fates) if fates else 100
    ended = "failed" if "failed" in fates else "cancelled" if "cancelled" in fates else "completed"
    return progress, ended if len(finished) == len(fates) else "running"


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(FATES))))
def test_a_folder_shows_what_counting_its_files_anew_gives(plan: Plan) -> None:
    folders = Folders()
    for path in FOLDERS:
        folders.add_folder(path)
    for path, _ in plan:
        folders.add_file(path)
    shown: dict[bytes, tuple[int, str]] = dict.fromkeys(FOLDERS, (0, "running"))

    def look() -> None:
        for news in folders.changed():
            assert news.again == (shown[news.path][1] != "running")
            shown[news.path] = (news.progress, news.status)

    for step, (path, fate) in enumerate(plan):
        happens(folders, path, fate)
        if step % 3 == 0:
            look()
        if fate == "reopened":
            folders.reopen(path)
    look()
    for folder in FOLDERS:
        fates = [fate for path, fate in plan if under(folder, path) and fate != "vanished"]
        assert shown[folder] == expected(fates)


def test_a_folder_is_told_only_when_what_it_shows_changes() -> None:
    folders = Folders()
    folders.add_folder(b"")
    for _ in range(10_000):
        folders.add_file(b"")
    told = 0
    for _ in range(10_000):
        folders.finish(b"", failed=False)
        told += len(folders.changed())
    assert told == 100


def test_once_ended_a_folder_does_not_change_again() -> None:
    folders = Folders()
    folders.add_folder(b"")
    folders.add_file(b"")
    folders.finish(b"", failed=False)
    assert folders.changed() == [News(b"", 100, "completed")]
    assert folders.changed() == []


def test_an_empty_folder_is_complete() -> None:
    folders = Folders()
    folders.add_folder(b"")
    assert folders.changed() == [News(b"", 100, "completed")]


def test_a_folder_that_cannot_be_read_fails_and_so_do_those_above_it() -> None:
    folders = Folders()
    folders.add_folder(b"")
    folders.add_folder(b"a")
    folders.add_folder(b"a/b", broken=True)
    folders.add_folder(b"c")
    assert folders.changed() == [
        News(b"a/b", 100, "failed"),
        News(b"a", 100, "failed"),
        News(b"c", 100, "completed"),
        News(b"", 100, "failed"),
    ]
