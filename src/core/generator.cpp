#include "genai/core/generator.h"

#include <ATen/Context.h>

namespace genai {
namespace {

std::recursive_mutex& generator_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

}  // namespace

LayerGenerator::LayerGenerator() : held_(generator_mutex()) {}

LayerGenerator::LayerGenerator(uint64_t seed) : held_(generator_mutex()) {
  at::manual_seed(seed);
}

}  // namespace genai
