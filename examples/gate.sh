#!/bin/sh
# A script that continues only after a person's yes.  TASKTREE_RT_HUB=URL sh gate.sh
set -eu

if version=$(tasktree-rt ask "Which version goes out?" --project gate --timeout 10m \
    --option v1="v1, as before" --option v2="v2, the new one"); then
    echo "deploying $version"
else
    code=$?
    case $code in
        1) echo "the answer is no" ;;
        3) echo "no answer in time" ;;
        *) echo "the answer is unknown" >&2 ;;
    esac
    exit "$code"
fi
