#!/usr/bin/env bash
# Fuzzes the readers of files that others made (tests/fuzz): SECONDS for each target (60), then the
# names of those to run (all). Ends with an error when one finds something; the inputs that did are
# in build/fuzz/findings. What a run learns is kept in build/fuzz/corpus for the next one.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup.sh

seconds=${1:-60}
[ $# -gt 0 ] && shift
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "usage: tools/fuzz.sh [SECONDS [TARGET...]]" >&2; exit 2; }

configure_sanitized
say "building the targets with $clang"
cmake --build --preset fuzz -j "$(jobs)"

cd build/fuzz
rm -rf seeds
./make_seeds seeds
mkdir -p findings logs
targets=("$@")
[ $# -gt 0 ] || targets=($(ls fuzz))

# Large inputs find no more than small ones here, and take longer.
run_target() {
  local code=0 begun=$SECONDS
  mkdir -p "corpus/$1"
  OMP_NUM_THREADS=1 "./fuzz/$1" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 \
    -malloc_limit_mb=512 -max_len=16384 -verbosity=0 -print_final_stats=1 \
    -artifact_prefix="findings/$1-" "corpus/$1" "seeds/$1" >"logs/$1" 2>&1 || code=$?
  printf '   %-12s %10s executions in %3d s%s\n' "$1" \
    "$(awk '/number_of_executed_units/ {print $2}' "logs/$1")" $((SECONDS - begun)) \
    "$([ $code -eq 0 ] || echo "   FINDING, see build/fuzz/logs/$1")"
  return $code
}
export -f run_target

say "fuzzing for $seconds seconds each"
printf '%s\n' "${targets[@]}" | xargs -P "$(jobs)" -I{} bash -c "run_target {} $seconds"
