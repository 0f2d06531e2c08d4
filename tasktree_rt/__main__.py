"""``python -m tasktree_rt``: the same as the console script."""

from tasktree_rt.cli.entry import main

if __name__ == "__main__":
    main()
