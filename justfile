# Every command that a person or CI runs. Nothing is taken from PATH but bash, git and python3, and for the pages Node and
# npm: the recipes use what is in .venv, which the caller creates:
#     python3 -m venv .venv && .venv/bin/pip install rust-just && .venv/bin/just demo

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments
set ignore-comments

root := justfile_directory()
bin := root / ".venv" / "bin"
wanted := sha256_file(root / "pyproject.toml") + " " + sha256_file(root / "constraints.txt")

export PIP_DISABLE_PIP_VERSION_CHECK := "1"

# list the recipes
[private]
default:
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --list --unsorted

# install the project and its tools into .venv, if pyproject.toml or constraints.txt changed
setup: (_install "dev")

# pip-install an extra, once per Python and state of pyproject.toml and constraints.txt: a stamp file keeps what was installed
[no-exit-message]
_install extra:
    @[[ -x .venv/bin/python ]] || { echo "just: no .venv here; first: python3 -m venv .venv" >&2; exit 2; }
    @stamp=".venv/.installed-$1"; wanted="$(.venv/bin/python -V) {{ wanted }}"; \
    if [[ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]]; then \
        echo "just: installing .[$1] into .venv" >&2; \
        .venv/bin/python -m pip install --quiet --constraint constraints.txt hatchling editables; \
        .venv/bin/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable ".[$1]"; \
        echo "$wanted" >"$stamp"; \
    fi

# run a hub on a real folder and watch it: just demo [FOLDER] [--once] [--pace N] …
[no-cd, no-exit-message]
demo *ARGS: setup _ui
    @exec "{{ bin }}/tasktree-rt" demo "$@"

# run a hub: just serve [--bind HOST:PORT] [--store sqlite:PATH|memory:] …
[no-cd, no-exit-message]
serve *ARGS: setup _ui
    @exec "{{ bin }}/tasktree-rt" serve "$@"

# build the pages into tasktree_rt/web/static/app with npm, if their sources changed
[no-exit-message]
ui: setup
    @.venv/bin/python hatch_build.py ui

# the same, but where there is no npm the hub goes on as it is
[no-exit-message]
_ui: setup
    @.venv/bin/python hatch_build.py ui --if-possible

# run a script of the frontend's, if that is here; without npm CI fails, and anybody else is told
[no-exit-message]
_npm *SCRIPT: setup
    @if [[ ! -d frontend ]]; then exit 0; fi; \
    if command -v npm >/dev/null || [[ -n "${CI:-}" ]]; then .venv/bin/python hatch_build.py "$@"; \
    else echo "just: no npm here: the frontend's $* is left out" >&2; fi

# make frontend/src/core/api.ts of the AsyncAPI document
types: (_npm "types")

