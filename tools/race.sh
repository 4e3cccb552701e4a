#!/usr/bin/env bash
# The decode engine (src/decode, which needs no LibTorch) and its tests with ThreadSanitizer.
# Clang's OpenMP runtime, in the place of LibTorch's, tells it through Archer where threads begin and
# end; what they say to each other is in decode/team. Arguments go to the tests.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup.sh

mkdir -p build/race
install_packages libgtest-dev
install_clang
archer=$("$clang" -print-resource-dir)/../../libarcher.so
[ -e "$archer" ] || install_packages libomp-dev

say "building with $clang"
sources=(src/decode/*.cpp tests/nn/decode_*_test.cpp tests/nn/decoder_test.cpp)
for source in "${sources[@]}"; do
  echo "$clang -std=c++20 -O1 -g1 -fsanitize=thread -fopenmp -Iinclude -Itests -c $source" \
    "-o build/race/$(basename "$source").o"
done | xargs -P "$(jobs)" -I{} sh -c '{}'
"$clang" -fsanitize=thread -fopenmp build/race/*.o -lgtest_main -lgtest -o build/race/decode_tests

say "testing"
# Four threads, whatever the cores. What is seen in libraries that were built without it is not ours.
OMP_TOOL_LIBRARIES=$archer OMP_NUM_THREADS=4 \
  TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=0:exitcode=66 \
  build/race/decode_tests --gtest_brief=1 "$@"
