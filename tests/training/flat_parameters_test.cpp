#include "genai/training/flat_parameters.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "base/temp_folder.h"
#include "genai/training/muon.h"
#include "tensors.h"

namespace genai {
namespace {

/// Parameters of odd sizes and of 0, 1, 2 and 4 dimensions.
struct OddNet : torch::nn::Module {
  OddNet() {
    torch::manual_seed(3);
    conv = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 5, 3).padding(1)));
    dense = register_module("dense", torch::nn::Linear(5 * 4 * 4, 7));
    gain = register_parameter("gain", at::full({}, 1.5));
  }
  Tensor forward(const Tensor& x) {
    return gain * dense->forward(conv->forward(x).tanh().flatten(1));
  }

  torch::nn::Conv2d conv{nullptr};
  torch::nn::Linear dense{nullptr};
  Tensor gain;
};

const ParameterSet kAll{
    .name = "all",
    .parameters = {"gain", "conv.weight", "conv.bias", "dense.weight", "dense.bias"}};

constexpr double kRate = 0.02;
const OptimizerOptions kOptions{.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.1};

Tensor inputs() {
  return at::linspace(-1, 1, 2 * 3 * 4 * 4).view({2, 3, 4, 4}).sin();
}

void backward(OddNet& net, FlatParameters& flat) {
  flat.zero_gradients();
  net.forward(inputs()).square().mean().backward({}, false, false, flat.parameters());
}

TEST(FlatParameters, KeepsValuesInAlignedViewsOfOneBuffer) {
  for (const Layout layout : {Layout::contiguous, Layout::channels_last}) {
    OddNet before, net;
    FlatParameters flat(net, kAll, layout, false);
    flat.set_learning_rate(kRate);
    EXPECT_EQ(flat.parameters().size(), 5u);
    const auto named = before.named_parameters();
    for (const auto& item : net.named_parameters()) {
      const Tensor& parameter = item.value();
      EXPECT_TRUE(at::equal(parameter, named[item.key()])) << item.key();
      EXPECT_EQ(reinterpret_cast<uintptr_t>(parameter.data_ptr()) % 64, 0u) << item.key();
      EXPECT_EQ(reinterpret_cast<uintptr_t>(parameter.grad().data_ptr()) % 64, 0u) << item.key();
      EXPECT_TRUE(parameter.is_leaf() && parameter.requires_grad()) << item.key();
      EXPECT_TRUE(parameter.is_alias_of(net.gain)) << item.key();
      EXPECT_TRUE(parameter.grad().is_alias_of(net.gain.grad())) << item.key();
      EXPECT_EQ(parameter.grad().strides(), parameter.strides()) << item.key();
    }
    EXPECT_EQ(net.conv->weight.is_contiguous(at::MemoryFormat::ChannelsLast),
              layout == Layout::channels_last);
    // Gradients arrive in the buffer, added to what is there.
    backward(net, flat);
    const Tensor once = net.dense->weight.grad().clone();
    EXPECT_GT(largest(once), 0);
    EXPECT_NEAR(
        flat.gradient_norm().item<double>(),
        [&] {
          double squares = 0;
          for (const auto& p : net.parameters()) squares += p.grad().square().sum().item<double>();
          return std::sqrt(squares);
        }(),
        1e-6);
    net.forward(inputs()).square().mean().backward({}, false, false, flat.parameters());
    EXPECT_LE(largest(net.dense->weight.grad() - 2 * once), 1e-6);
    flat.zero_gradients();
    EXPECT_EQ(largest(net.conv->weight.grad()), 0);
  }
}

TEST(FlatParameters, ClipsOnlyGradientsThatAreTooLong) {
  OddNet net;
  FlatParameters flat(net, kAll, Layout::contiguous, false);
  flat.set_learning_rate(kRate);
  backward(net, flat);
  const Tensor norm = flat.gradient_norm(), before = net.dense->weight.grad().clone();
  flat.clip_gradients(norm, 2 * norm.item<double>());
  EXPECT_TRUE(at::equal(net.dense->weight.grad(), before));
  flat.clip_gradients(norm, 0.25 * norm.item<double>());
  EXPECT_NEAR(flat.gradient_norm().item<double>() / norm.item<double>(), 0.25, 1e-4);
  EXPECT_LE(largest(net.dense->weight.grad() - 0.25 * before), 1e-4 * largest(before));
}

