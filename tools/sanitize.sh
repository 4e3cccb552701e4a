#!/usr/bin/env bash
# The tests of base, core and data (what reads files that others made) with AddressSanitizer,
# UndefinedBehaviorSanitizer and the assertions of the standard library. Arguments go to ctest.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup.sh

configure_sanitized
say "building the tests of base, core and data with $clang and sanitizers"
cmake --build --preset fuzz -j "$(jobs)" --target base_tests core_tests data_tests

say "testing"
ctest --test-dir build/fuzz --output-on-failure -j "$(jobs)" -R '^(base|core|data)$' "$@"
