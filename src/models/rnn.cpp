#include "genai/models/rnn.h"

#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/nn/modules/rnn.h>

#include "genai/models/sequence_model.h"
#include "genai/nn/modules.h"
#include "genai/nn/transformer_network.h"
#include "genai/sampling/tokens.h"

namespace genai {

const EnumNames<Cell> kCellNames = {{Cell::tanh, "tanh"}, {Cell::gru, "gru"}, {Cell::lstm, "lstm"}};

namespace {

const FieldTable& rnn_fields() {
  static const FieldTable table =
      describe<RnnConfig>()
          .field("cell", &RnnConfig::cell, "what a step does with the state", kCellNames)
          .field("layers", &RnnConfig::layers, "cells on top of each other", between(1, 64))
          .field("width", &RnnConfig::width, "numbers of a layer's state", between(1, 16'384))
          .field("embedding", &RnnConfig::embedding,
                 "numbers that stand for a token; 0: as many as the width", between(0, 16'384))
          .field("tied", &RnnConfig::tied, "the last layer is the table of the tokens' vectors")
          .field("dropout", &RnnConfig::dropout, "share of numbers dropped between layers",
                 from_below(0, 1))
          .table();
  return table;
}

/// The weights are named as in PyTorch's nn.RNN, nn.GRU and nn.LSTM.
struct RnnNetworkImpl : torch::nn::Module {
  RnnNetworkImpl(const RnnShape& shape, double dropout) : shape_(shape), dropout_(dropout) {
    tokens_ = register_module("tokens", torch::nn::Embedding(shape.vocabulary, shape.embedding));
    const int64_t layers = shape.layers, in = shape.embedding, width = shape.width;
    if (shape.cell == Cell::tanh) {
      cells_ = register_module("rnn",
                               torch::nn::RNN(torch::nn::RNNOptions(in, width).num_layers(layers)));
    } else if (shape.cell == Cell::gru) {
      cells_ = register_module("rnn",
                               torch::nn::GRU(torch::nn::GRUOptions(in, width).num_layers(layers)));
    } else {
      cells_ = register_module(
          "rnn", torch::nn::LSTM(torch::nn::LSTMOptions(in, width).num_layers(layers)));
    }
    weights_ = cells_->parameters();
    head_ = register_module("head", std::make_shared<torch::nn::Module>());
    if (!shape.tied)
      head_weight_ = head_->register_parameter("weight", at::empty({shape.vocabulary, width}));
    head_bias_ = head_->register_parameter("bias", at::zeros({shape.vocabulary}));
    // W. Zaremba et al. 2014, section 4: small uniform tables; the cells have PyTorch's weights.
    torch::nn::init::uniform_(tokens_->weight, -0.1, 0.1);
    if (!shape.tied) torch::nn::init::uniform_(head_weight_, -0.1, 0.1);
  }

  /// Logits [B, T, V]; the state goes on from `carry` and into it.
  Tensor forward(const Tensor& tokens, Tensors& carry) {
    const Tensor x = drop(tokens_->forward(tokens)).transpose(0, 1);  // [T, B, embedding]
    // CPUs without products in bfloat16 have no cells in it either.
    const c10::impl::ExcludeDispatchKeyGuard float32(c10::DispatchKey::AutocastCPU);
    const auto options = x.options();
    for (const char* name : {"h", "c"}) {
      Tensor& state = carry[name];
      if (!state.defined()) state = at::zeros({shape_.layers, x.size(1), shape_.width}, options);
      state = state.to(x.scalar_type());
    }
    const double dropout = shape_.layers > 1 ? dropout_ : 0;
    Tensor y;
    if (shape_.cell == Cell::lstm) {
      std::tie(y, carry["h"], carry["c"]) =
          at::lstm(x, {carry["h"], carry["c"]}, weights_, true, shape_.layers, dropout,
                   is_training(), false, false);
    } else if (shape_.cell == Cell::gru) {
      std::tie(y, carry["h"]) = at::gru(x, carry["h"], weights_, true, shape_.layers, dropout,
                                        is_training(), false, false);
    } else {
      std::tie(y, carry["h"]) = at::rnn_tanh(x, carry["h"], weights_, true, shape_.layers, dropout,
                                             is_training(), false, false);
    }
    for (auto& [name, state] : carry) state = state.detach().to(at::kFloat);
    const Tensor& table = shape_.tied ? tokens_->weight : head_weight_;
    return at::linear(drop(y).transpose(0, 1), table, head_bias_);
  }

  RnnShape shape_;

 private:
  Tensor drop(const Tensor& x) {
    return dropout_ > 0 ? at::dropout(x, dropout_, is_training()) : x;
  }

  double dropout_;
  torch::nn::Embedding tokens_{nullptr};
  std::shared_ptr<torch::nn::Module> cells_, head_;
  std::vector<Tensor> weights_;  // of the cells, in PyTorch's order
  Tensor head_weight_, head_bias_;
};
TORCH_MODULE(RnnNetwork);

class RnnModel : public SequenceModel {
 public:
  RnnModel(const RnnConfig& config, const DataInfo& info)
      : SequenceModel(info), network_(rnn_shape(config, info), config.dropout) {}

  torch::nn::Module& module() override { return *network_; }

  std::vector<ParameterSet> parameter_sets() override {
    return {all_parameters(*network_,
                           [](const std::string& name) { return name.starts_with("rnn."); })};
  }

  std::vector<Phase> phases() override {
    return {{.name = "predict", .updates = "all", .draw = nullptr, .loss = [this](LossInput& in) {
               // R. Williams, J. Peng 1990: the state is carried on, its gradient is not.
               if (info_.windows == Windows::shuffled) in.carry.clear();
               return Loss{
                   .value = mean_loss(network_->forward(in.batch.input, in.carry), in.batch),
                   .logs = {}};
             }}};
  }

  Tensor next_logits(const Tensor& tokens) override {
    Tensors carry;
    return network_->forward(tokens, carry);
  }

  std::unique_ptr<Decoder> decoder(int64_t streams, WeightFormat format, int threads) override {
    return make_decoder(network_->shape_, streams, weights_of(*network_), format, threads);
  }

 private:
  RnnNetwork network_;
};

}  // namespace

RnnShape rnn_shape(const RnnConfig& c, const DataInfo& info) {
  const int64_t embedding = c.embedding > 0 ? c.embedding : c.width;
  if (c.tied && embedding != c.width) {
    fail(ErrorKind::usage, "model.tied: the table of the tokens' vectors is the last layer only ",
         "where both have the same width; found an embedding of ", embedding, " and a width of ",
         c.width);
  }
  return {.vocabulary = info.vocabulary(),
          .layers = c.layers,
          .width = c.width,
          .embedding = embedding,
          .cell = c.cell,
          .tied = c.tied};
}

Family rnn_family() {
  return {.name = "rnn",
          .summary = "recurrent network (tanh, GRU, LSTM): writes text from a state of fixed size",
          .reads = ItemKind::sequence,
          .offers = {{Capability::next_token}},
          .settings = rnn_fields(),
          .sampling = token_sampling_fields(),
          .make = [](const Json& settings, const ModelContext& context) -> std::unique_ptr<Model> {
            return std::make_unique<RnnModel>(from_json<RnnConfig>(rnn_fields(), settings, "model"),
                                              context.info);
          },
          .tiny = {{"layers", 2}, {"width", 8}}};
}

}  // namespace genai