/// D. Kingma, J. Ba 2015, algorithm 1, and I. Loshchilov, F. Hutter 2019, algorithm 2, number by
/// number in double.
TEST(FlatParameters, AdamwFollowsItsFormulas) {
  OddNet net;
  FlatParameters flat(net, kAll, Layout::contiguous, false);
  flat.set_learning_rate(kRate);
  struct State {
    std::vector<double> value, mean, square;
  };
  std::map<std::string, State> states;
  for (const auto& item : net.named_parameters()) {
    const auto size = static_cast<size_t>(item.value().numel());
    const Tensor numbers = item.value().detach().to(at::kDouble).contiguous();
    const double* first = numbers.const_data_ptr<double>();
    states[item.key()] = {
        {first, first + size}, std::vector<double>(size), std::vector<double>(size)};
  }
  const auto& o = kOptions;
  int64_t updates = 0;
  for (int64_t step = 0; step < 20; ++step) {
    // Gradients of our own, one of them as if it had overflown: that update is left out.
    const bool skipped = step == 7 || step == 13;
    updates += !skipped;
    for (const auto& item : net.named_parameters()) {
      Tensor gradient = item.value().grad();
      gradient.copy_(at::arange(1, gradient.numel() + 1)
                         .mul(0.37 + static_cast<double>(step))
                         .sin()
                         .view(gradient.sizes()));
      const Tensor numbers = gradient.to(at::kDouble).contiguous();
      const double* g = numbers.const_data_ptr<double>();
      State& state = states[item.key()];
      for (size_t i = 0; i < state.value.size() && !skipped; ++i) {
        const auto t = static_cast<double>(updates);
        state.mean[i] = o.beta1 * state.mean[i] + (1 - o.beta1) * g[i];
        state.square[i] = o.beta2 * state.square[i] + (1 - o.beta2) * g[i] * g[i];
        const double mean = state.mean[i] / (1 - std::pow(o.beta1, t));
        const double square = state.square[i] / (1 - std::pow(o.beta2, t));
        const double decay = item.value().dim() >= 2 ? o.weight_decay : 0;
        state.value[i] -= kRate * (mean / (std::sqrt(square) + o.epsilon) + decay * state.value[i]);
      }
    }
    if (skipped) net.gain.mutable_grad().fill_(step == 7 ? NAN : INFINITY);
    flat.update(o, flag(skipped));
  }
  Tensors saved;
  flat.save(saved);
  EXPECT_EQ(saved.at("updates/all").item<double>(), 18);
  for (const auto& item : net.named_parameters()) {
    const State& state = states[item.key()];
    const auto compare = [&](const Tensor& found, const std::vector<double>& expected) {
      const Tensor numbers = found.detach().to(at::kDouble).contiguous();
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(numbers.const_data_ptr<double>()[i], expected[i], 2e-6) << item.key();
      }
    };
    compare(item.value(), state.value);
    compare(saved.at("m/" + item.key()), state.mean);
    compare(saved.at("v/" + item.key()), state.square);
  }
}

TEST(FlatParameters, RefusesASetThatIsNone) {
  OddNet net;
  for (const Optimizer optimizer : {Optimizer::adamw, Optimizer::muon}) {
    const auto expect = [&](const ParameterSet& set, std::string_view part) {
      try {
        const FlatParameters flat(net, set, Layout::contiguous, false, optimizer);
        ADD_FAILURE() << part;
      } catch (const std::logic_error& error) {
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      }
    };
    expect({.name = "all", .parameters = {"gain", "pain"}}, "'pain', which is none");
    expect({.name = "all", .parameters = {"dense.bias"}, .matrices = {"dense.bias"}},
           "matrix 'dense.bias', which is none");
    expect({.name = "all", .parameters = {"gain"}, .matrices = {"dense.weight"}},
           "'all' names matrices it does not hold");
  }
}

