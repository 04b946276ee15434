#!/usr/bin/env bash
# Runs one mlgate command in mlgate's own environment, after installing into it what the command needs. Nothing to install: a few
# milliseconds. The user's Python, PATH and packages stay as they are.
#
#   mlgate.sh <command> [options]      see `mlgate.sh --help`
#   mlgate.sh --environment            for actions/setup: print path=, key= of the environment, to cache it
#
# MLGATE_ENVIRONMENT  folder of the environment [a folder of the runner's tool cache, or of ~/.cache]
# MLGATE_STAGES       what `run` runs, and `setup` installs in one go [all stages]
# MLGATE_PYTHON       Python 3.11 or newer to make the environment with [the first one found]
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
stages="check pull-data validate-data train evaluate gate report"

# The extras of pyproject.toml that a command needs, and those of the DVC remotes of this repository.
needs() {
    local stage
    case "${1:-}" in
        setup | run | --environment) stage="${MLGATE_STAGES:-$stages}" ;;
        check | pull-data | validate-data | train | evaluate | gate | report | init) stage="$1" ;;
        comment) stage=report ;;
        triggering-run | slash-command | requeue) stage=forge ;;
        doctor) stage="pull-data validate-data gate gpu" ;;
        gpu) stage=gpu ;;
        plan) stage=gate ;;
        *) stage="" ;;
    esac
    printf '%s\n' core $stage
    case " $stage " in
        *" gate "* | *" report "*) echo forge ;; # a part of theirs: the forge commands of the job find it there
    esac
    case " $stage " in
        *" pull-data "* | *" validate-data "* | *" train "* | *" evaluate "*) dvc_remotes "$(working_directory "$@")" ;;
    esac
    case " $stage " in
        *" validate-data "*) spark "$@" ;;
    esac
    case " $stage " in
        *" validate-data "* | *" train "*) named_data "$@" ;;
    esac
}

# Decoders of images and sounds, where mlgate.yaml has contracts of files; and of stores that it names the clients that DVC uses: for which
# version of the data is there, and for checkpoints.
named_data() {
    local line file scheme found="" files='^[^#]*["'"'"'{,[:space:]]files["'"'"']?:[[:space:]]*([{#]|$)'
    file="$(configuration "$@")"
    case "$file" in /*) ;; *) file="$(working_directory "$@")/$file" ;; esac
    [ -f "$file" ] || return 0
    while IFS= read -r line || [ -n "$line" ]; do
        line="${line%$'\r'}"
        if [[ "$line" =~ $files ]]; then found="$found files"; fi
        for scheme in s3:s3 gs:gs az:azure azure:azure abfs:azure abfss:azure ssh:ssh; do
            if [[ "$line" =~ ^[^#]*[^A-Za-z0-9]${scheme%:*}:// ]]; then found="$found dvc-${scheme#*:}"; fi
        done
    done <"$file"
    [ -z "$found" ] || printf '%s\n' $found | sort -u
}

# PySpark is 450 MB: only where `data.engine` of mlgate.yaml is spark, or the environment names a cluster.
spark() {
    local line file engine='^[^#]*engine["'"'"']?:[[:space:]]*["'"'"']?spark["'"'"']?[[:space:]]*([],}#]|$)'
    file="$(configuration "$@")"
    case "$file" in /*) ;; *) file="$(working_directory "$@")/$file" ;; esac
    if [ -n "${MLGATE_SPARK_MASTER:-}${SPARK_REMOTE:-}" ]; then
        echo spark
    elif [ -f "$file" ]; then
        while IFS= read -r line || [ -n "$line" ]; do
            if [[ "$line" =~ $engine ]]; then
                echo spark
                return
            fi
        done <"$file"
    fi
}

configuration() {
    local file="${MLGATE_CONFIG:-mlgate.yaml}"
    while [ $# -gt 0 ]; do
        case "$1" in
            --config) file="${2:-mlgate.yaml}" ;;
            --config=*) file="${1#*=}" ;;
        esac
        shift
    done
    printf '%s' "$file"
}

working_directory() {
    local folder="${MLGATE_WORKING_DIRECTORY:-.}"
    while [ $# -gt 0 ]; do
        case "$1" in
            -C | --working-directory) folder="${2:-.}" ;;
            --working-directory=*) folder="${1#*=}" ;;
        esac
        shift
    done
    printf '%s' "$folder"
}

# DVC looks for its folder upwards; a remote's scheme says which of DVC's extras reaches it. (http and https need none; what mlgate does
# not reach is said by the stage.) Remotes also stand in configurations of this machine, and imports and pipelines name addresses.
dvc_remotes() {
    local folder top file line url='^[[:space:]]*url[[:space:]]*=[[:space:]]*["'"'"']?(s3|gs|azure|ssh)://'
    local address='(path:|[[,-]) *["'"'"']?(s3|gs|azure|ssh)://|url: *["'"'"']?(s3|gs|azure)://' # a Git repository may be at ssh://
    folder="$(cd "$1" 2>/dev/null && pwd -P)" || return 0
    while [ ! -d "$folder/.dvc" ] && [ "$folder" != / ]; do folder="$(dirname "$folder")"; done
    [ -d "$folder/.dvc" ] || return 0
    {
        for file in "$folder/.dvc/config" "$folder/.dvc/config.local" \
            "${DVC_GLOBAL_CONFIG_DIR:-${XDG_CONFIG_HOME:-${HOME:-}/.config}/dvc}/config" "${DVC_SYSTEM_CONFIG_DIR:-/etc/xdg/dvc}/config"; do
            [ -f "$file" ] || continue
            while IFS= read -r line || [ -n "$line" ]; do
                if [[ "$line" =~ $url ]]; then
                    printf 'dvc-%s\n' "${BASH_REMATCH[1]}"
                fi
            done <"$file"
        done
        top="$folder"
        while [ ! -e "$top/.git" ] && [ "$top" != / ]; do top="$(dirname "$top")"; done
        if [ -e "$top/.git" ]; then # named, not looked for: a commit can hold a folder that looks like a repository of its own
            git -c safe.directory='*' --git-dir="$top/.git" --work-tree="$top" -C "$top" grep --no-color -hoE "$address" -- \
                '*.dvc' 'dvc.yaml' '*/dvc.yaml' 2>/dev/null | grep -oE '(s3|gs|azure|ssh)://' | sed 's/^/dvc-/; s|://$||' || true
        fi
    } | sort -u
}

