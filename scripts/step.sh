# Sourced by every check script: runs steps one after another, times them and counts what they prove.
#
#   prepare NAME COMMAND...   what later steps need; counted only if it fails
#   step    NAME COMMAND...   a check that passes or fails as one
#   tests   NAME COMMAND...   runs tests; the counts of `cargo test` and `pytest` in its output are added up
#   part    NAME              runs scripts/check-NAME as part of this script
#   finish                    ends the script; the outermost one prints the sum
#
# A failing step shows what failed, the steps after it still run, and the outermost script shows all of it
# once more before the sum, so that the end of a log tells why. Whole logs are in target/check.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

export CARGO_TERM_COLOR=never PY_COLORS=0 PIP_DISABLE_PIP_VERSION_CHECK=1
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
logs="$CARGO_TARGET_DIR/check"
mkdir -p "$logs"

# A script called by another adds to the caller's tally: one line "passed failed" for each step.
tally_is_mine=
if [ -z "${HALTLINE_TALLY-}" ]; then
    tally_is_mine=yes
    export HALTLINE_TALLY="$logs/tally"
    : >"$HALTLINE_TALLY"
    : >"$HALTLINE_TALLY.failures"
fi
failed_here=0

# Prints "passed failed ignored", summed over every result line of a log.
count() {
    awk '
        /^test result: / {
            for (i = 2; i <= NF; i++) {
                if ($i == "passed;") passed += $(i - 1)
                if ($i == "failed;") failed += $(i - 1)
                if ($i == "ignored;") ignored += $(i - 1)
            }
        }
        /(passed|failed|errors?|skipped).* in [0-9.]+s/ {
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed,?$/) passed += $(i - 1)
                if ($i ~ /^(failed|errors?),?$/) failed += $(i - 1)
                if ($i ~ /^skipped,?$/) ignored += $(i - 1)
            }
        }
        END { print passed + 0, failed + 0, ignored + 0 }
    ' "$1"
}

# run KIND NAME COMMAND...
run() {
    local kind=$1 name=$2 log began status passed failed ignored note= kind_counts=1
    [ "$kind" = prepare ] && kind_counts=0
    shift 2
    log="$logs/${name//[^A-Za-z0-9.]/-}.log"
    began=$EPOCHREALTIME
    # Not in a condition, or bash would ignore `set -e` in functions that run as steps.
    (
        set -e
        "$@"
    ) >"$log" 2>&1 </dev/null
    status=$?
    if [ "$kind" = tests ]; then
        read -r passed failed ignored < <(count "$log")
        if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
            failed=1
        fi
        if [ "$((passed + failed))" -eq 0 ]; then
            failed=1
            echo "no test ran" >>"$log"
        fi
        note="$passed passed, $failed failed, $ignored ignored"
    else
        passed=$((status == 0 && kind_counts))
        failed=$((status != 0))
    fi
    echo "$passed $failed" >>"$HALTLINE_TALLY"
    if [ "$failed" -eq 0 ]; then
        grep '^not checked: ' "$log" | sort -u
        printf 'ok      %7s s  %s%s\n' "$(seconds_since "$began")" "$name" "${note:+ ($note)}"
    else
        failed_here=$((failed_here + failed))
        {
            printf 'FAILED  %7s s  %s%s\n' "$(seconds_since "$began")" "$name" "${note:+ ($note)}"
            what_failed "$log" | sed 's/^/    /'
        } | tee -a "$HALTLINE_TALLY.failures"
    fi
}

# Of a log of tests what tells of failures, without what the tests that passed printed; and the end of every log.
what_failed() {
    awk '
        /^failures:$/ || /^=+ (FAILURES|ERRORS) =+$/ { telling = 1 }
        telling || /^error/ || /\(signal: / || /has been running for over/
        /^test result: / { telling = 0 }
    ' "$1"
    echo "The last lines of $1:"
    tail -n 40 "$1"
}

seconds_since() {
    awk -v a="${1/,/.}" -v b="${EPOCHREALTIME/,/.}" 'BEGIN { printf "%.1f", b - a }'
}

prepare() { run prepare "$@"; }
step() { run step "$@"; }
tests() { run tests "$@"; }

# A script that ends badly without having counted a failure is one.
part() {
    local before after status
    before=$(wc -l <"$HALTLINE_TALLY")
    "scripts/check-$1"
    status=$?
    after=$(tail -n "+$((before + 1))" "$HALTLINE_TALLY" | awk '{ f += $2 } END { print f + 0 }')
    if [ "$status" -ne 0 ] && [ "$after" -eq 0 ]; then
        echo "FAILED  scripts/check-$1 ended with status $status"
        echo "0 1" >>"$HALTLINE_TALLY"
        after=1
    fi
    failed_here=$((failed_here + after))
}

finish() {
    if [ -z "$tally_is_mine" ]; then
        exit "$((failed_here > 0))"
    fi
    local passed failed
    read -r passed failed < <(awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }' "$HALTLINE_TALLY")
    cat "$HALTLINE_TALLY.failures"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}