/// Without matrices, or with them and adamw, nothing is different.
TEST(FlatParameters, MuonIsForMatricesOfRunsThatAskForIt) {
  const auto train = [](const ParameterSet& set, Optimizer optimizer) {
    OddNet net;
    FlatParameters flat(net, set, Layout::channels_last, false, optimizer);
    flat.set_learning_rate(kRate);
    for (int i = 0; i < 3; ++i) {
      backward(net, flat);
      flat.update(kOptions, flag(0));
    }
    Tensors all;
    flat.save(all);
    for (const auto& item : net.named_parameters()) all[item.key()] = item.value();
    return all;
  };
  ParameterSet with_matrices = kAll;
  with_matrices.matrices = {"dense.weight"};
  const Tensors plain = train(kAll, Optimizer::adamw);
  for (const Tensors& same :
       {train(kAll, Optimizer::muon), train(with_matrices, Optimizer::adamw)}) {
    ASSERT_EQ(same.size(), plain.size());
    for (const auto& [name, tensor] : plain) EXPECT_TRUE(at::equal(same.at(name), tensor)) << name;
  }
  const Tensors other = train(with_matrices, Optimizer::muon);
  EXPECT_EQ(other.count("v/dense.weight"), 0u);
  EXPECT_EQ(other.size(), plain.size() - 1);
  EXPECT_FALSE(at::equal(other.at("dense.weight"), plain.at("dense.weight")));
}

/// A convolution's weights are a matrix of a row for each channel that it makes, in either layout.
TEST(FlatParameters, MuonTakesConvolutionsAsMatrices) {
  const ParameterSet set{
      .name = "all", .parameters = {"conv.weight", "conv.bias"}, .matrices = {"conv.weight"}};
  for (const Layout layout : {Layout::contiguous, Layout::channels_last}) {
    OddNet net;
    FlatParameters flat(net, set, layout, false, Optimizer::muon);
    flat.set_learning_rate(kRate);
    const Tensor before = net.conv->weight.detach().clone();
    flat.zero_gradients();
    net.forward(inputs()).square().mean().backward({}, false, false, flat.parameters());
    const Tensor gradient = net.conv->weight.grad().clone();
    flat.update(kOptions, flag(0));
    const Tensor direction = orthogonalized(gradient.reshape({1, 5, 27})).view({5, 3, 3, 3});
    const Tensor expected =
        before * (1 - kRate * kOptions.weight_decay) - kRate * muon_scale(5, 27) * direction;
    EXPECT_LE(largest(net.conv->weight - expected), 1e-5);
  }
}

TEST(FlatParameters, ASkippedUpdateChangesNothing) {
  OddNet net;
  FlatParameters flat(net, kAll, Layout::contiguous, false);
  flat.set_learning_rate(kRate);
  backward(net, flat);
  flat.update(kOptions, flag(0));
  const auto copy = [&] {
    Tensors all;
    flat.save(all);
    for (const auto& item : net.named_parameters()) all[item.key()] = item.value();
    for (auto& [name, tensor] : all) tensor = tensor.detach().clone();
    return all;
  };
  const Tensors before = copy();
  net.dense->weight.mutable_grad().fill_(NAN);
  flat.update(kOptions, flag(1));
  for (const auto& [name, tensor] : copy()) EXPECT_TRUE(at::equal(tensor, before.at(name))) << name;
  backward(net, flat);
  flat.update(kOptions, flag(0));
  EXPECT_FALSE(at::equal(net.dense->weight, before.at("dense.weight")));
}

TEST(FlatParameters, AGraphFromBeforeAnUpdateIsRefused) {
  for (const bool decayed : {true, false}) {
    OddNet net;
    FlatParameters flat(net, kAll, Layout::contiguous, false);
    flat.set_learning_rate(kRate);
    backward(net, flat);
    // The graph holds the weights for its backward pass; the update changes them.
    const Tensor loss = net.forward(inputs().requires_grad_()).square().mean();
    flat.update({.beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .weight_decay = decayed ? 0.1 : 0},
                flag(0));
    EXPECT_THROW(loss.backward(), c10::Error);
    EXPECT_NO_THROW(net.forward(inputs()).square().mean().backward());
  }
}

TEST(FlatParameters, ChannelsLastGivesTheSameNumbers) {
  const auto train = [](Layout layout) {
    OddNet net;
    FlatParameters flat(net, kAll, layout, true);
    flat.set_learning_rate(kRate);
    for (int i = 0; i < 5; ++i) {
      backward(net, flat);
      flat.update(kOptions, flag(0));
      flat.update_average(0.5);
    }
    Tensors all;
    flat.save(all);
    OddNet twin;
    flat.share_average(twin);
    for (const auto& item : twin.named_parameters()) all[item.key()] = item.value().contiguous();
    return all;
  };
  const Tensors contiguous = train(Layout::contiguous);
  for (const auto& [name, tensor] : train(Layout::channels_last)) {
    EXPECT_EQ(tensor.sizes(), contiguous.at(name).sizes()) << name;
    EXPECT_LE(largest(tensor - contiguous.at(name)), 1e-6) << name;
  }
}

