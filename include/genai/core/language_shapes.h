// What kinds of language models there are: what the networks are built from and the decode engine
// reads.
#pragma once
#include <cstdint>

namespace genai {

inline constexpr double kNormEpsilon = 1e-5;   // added to the variance in norms
inline constexpr double kRotaryBase = 10'000;  // J. Su et al. 2021, section 3.2.2

enum class Positions {
  learned,  ///< a vector for each place, added to the token's
  rotary,   ///< queries and keys are turned by angles that grow with the place
};
enum class NormKind { layer, rms };
enum class MlpKind {
  gelu,       ///< x Phi(x)
  gelu_tanh,  ///< GPT-2's approximation of it by tanh
  relu2,      ///< max(x, 0)^2
  swiglu,     ///< silu(gate) * x: two matrices in the place of one
};

struct TransformerShape {
  int64_t vocabulary = 0, context = 0, layers = 0, heads = 0, kv_heads = 0, width = 0, hidden = 0;
  Positions positions = Positions::learned;
  NormKind norm = NormKind::layer;
  MlpKind mlp = MlpKind::gelu;
  bool qk_norm = false, tied = true, bias = false, bigrams = false;
  double soft_cap = 0;  ///< 0: none

  int64_t head() const { return width / heads; }
};

enum class Cell { tanh, gru, lstm };

struct RnnShape {
  int64_t vocabulary = 0, layers = 0, width = 0, embedding = 0;
  Cell cell = Cell::lstm;
  bool tied = false;
};

}  // namespace genai
