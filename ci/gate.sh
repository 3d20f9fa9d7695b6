# Sourced by every gate: goes to the repository's root and defines what the gates share.
# Each gate stops at the first command that fails, and counts what it ran: a gate that ran nothing has failed.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Nothing may wait for an answer, and logs are read without colours.
exec </dev/null
export CARGO_TERM_COLOR=never
# Each gate builds once, and none of them judges speed.
export CARGO_INCREMENTAL=0
export CARGO_PROFILE_RELEASE_LTO=off
export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16

gate_name="$(basename "$0")"
# A folder for this run's files, and in it the output of every command run by `counted`.
gate_dir="$(mktemp -d)"
gate_log="$gate_dir/log"
touch "$gate_log"

finish() {
    local status=$?
    rm -rf "$gate_dir"
    [ "$status" -eq 0 ] || echo "ci/$gate_name: FAILED with status $status" >&2
}
trap finish EXIT

# Says what is about to run, and runs it.
run() {
    echo "+ $*"
    "$@"
}

# The same, keeping a copy of the output for the counts.
counted() {
    echo "+ $*"
    "$@" 2>&1 | tee -a "$gate_log"
}

fail() {
    echo "ci/$gate_name: $*" >&2
    exit 1
}

# How many tests the commands run by `counted` passed, over all their `test result:` lines.
tests_passed() {
    awk '/^test result:/ { for (i = 2; i <= NF; i++) if ($i ~ /^passed;?$/) n += $(i - 1) } END { print n + 0 }' "$gate_log"
}

# Fails unless at least one test passed; what follows is said of them.
some_tests_passed() {
    local passed
    passed="$(tests_passed)"
    [ "$passed" -gt 0 ] || fail "ran no test"
    echo "ci/$gate_name: ok: $passed tests passed $*"
}