is_ready() {
    local name stamp
    [ -x "$environment/bin/python" ] || return 1
    for name in $wanted; do
        { read -r stamp <"$environment/.mlgate/$name"; } 2>/dev/null || return 1
        [ "$stamp" = "$identity" ] || return 1
    done
}

# Debian without python3-venv has no ensurepip: such a Python cannot make an environment.
find_python() {
    local candidate
    for candidate in "${MLGATE_PYTHON:-}" python3.11 python3.12 python3.13 python3.14 python3 /usr/bin/python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -I -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s' "$candidate"
            return
        fi
        if [ "$candidate" = "${MLGATE_PYTHON:-}" ]; then
            echo "✗ MLGATE_PYTHON: '$candidate' is no Python 3.11 or newer with venv and ensurepip" >&2
            exit 2
        fi
    done
    echo "✗ mlgate needs Python 3.11 or newer with venv (actions/setup-python, or apt-get install python3-venv); name it in MLGATE_PYTHON" >&2
    exit 2
}

# One environment for each lock file: versions beside one another never meet. It holds packages only; mlgate's own code is this checkout's.
identity="$(cksum <"$root/uv.lock")"
identity="${identity%% *}"
cache="${RUNNER_TOOL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}}"
environment="${MLGATE_ENVIRONMENT:-$cache/mlgate/$identity}"
wanted="$(needs "$@")"

if [ "${1:-}" = --environment ]; then
    python="$(find_python)"
    exec "$python" -I "$root/scripts/bootstrap.py" --key "$environment" "$identity" $wanted
fi
if ! is_ready; then
    python="$(find_python)"
    "$python" -I "$root/scripts/bootstrap.py" "$environment" "$identity" $wanted
fi

# In a job's container the workspace belongs to another user, and git would refuse to look at it.
if [ -n "${GITHUB_WORKSPACE:-}" ] && [ ! -O "$GITHUB_WORKSPACE" ]; then
    count="${GIT_CONFIG_COUNT:-0}"
    export GIT_CONFIG_COUNT=$((count + 1)) "GIT_CONFIG_KEY_$count=safe.directory" "GIT_CONFIG_VALUE_$count=$GITHUB_WORKSPACE"
fi

# Read by mlgate.pth in the environment, also for the processes that mlgate starts itself.
export MLGATE_PACKAGE="$root/scripts"
# -I: neither the working directory nor PYTHONPATH can put a module of the user's in front of ours.
exec "$environment/bin/python" -I -m mlgate.cli "$@"