TEST(FlatParameters, TheAverageIsSharedWithATwin) {
  OddNet net, twin;
  FlatParameters flat(net, kAll, Layout::contiguous, true);
  flat.set_learning_rate(kRate);
  flat.share_average(twin);
  const Tensor start = net.dense->weight.detach().clone();
  EXPECT_TRUE(at::equal(twin.dense->weight, start));
  EXPECT_FALSE(twin.dense->weight.requires_grad());
  Tensor expected = start;
  for (int i = 0; i < 3; ++i) {
    backward(net, flat);
    flat.update(kOptions, flag(0));
    flat.update_average(0.75);
    expected = 0.75 * expected + 0.25 * net.dense->weight.detach();
  }
  EXPECT_LE(largest(twin.dense->weight - expected), 1e-6);
  EXPECT_GT(largest(twin.dense->weight - net.dense->weight), 1e-4);
  flat.reset_average();
  EXPECT_TRUE(at::equal(twin.dense->weight, net.dense->weight));
}

TEST(FlatParameters, WithoutAnAverageATwinHasTheParameters) {
  OddNet net, twin;
  FlatParameters flat(net, kAll, Layout::contiguous, false);
  flat.set_learning_rate(kRate);
  flat.share_average(twin);
  backward(net, flat);
  flat.update(kOptions, flag(0));
  EXPECT_TRUE(at::equal(twin.conv->weight, net.conv->weight));
  EXPECT_TRUE(net.conv->weight.requires_grad());
}

class FlatParametersFile : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 3; ++i) step(net_, flat_);
    flat_.save(saved_);
    for (auto& [name, tensor] : saved_) tensor = tensor.clone();
  }
  static void step(OddNet& net, FlatParameters& flat) {
    flat.set_learning_rate(kRate);
    backward(net, flat);
    flat.update(kOptions, flag(0));
    flat.update_average(0.5);
  }

  OddNet net_;
  FlatParameters flat_{net_, kAll, Layout::channels_last, true};
  Tensors saved_;
};

TEST_F(FlatParametersFile, LoadsWhatItSaved) {
  OddNet net, twin;
  // Another layout: files hold tensors in their logical order.
  FlatParameters flat(net, kAll, Layout::contiguous, true);
  flat.set_learning_rate(kRate);
  flat.share_average(twin);
  {
    const at::NoGradGuard no_grad;
    // As load_weights does: the weights that sample come first.
    OddNet average;
    flat_.share_average(average);
    const auto named = average.named_parameters();
    for (auto& item : net.named_parameters()) item.value().copy_(named[item.key()]);
  }
  flat.load(saved_, "file");
  Tensors again;
  flat.save(again);
  ASSERT_EQ(again.size(), saved_.size());
  for (const auto& [name, tensor] : saved_) EXPECT_TRUE(at::equal(again.at(name), tensor)) << name;
  EXPECT_TRUE(at::equal(net.conv->weight, net_.conv->weight));
  EXPECT_FALSE(at::equal(twin.conv->weight, net.conv->weight));
  // And goes on the same way.
  step(net, flat);
  step(net_, flat_);
  EXPECT_LE(largest(net.conv->weight - net_.conv->weight), 1e-6);
  EXPECT_TRUE(net.conv->weight.grad().is_alias_of(net.gain.grad()));
}

TEST_F(FlatParametersFile, NamesWhatIsMissingOrMisshaped) {
  for (const char* name : {"m/conv.weight", "v/gain", "raw/dense.bias", "updates/all"}) {
    Tensors lacking = saved_;
    lacking.erase(name);
    expect_error(ErrorKind::data, concat("tensor '", name, "' is missing"),
                 [&] { flat_.load(lacking, "file"); });
    Tensors other = saved_;
    other[name] = at::zeros({2, 3});
    expect_error(ErrorKind::data, concat("file: tensor '", name, "' is of another shape"),
                 [&] { flat_.load(other, "file"); });
  }
}

}  // namespace
}  // namespace genai
