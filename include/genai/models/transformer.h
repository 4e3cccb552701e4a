// A decoder-only transformer that learns to write: p(text) = product of p(token | tokens before).
// The network is nn/transformer_network.h.
#pragma once
#include <optional>

#include "genai/core/language_shapes.h"
#include "genai/model/family.h"

namespace genai {

/// The defaults are GPT-2's form, small. What is 0 follows from others.
struct TransformerConfig {
  int64_t layers = 4;
  int64_t heads = 4;
  int64_t kv_heads = 0;
  int64_t width = 128;
  int64_t hidden = 0;
  Positions positions = Positions::learned;
  NormKind norm = NormKind::layer;
  MlpKind mlp = MlpKind::gelu;
  bool qk_norm = false;
  bool tied = true;
  bool bias = false;
  std::optional<bool> bigrams = false;  ///< none: where its table is small
  double soft_cap = 0;
  double dropout = 0;
  int64_t lora_rank = 0;
};

extern const EnumNames<Positions> kPositionsNames;
extern const EnumNames<NormKind> kNormKindNames;
extern const EnumNames<MlpKind> kMlpNames;

/// Throws Error{usage} for settings that do not fit each other or the data.
TransformerShape transformer_shape(const TransformerConfig& config, const DataInfo& info);

Family transformer_family();

}  // namespace genai
