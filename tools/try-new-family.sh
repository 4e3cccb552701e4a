#!/usr/bin/env bash
# What tools/new-family.sh writes is built, put through the contract tests, trained and sampled; then it
# is taken out again. Needs the build of tools/test.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup.sh

name=trial
work=$(mktemp -d)
cp src/models/registry.cpp "$work"
clean() {
  cp "$work/registry.cpp" src/models/
  rm -rf "include/genai/models/$name.h" "src/models/$name.cpp" "configs/$name.json" \
    "tests/models/${name}_test.cpp" "docs/$name.md" "$work"
}
tools/new-family.sh "$name"
trap clean EXIT

say "building the family '$name'"
cmake --build build/release -j "$(jobs)" --target genai_program models_tests >"$work/build.log" 2>&1 ||
  { grep -E 'error|undefined' "$work/build.log" | head -20 >&2; exit 1; }
OMP_NUM_THREADS=1 build/release/tests/models_tests --gtest_brief=1 \
  --gtest_filter="All/Families.*/$name:Trial.*"
genai=build/release/bin/genai
"$genai" train --model "$name" --data digits --limit 2000 --epochs 1 --out "$work/run" --quiet
"$genai" sample "$work/run" -n 16 --out "$work/sheet.png"
"$genai" check "$work/sheet.png" --runs "$work"
