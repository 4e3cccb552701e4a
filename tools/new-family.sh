#!/usr/bin/env bash
# tools/new-family.sh NAME [grids|sequences]: writes header, source, registry line, preset, test and
# docs page of a new family of grids (images, ...) or sequences (texts, ...); it builds and passes the
# contract tests as it is. See docs/add-a-family.md.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:-} reads=${2:-grids}
[[ $name =~ ^[a-z][a-z0-9]*$ && $reads =~ ^(grids|sequences)$ ]] || {
  echo "usage: tools/new-family.sh NAME [grids|sequences]   (lower-case letters and digits)" >&2
  exit 2
}
type=${name^} data=mnist window=""
if [ "$reads" = sequences ]; then
  data=shakespeare window=$'\n  int64_t window = 8;'
fi
for file in include/genai/models/$name.h src/models/$name.cpp configs/$name.json \
  tests/models/${name}_test.cpp docs/$name.md; do
  [ ! -e "$file" ] || { echo "$file exists already" >&2; exit 1; }
done

cat >"include/genai/models/$name.h" <<EOF
// $type: the paper, the equations.
#pragma once
#include "genai/model/family.h"

namespace genai {

struct ${type}Config {
  int64_t hidden = 128;$window
};

Family ${name}_family();

}  // namespace genai
EOF

write_grids() {
  cat >"src/models/$name.cpp" <<EOF
#include "genai/models/$name.h"

#include "genai/nn/modules.h"

namespace genai {
namespace {

const FieldTable& ${name}_fields() {
  static const FieldTable table =
      describe<${type}Config>()
          .field("hidden", &${type}Config::hidden, "units of the hidden layer", between(1, 65536))
          .table();
  return table;
}

struct ${type}Sampling {
  double temperature = 1;
};

const FieldTable& ${name}_sampling_fields() {
  static const FieldTable table =
      describe<${type}Sampling>()
          .field("temperature", &${type}Sampling::temperature, "scale of the noise",
                 between(0, 10))
          .table();
  return table;
}

/// Maps noise to images; learns the mean image. Replace it by the real thing.
class $type : public torch::nn::Module, public Model, public Generator {
 public:
  $type(const ${type}Config& config, const ModelContext& context)
      : Model(context.inputs), info_(context.info) {
    const DataInfo& info = info_;
    hidden_ = register_module("hidden", torch::nn::Linear(info.pixels(), config.hidden));
    pixels_ = register_module("pixels", torch::nn::Linear(config.hidden, info.pixels()));
  }

  torch::nn::Module& module() override { return *this; }

  std::vector<ParameterSet> parameter_sets() override {
    return {all_parameters(*this)};
  }

  std::vector<Phase> phases() override {
    return {{.name = "regression",
             .updates = "all",
             .draw =
                 [this](const Batch&, Draw& draw) {
                   return Tensors{{"noise", draw.normal("noise", {info_.pixels()})}};
                 },
             .loss =
                 [this](LossInput& in) {
                   const Tensor error = distance(in.draws.at("noise"), in.batch.input).mean();
                   return Loss{.value = error, .logs = {{"error", error.detach()}}};
                 }}};
  }

  Tensors validate(const Batch& batch, Draw& draw) override {
    return {{"error", distance(draw.normal("noise", {info_.pixels()}), batch.input)}};
  }

  std::string objective() const override { return "error"; }

  Tensor generate(const Draw& draw, const Tensors&, const Json& options) override {
    const auto sampling = from_json<${type}Sampling>(${name}_sampling_fields(), options, "sampling");
    return images(draw.normal("noise", {info_.pixels()}) * sampling.temperature);
  }

 private:
  Tensor images(const Tensor& noise) {
    const Tensor flat = pixels_->forward(hidden_->forward(noise).relu());  // [B, C * H * W]
    return flat.sigmoid().view({-1, info_.channels, info_.height, info_.width});
  }

  /// [B]
  Tensor distance(const Tensor& noise, const Tensor& target) {
    return (images(noise) - target).square().flatten(1).sum(1);
  }

  DataInfo info_;
  torch::nn::Linear hidden_{nullptr}, pixels_{nullptr};
};

}  // namespace

Family ${name}_family() {
  return {.name = "$name",
          .summary = "what it is, in one line",
          .offers = {{Capability::generator}},
          .settings = ${name}_fields(),
          .sampling = ${name}_sampling_fields(),
          .make =
              [](const Json& settings, const ModelContext& context) -> std::unique_ptr<Model> {
                return std::make_unique<$type>(
                    from_json<${type}Config>(${name}_fields(), settings, "model"), context);
              },
          .tiny = {{"hidden", 16}}};
}

}  // namespace genai
EOF
}

