#!/usr/bin/env bash
# What tools/new-family.sh writes is built, put through the contract tests, trained and sampled; then it
# is taken out again. Needs the build of tools/test.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup.sh

names=(trial trialtext)
work=$(mktemp -d)
cp src/models/registry.cpp "$work"
clean() {
  cp "$work/registry.cpp" src/models/
  for name in "${names[@]}"; do
    rm -rf "include/genai/models/$name.h" "src/models/$name.cpp" "configs/$name.json" \
      "tests/models/${name}_test.cpp" "docs/$name.md"
  done
  rm -rf "$work"
}
trap clean EXIT
tools/new-family.sh trial grids
tools/new-family.sh trialtext sequences

say "building the families ${names[*]}"
cmake --build build/release -j "$(jobs)" --target genai_program models_tests >"$work/build.log" 2>&1 ||
  { grep -E 'error|undefined' "$work/build.log" | head -20 >&2; exit 1; }
OMP_NUM_THREADS=1 build/release/tests/models_tests --gtest_brief=1 \
  --gtest_filter="All/Families.*/trial:All/Families.*/trialtext:Trial.*:Trialtext.*"
genai=build/release/bin/genai
"$genai" train --model trial --data digits --limit 2000 --epochs 1 --out "$work/run" --quiet
"$genai" sample "$work/run" -n 16 --out "$work/sheet.png"
"$genai" check "$work/sheet.png" --runs "$work"
"$genai" train --model trialtext --data sums --limit 2000 --epochs 1 --out "$work/text" --quiet
"$genai" sample "$work/text" -n 4 --out "$work/lines.txt"
"$genai" check "$work/lines.txt" --runs "$work"
