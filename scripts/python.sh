# Sourced by check-python: finds interpreters and makes virtual environments under the target directory.

python_versions=(3.10 3.11 3.12 3.13 3.14)

# Prints a working interpreter of the version, if there is one. A pyenv shim may exist and not work.
python_of() {
    local candidate
    for candidate in "$(command -v "python$1")" "$HOME"/.pyenv/versions/"$1".*/bin/python "$(command -v python3)"; do
        [ -x "$candidate" ] || continue
        if "$candidate" -c "import sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
}

# virtual_environment FOLDER PYTHON REQUIREMENT...: made anew only when the requirements or the interpreter change.
virtual_environment() {
    local folder=$1 python=$2 wanted
    shift 2
    wanted="$("$python" -VV) $* $(cat scripts/python-requirements.txt)"
    if [ "$(cat "$folder/made-of" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    rm -rf "$folder"
    "$python" -m venv "$folder"
    # The requirements file is also the constraint: a name alone gets the version that is pinned there.
    "$folder/bin/python" -m pip install --quiet --constraint scripts/python-requirements.txt "$@"
    echo "$wanted" >"$folder/made-of"
}