write_sequences() {
  cat >"src/models/$name.cpp" <<EOF
#include "genai/models/$name.h"

#include "genai/models/sequence_model.h"
#include "genai/nn/modules.h"
#include "genai/sampling/tokens.h"

namespace genai {
namespace {

const FieldTable& ${name}_fields() {
  static const FieldTable table =
      describe<${type}Config>()
          .field("hidden", &${type}Config::hidden, "units of the hidden layer", between(1, 65536))
          .field("window", &${type}Config::window, "tokens that it looks back on", between(1, 1024))
          .table();
  return table;
}

/// Predicts a token from the few before it (Y. Bengio et al., "A neural probabilistic language
/// model", 2003). Replace it by the real thing.
class $type : public torch::nn::Module, public SequenceModel {
 public:
  $type(const ${type}Config& config, const ModelContext& context)
      : SequenceModel(context.info), window_(config.window) {
    const int64_t tokens = info_.vocabulary();
    // The last one stands before the beginning.
    tokens_ = register_module("tokens", torch::nn::Embedding(tokens + 1, config.hidden));
    hidden_ = register_module("hidden", torch::nn::Linear(window_ * config.hidden, config.hidden));
    head_ = register_module("head", torch::nn::Linear(config.hidden, tokens));
  }

  torch::nn::Module& module() override { return *this; }

  std::vector<ParameterSet> parameter_sets() override {
    return {all_parameters(*this)};
  }

  std::vector<Phase> phases() override {
    return {{.name = "predict", .updates = "all", .draw = nullptr, .loss = [this](LossInput& in) {
               return Loss{.value = mean_loss(next_logits(in.batch.input), in.batch), .logs = {}};
             }}};
  }

  Tensor next_logits(const Tensor& tokens) override {
    const Tensor before = at::full({tokens.size(0), window_ - 1}, info_.vocabulary(), tokens.options());
    const Tensor windows = at::cat({before, tokens}, 1).unfold(1, window_, 1);  // [B, T, window]
    return head_->forward(hidden_->forward(tokens_->forward(windows).flatten(2)).tanh());
  }

 private:
  int64_t window_;
  torch::nn::Embedding tokens_{nullptr};
  torch::nn::Linear hidden_{nullptr}, head_{nullptr};
};

}  // namespace

Family ${name}_family() {
  return {.name = "$name",
          .summary = "what it is, in one line",
          .reads = ItemKind::sequence,
          .offers = {{Capability::next_token}},
          .settings = ${name}_fields(),
          .sampling = token_sampling_fields(),
          .make =
              [](const Json& settings, const ModelContext& context) -> std::unique_ptr<Model> {
                return std::make_unique<$type>(
                    from_json<${type}Config>(${name}_fields(), settings, "model"), context);
              },
          .tiny = {{"hidden", 16}, {"window", 4}}};
}

}  // namespace genai
EOF
}

write_$reads
cat >"configs/$name.json" <<EOF
{
  "about": "What it is good for, and how long it takes.",
  "model": {"family": "$name"},
  "data": {"source": "$data"},
  "training": {"epochs": 5}
}
EOF

cat >"tests/models/${name}_test.cpp" <<EOF
#include "genai/models/$name.h"

#include <gtest/gtest.h>

#include "genai/models/registry.h"

namespace genai {
namespace {

TEST($type, RejectsSettingsOutOfRange) {
  EXPECT_THROW(make_model(find_family("$name"), {{"hidden", 0}}, DataInfo()), Error);
}

}  // namespace
}  // namespace genai
EOF

cat >"docs/$name.md" <<EOF
# $type

The paper; equations beside function names; presets; expected numbers; what goes wrong.
EOF

sed -i "s|^#include \"genai/models/vae.h\"|#include \"genai/models/$name.h\"\n&|; s|^      vae_family(),|&\n      ${name}_family(),|" \
  src/models/registry.cpp
echo "wrote the family '$name'; build with tools/test.sh, then see docs/add-a-family.md"
