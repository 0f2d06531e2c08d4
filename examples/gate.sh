#!/bin/sh
# A script that goes on only if a person says so.  TASKTREE_RT_HUB=URL sh gate.sh
set -eu

if version=$(tasktree-rt ask "Which version goes out?" --project gate --timeout 10m \
    --option v1="v1, as before" --option v2="v2, the new one"); then
    echo "deploying $version"
else
    code=$?
    case $code in
        1) echo "somebody said no" ;;
        3) echo "nobody answered" ;;
        *) echo "it is not known whether to go on" >&2 ;;
    esac
    exit "$code"
fi