# run all tests; arguments go to pytest: just test tests/core -k tree
[no-exit-message]
test *ARGS: setup (_npm "test") _ui
    # The frontend's own tests and those in a browser come before pytest, whose closing line stays the last.
    @if [[ $# -eq 0 ]]; then "{{ just_executable() }}" --justfile "{{ justfile() }}" e2e; fi
    # Half of the time a test waits for a process or a socket: two tests a core at once.
    @.venv/bin/python -m pytest -n "$((2 * $(nproc)))" "$@"

# test the integrations against the real packages, in an environment of their own; arguments go to pytest
[no-exit-message]
test-integrations *ARGS:
    @[[ -x .venv-integrations/bin/python ]] || python3 -m venv .venv-integrations
    @.venv-integrations/bin/python -m pip install --quiet --constraint constraints.txt hatchling editables
    @TASKTREE_RT_NO_UI=1 .venv-integrations/bin/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable ".[dev]"
    @.venv-integrations/bin/python -m pip install --quiet --requirement tests/integrations/requirements.txt
    @.venv-integrations/bin/python -m pytest tests/integrations "$@"

# test the dashboard in a real browser (Debian's chromium), against real hubs; arguments go to vitest
[no-exit-message]
e2e *ARGS: setup _ui
    @if [[ ! -d frontend ]]; then exit 0; fi; \
    if [[ -x "${CHROMIUM:-/usr/bin/chromium}" ]]; then .venv/bin/python hatch_build.py e2e -- "$@"; \
    elif [[ -n "${CI:-}" ]]; then echo "just: no chromium" >&2; exit 1; \
    else echo "just: no chromium here: the tests in a browser are left out" >&2; fi

# measure the dashboard in a real browser, beside a plain list of the same data: just bench-ui [--minutes 5] [--rounds 5]
[no-exit-message]
bench-ui *ARGS: setup ui
    @.venv/bin/python hatch_build.py bench -- "$@"

# take pictures of every page into docs/images
[no-exit-message]
screenshots: setup ui
    @.venv/bin/python hatch_build.py screenshots

# check format, lint, types and layers
check: setup (_npm "check") _ui (_npm "size")
    .venv/bin/ruff format --check .
    .venv/bin/ruff check .
    .venv/bin/mypy
    .venv/bin/lint-imports

# format the code and mend what can be mended by itself
fmt: setup
    .venv/bin/ruff check --fix-only .
    .venv/bin/ruff format .
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" _npm fmt

# measure the hub beside its peers, installed into .bench on first use: just bench [SCENARIO…] [--rounds N] [--quick] [--only PEER] [--against REV]
[no-exit-message]
bench *ARGS: setup
    @.venv/bin/python -m tests.bench "$@"

# take all figures again in one go, on a machine that does nothing else for some three hours: bench, bench-ui, an hour of soak
[no-exit-message]
bench-all: setup ui
    @failed=0; \
    .venv/bin/python -m tests.bench || failed=1; \
    .venv/bin/python hatch_build.py bench || failed=1; \
    .venv/bin/python -m tests.soak --hours 1 --plot docs/benchmarks/soak.svg || failed=1; \
    exit "$failed"

# the slow proof: kill -9 under load, twenty times in a row
[no-exit-message]
crash *ARGS: setup
    @.venv/bin/python -m pytest tests/server/test_crash.py --crash-rounds 20 "$@"

# a load test for a long time, with everything at once; nothing may be lost, and nothing may grow: just soak [--hours 1] [--plot FILE]
[no-exit-message]
soak *ARGS: setup
    @.venv/bin/python -m tests.soak "$@"

# the slow proof of revocation: ten thousand connections, of which one user's end
[no-exit-message]
storm *ARGS: setup
    @.venv/bin/python -m pytest tests/server/test_revocation_storm.py --storm-connections 10000 -o faulthandler_timeout=0 "$@"

# try to break the promises by chance: just simulate [--seeds N] [--from S | --new] [--jobs 2] [--seed S] [--mutants]
[no-exit-message]
simulate *ARGS: setup
    @.venv/bin/python -m tests.simulation "$@"

# build the documentation as a site, which hubs serve at /docs/manual/; fails at a link that leads nowhere
[no-exit-message]
docs: (_install "docs")
    @NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --quiet --strict --clean --config-file deploy/site/mkdocs.yml
    @echo "just: built tasktree_rt/web/static/manual ($(du -sk tasktree_rt/web/static/manual | cut -f1) KiB)" >&2

# build the documentation and try it in a browser: contrast, labels, search
[no-exit-message]
manual: docs ui
    @.venv/bin/python hatch_build.py e2e -- manual

# build the wheel into dist/, with the pages and the documentation
wheel: setup docs
    .venv/bin/python -m build --wheel --no-isolation --outdir dist

# check a release and publish nothing: just release-check [--rehearsal]
[no-exit-message]
release-check *ARGS: setup (_install "release") docs ui
    @.venv/bin/python deploy/release.py "$@"

# compare every pinned part with known vulnerabilities; exit code 1: found, 3: no database answered
[no-exit-message]
audit: setup
    @.venv/bin/python deploy/supply_chain.py audit

# list all parts of a release as CycloneDX, in dist/
sbom: setup
    @.venv/bin/python deploy/supply_chain.py sbom

# prove HEAD in fresh clones: both commands of the README, then the wheel in an environment of its own
fresh:
    #!/usr/bin/env bash
    set -euo pipefail
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    export XDG_STATE_HOME="$tmp/state" # no hub of this user is in the way
    head=$(git rev-parse HEAD)
    clone() {
        git clone --quiet --no-hardlinks . "$tmp/$1"
        git -C "$tmp/$1" checkout --quiet --detach "$head"
        cd "$tmp/$1"
    }
    readme() { # run the README's command that ends in "just $1", with $2 behind it
        local command="python3 -m venv .venv && .venv/bin/pip install rust-just && .venv/bin/just $1"
        grep -qF -- "$command" README.md || { echo "fresh: README.md lacks: $command" >&2; exit 1; }
        echo "fresh: $command $2"
        bash -c "$command $2"
    }
    (
        clone demo
        readme demo --once
    )
    (
        clone test
        readme test ""
    )
    (
        cd "$tmp/test"
        .venv/bin/just wheel
        python3 -m venv "$tmp/elsewhere"
        "$tmp/elsewhere/bin/pip" install --quiet "$(ls "$PWD"/dist/*.whl)[hub]" # by its own bounds: without the constraints
        "$tmp/elsewhere/bin/pip" check
        cd "$tmp"
        "$tmp/elsewhere/bin/tasktree-rt" --version
        python3 "$tmp/test/tests/fresh.py" "$tmp/elsewhere/bin/tasktree-rt"
    )
    echo "fresh: all holds at $head"

# prove the client without the hub: installed alone with the oldest packages that it allows, it talks to this hub
[no-exit-message]
client: setup
    @.venv/bin/python -m tests.oldest_client

# resolve all dependencies anew and pin them in constraints.txt
pin:
    #!/usr/bin/env bash
    set -euo pipefail
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    .venv/bin/python -m venv "$tmp/venv"
    TASKTREE_RT_NO_UI=1 "$tmp/venv/bin/pip" install --quiet ".[dev,bench,fuzz,release]"
    { sed '/^[^#]/,$d' constraints.txt; "$tmp/venv/bin/pip" freeze --exclude tasktree-rt; } >"$tmp/pins"
    cp "$tmp/pins" constraints.txt

# fuzz the decoders that face the network: just fuzz [TARGET …] [--seconds N] [--keep] [--input FILE]
[no-exit-message]
fuzz *ARGS: setup
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" _install fuzz || echo "just: no atheris for this Python" >&2
    @.venv/bin/python -m tests.fuzz "$@"
