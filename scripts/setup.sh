#!/usr/bin/env bash
# Make the project's environments; do nothing, quickly and without network, when they are up to date.
#
#   scripts/setup.sh full    .venv        Python 3.10, extras lava and dev: everything
#   scripts/setup.sh core    .venv-core   Python 3.13, extras dev, docs and neurobench: all but Lava, which needs 3.10
#   scripts/setup.sh         both
#
# A stamp, written last, says what an environment was made from. No stamp (an interrupted run), a moved checkout or
# another Python: it is made anew. Other versions or dependencies: it is brought up to date in place.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

say() { printf 'setup: %s\n' "$*" >&2; }

# The files that an environment is made from, as one line; needs the environment's own Python to run.
fingerprint() { # venv extras
    "$1/bin/python" -I -S - "$2" <<'PY' 2>/dev/null
import hashlib, sys
files = ("pyproject.toml", "constraints.txt", "scripts/setup.sh")
content = b"".join(open(name, "rb").read() for name in files)
print("extras", sys.argv[1], "files", hashlib.sha256(content).hexdigest())
PY
}

# Where an environment stands and what Python it has, as one line: no update in place can change these.
identity() { # venv
    "$1/bin/python" -I -S -c 'import sys; print("python", sys.version.split()[0], "in", sys.argv[1])' "$PWD/$1" 2>/dev/null
}

# The real path of a Python of that version, behind any shim or activated environment; nothing if it does not run.
real_python() { # version command
    "$2" -I -c '
import os, sys
wanted = sys.argv[1] == "%d.%d" % sys.version_info[:2]
print(os.path.realpath(sys.executable)) if wanted else sys.exit(1)' "$1" 2>/dev/null
}

find_python() { # version
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$1".*/bin/python python3 python; do
        real_python "$1" "$candidate" && return
    done
    # uv knows of Pythons elsewhere, and can bring one.
    if [ -n "$UV" ]; then
        candidate=$("$UV" python find --no-project "$1" 2>/dev/null) && real_python "$1" "$candidate" && return
        say "no Python $1 here; asking uv for one"
        "$UV" python install --quiet "$1" >&2 && candidate=$("$UV" python find --no-project "$1") \
            && real_python "$1" "$candidate" && return
    fi
    return 1
}

explain_missing_python() { # version
    say "no Python $1 was found. Install one, then run this again:"
    say "  with pyenv   pyenv install $1"
    say "  with uv      uv python install $1"
    say "  by hand      any CPython $1 that answers to 'python$1' on PATH (with its venv module)"
    if [ "$1" = 3.10 ]; then
        say "Python 3.10 is needed for Lava, which runs on no other version. 'make demo' and 'make test' use it."
    else
        say "Python $1 is needed only for 'make test', which also tests the core without Lava. 'make demo' does without it."
    fi
}

new_venv() { # venv version
    local python
    python=$(find_python "$2") || { explain_missing_python "$2"; return 1; }
    say "$1: making it with Python $2 ($python); the first time, this downloads about 3 GB"
    rm -rf "$1"
    if [ -n "$UV" ]; then
        "$UV" venv --quiet --no-project --python "$python" "$1"
    else
        "$python" -m venv "$1"
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
    fi
}

install() { # venv extras
    local uv=${UV:-$1/bin/uv} quiet=--quiet
    [ -t 2 ] && quiet=
    # Where PYTHONDONTWRITEBYTECODE is set, as in many containers, every process would otherwise compile what it imports.
    UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-180} "$uv" pip install $quiet --python "$1/bin/python" --compile-bytecode \
        --constraint constraints.txt --editable ".[$2]"
}

ensure() { # venv version extras
    local stamp=$1/.tclif-stamp want
    if want=$(identity "$1") && [[ $want == "python $2."* ]] && [ "$(head -n 1 "$stamp" 2>/dev/null)" = "$want" ]; then
        [ "$(tail -n 1 "$stamp")" = "$(fingerprint "$1" "$3")" ] && return
        say "$1: bringing it up to date"
        rm -f "$stamp"
    else
        new_venv "$1" "$2"
    fi
    install "$1" "$3"
    { identity "$1"; fingerprint "$1" "$3"; } >"$stamp.new"
    mv "$stamp.new" "$stamp"
    say "$1: ready"
}

main() {
    UV=
    uv --version >/dev/null 2>&1 && UV=uv
    # Two setups at once would undo each other; without flock (macOS), that is left to the user.
    if command -v flock >/dev/null 2>&1; then
        exec 9>.venv.lock
        flock --wait 3600 9 || { say "another setup has held .venv.lock for an hour; end it first"; return 1; }
    fi
    case ${1:-both} in
        full) ensure .venv 3.10 lava,dev ;;
        core) ensure .venv-core 3.13 dev,docs,neurobench ;;
        both)
            ensure .venv 3.10 lava,dev
            ensure .venv-core 3.13 dev,docs,neurobench
            ;;
        *) say "unknown environment '$1': full, core or none"; return 2 ;;
    esac
}

main "$@"
