#include "genai/models/rnn.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "base/temp_folder.h"
#include "models/text_runs.h"

namespace genai {
namespace {

/// Logits by PyTorch's own modules, with the model's weights.
template <class Module>
Tensor expected_logits(Model& model, Module cells, const Tensor& tokens) {
  const at::NoGradGuard no_grad;
  const auto named = model.module().named_parameters();
  for (auto& parameter : cells->named_parameters()) {
    parameter.value().copy_(named["rnn." + parameter.key()]);
  }
  const Tensor x = at::embedding(named["tokens.weight"], tokens).transpose(0, 1);
  const Tensor y = std::get<0>(cells->forward(x)).transpose(0, 1);
  const Tensor* head = named.find("head.weight");
  return at::linear(y, head ? *head : named["tokens.weight"], named["head.bias"]);
}

TEST(Rnn, SaysWhatPyTorchsCellsSay) {
  const DataInfo info = text_info(9);
  const Tensor tokens = at::arange(18).mul(5).remainder(9).view({2, 9});
  const at::NoGradGuard no_grad;
  for (const bool tied : {true, false}) {
    for (const auto& cell : {"tanh", "gru", "lstm"}) {
      const Json settings = {{"cell", cell}, {"tied", tied}, {"embedding", tied ? 0 : 5}};
      const auto model = random_text_model("rnn", info, settings);
      const Tensor found = dynamic_cast<NextToken&>(*model).next_logits(tokens);
      const int64_t in = tied ? 8 : 5;
      const std::string kind = cell;
      const Tensor expected =
          kind == "tanh"
              ? expected_logits(*model, torch::nn::RNN(torch::nn::RNNOptions(in, 8).num_layers(2)),
                                tokens)
          : kind == "gru"
              ? expected_logits(*model, torch::nn::GRU(torch::nn::GRUOptions(in, 8).num_layers(2)),
                                tokens)
              : expected_logits(
                    *model, torch::nn::LSTM(torch::nn::LSTMOptions(in, 8).num_layers(2)), tokens);
      EXPECT_TRUE(at::allclose(found, expected, 1e-5, 1e-6)) << cell << tied;
    }
  }
}

/// The loss of a batch, with the state that is there.
double loss_of(Model& model, const Tensor& tokens, Tensors& carry) {
  const Batch batch{.input = tokens.narrow(1, 0, tokens.size(1) - 1),
                    .target = tokens.narrow(1, 1, tokens.size(1) - 1),
                    .counts = at::full({1}, static_cast<double>(tokens.size(1) - 1), at::kFloat),
                    .sample_ids = {0},
                    .weight = static_cast<double>(tokens.size(1) - 1)};
  const Tensors none;
  Tensors shared;
  LossInput input{
      .batch = batch, .draws = none, .scheduled = none, .carry = carry, .shared = shared};
  return model.phases()[0].loss(input).value.item<double>();
}

TEST(Rnn, CarriesItsStateThroughConsecutiveWindowsOnly) {
  const Tensor tokens = at::arange(13).mul(4).remainder(9).view({1, 13});
  for (const auto& cell : {"tanh", "gru", "lstm"}) {
    for (const Windows windows : {Windows::consecutive, Windows::shuffled}) {
      DataInfo info = text_info(12);
      info.windows = windows;
      const auto model = random_text_model("rnn", info, {{"cell", cell}});
      Tensors carry, fresh;
      const double first = loss_of(*model, tokens.narrow(1, 0, 7), carry);
      const double second = loss_of(*model, tokens.narrow(1, 6, 7), carry);
      const double whole = loss_of(*model, tokens, fresh);
      if (windows == Windows::consecutive) {
        EXPECT_NEAR((first + second) / 2, whole, 1e-6) << cell;
        for (const auto& [name, state] : carry) EXPECT_FALSE(state.requires_grad()) << name;
      } else {
        EXPECT_GT(std::abs((first + second) / 2 - whole), 1e-4) << cell;
      }
    }
  }
}

TEST(Rnn, RefusesTiedTablesOfAnotherWidth) {
  expect_error(ErrorKind::usage, "model.tied", [] {
    make_model(find_family("rnn"), {{"width", 16}, {"embedding", 8}}, text_info(8));
  });
}

}  // namespace
}  // namespace genai
