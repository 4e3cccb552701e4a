#include "genai/training/muon.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "base/temp_folder.h"
#include "genai/training/flat_parameters.h"
#include "tensors.h"

namespace genai {
namespace {

/// What the steps make of one singular value: five times the quintic.
double quintic(double x) {
  for (int i = 0; i < 5; ++i) {
    x = 3.4445 * x - 4.7750 * std::pow(x, 3) + 2.0315 * std::pow(x, 5);
  }
  return x;
}

TEST(Orthogonalized, BringsSingularValuesNearOne) {
  torch::manual_seed(1);
  for (const auto& [count, rows, columns] : std::vector<std::array<int64_t, 3>>{
           {1, 64, 16}, {3, 16, 64}, {2, 7, 40}, {2, 40, 7}, {1, 1, 9}, {2, 9, 1}, {1, 1, 1}}) {
    const Tensor x = at::randn({count, rows, columns});
    const Tensor found = orthogonalized(x);
    ASSERT_EQ(found.sizes(), x.sizes());
    const Tensor values = at::linalg_svdvals(found);
    EXPECT_GE(values.min().item<double>(), 0.67) << rows << " x " << columns;
    EXPECT_LE(values.max().item<double>(), 1.21) << rows << " x " << columns;
  }
}

TEST(Orthogonalized, IsTheQuinticOfTheSingularValues) {
  torch::manual_seed(2);
  // Square ones too, whose smallest singular values are too small for five steps.
  for (const auto& [rows, columns] :
       std::vector<std::pair<int64_t, int64_t>>{{12, 12}, {48, 48}, {20, 33}, {33, 20}}) {
    const Tensor x = at::randn({1, rows, columns}, at::kDouble);
    const auto [u, s, v] = at::linalg_svd(x, /*full_matrices=*/false);
    const Tensor norm = s.square().sum().sqrt();
    Tensor values = (s / norm).contiguous();
    for (int64_t i = 0; i < values.numel(); ++i) {
      double& value = values.data_ptr<double>()[i];
      value = quintic(value);
    }
    const Tensor expected = at::matmul(u * values.unsqueeze(1), v);
    EXPECT_LE(largest(orthogonalized(x) - expected), 1e-12);
    EXPECT_LE(largest(orthogonalized(x.to(at::kFloat)) - expected), 1e-4);
  }
}

TEST(Orthogonalized, TakesEachMatrixOnItsOwn) {
  torch::manual_seed(3);
  for (const auto& [rows, columns] :
       std::vector<std::pair<int64_t, int64_t>>{{24, 24}, {96, 24}, {24, 96}, {5, 3}}) {
    const Tensor scales = at::tensor({1.0f, 10.0f, 0.1f, 3.0f}).view({4, 1, 1});
    const Tensor x = at::randn({4, rows, columns}) * scales;
    const Tensor together = orthogonalized(x);
    for (int64_t i = 0; i < 4; ++i) {
      EXPECT_LE(largest(orthogonalized(x.narrow(0, i, 1)) - together.narrow(0, i, 1)), 1e-6);
    }
    // A transposed matrix gives the transposed result.
    EXPECT_LE(largest(orthogonalized(x.mT().contiguous()).mT() - together), 1e-5);
  }
}

TEST(Orthogonalized, DoesNotSeeTheScale) {
  torch::manual_seed(4);
  const Tensor x = at::randn({2, 6, 10});
  for (const double scale : {1e-10, 1e-3, 1e10}) {
    EXPECT_LE(largest(orthogonalized(x * scale) - orthogonalized(x)), 1e-4) << scale;
  }
  EXPECT_EQ(largest(orthogonalized(at::zeros({2, 3, 4}))), 0);
}

TEST(Orthogonalized, RefusesOtherDimensions) {
  EXPECT_THROW(orthogonalized(at::ones({3, 4})), std::logic_error);
  EXPECT_THROW(orthogonalized(at::ones({2, 2, 3, 4})), std::logic_error);
}

TEST(MuonScale, IsTheLargerSides) {  // of an orthogonal R x C matrix: mean square min / (R C)
  EXPECT_DOUBLE_EQ(muon_scale(16, 100), 2);
  EXPECT_DOUBLE_EQ(muon_scale(100, 16), 2);
  EXPECT_DOUBLE_EQ(muon_scale(1, 1), 0.2);
}

/// Two tall matrices of one shape, a wide one, one for AdamW and a bias; sizes that need padding.
struct Matrices : torch::nn::Module {
  Matrices() {
    torch::manual_seed(5);
    for (const auto& [name, shape] :
         std::vector<std::pair<std::string, std::vector<int64_t>>>{{"bias", {7}},
                                                                   {"tall", {7, 3}},
                                                                   {"wide", {3, 9}},
                                                                   {"other", {5, 3}},
                                                                   {"tall_too", {7, 3}}}) {
      register_parameter(name, at::randn(shape));
    }
  }
  /// Gradients of their own for each step.
  void set_gradients(int64_t step) {
    double shift = 0;
    for (const auto& item : named_parameters()) {
      Tensor gradient = item.value().grad();
      gradient.copy_(at::arange(1, gradient.numel() + 1)
                         .mul(1.37 + static_cast<double>(step) + (shift += 0.11))
                         .sin()
                         .view(gradient.sizes()));
    }
  }
};

const ParameterSet kSet{.name = "all",
                        .parameters = {"bias", "tall", "wide", "other", "tall_too"},
                        .matrices = {"tall", "wide", "tall_too"}};
constexpr double kMuonRate = 0.02;
const OptimizerOptions kMuonOptions{
    .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.1, .muon_momentum = 0.9};

Tensors everything(Matrices& net, const FlatParameters& flat) {
  Tensors all;
  flat.save(all);
  for (const auto& item : net.named_parameters()) all[item.key()] = item.value();
  for (auto& [name, tensor] : all) tensor = tensor.detach().clone();
  return all;
}

using Numbers = std::vector<double>;  // a matrix [rows, columns], row by row

Numbers numbers(const Tensor& x) {
  const Tensor flat = x.detach().to(at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

/// The steps in plain loops, on the side that comes first: as good as on the smaller one.
Numbers orthogonalized_in_double(Numbers x, size_t rows, size_t columns) {
  double squares = 0;
  for (const double v : x) squares += v * v;
  for (double& v : x) v /= std::sqrt(squares);
  const auto product = [](const Numbers& a, const Numbers& b, size_t n, size_t m, size_t k) {
    Numbers c(n * k);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < k; ++j) {
        for (size_t l = 0; l < m; ++l) c[i * k + j] += a[i * m + l] * b[l * k + j];
      }
    }
    return c;
  };
  for (int step = 0; step < 5; ++step) {
    Numbers transposed(x.size());
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < columns; ++j) transposed[j * rows + i] = x[i * columns + j];
    }
    const Numbers a = product(x, transposed, rows, columns, rows);
    Numbers b = product(a, a, rows, rows, rows);
    for (size_t i = 0; i < b.size(); ++i) b[i] = -4.7750 * a[i] + 2.0315 * b[i];
    const Numbers bx = product(b, x, rows, rows, columns);
    for (size_t i = 0; i < x.size(); ++i) x[i] = 3.4445 * x[i] + bx[i];
  }
  return x;
}

TEST(Muon, AnUpdateFollowsItsFormulas) {
  for (const double decay : {0.1, 0.0}) {
    OptimizerOptions o = kMuonOptions;
    o.weight_decay = decay;
    Matrices net;
    std::map<std::string, Numbers> value, mean, square;
    for (const auto& item : net.named_parameters()) {
      value[item.key()] = numbers(item.value());
      mean[item.key()] = square[item.key()] = Numbers(value[item.key()].size());
    }
    FlatParameters flat(net, kSet, Layout::contiguous, false, Optimizer::muon);
    flat.set_learning_rate(kMuonRate);
    int64_t updates = 0;
    for (int64_t step = 0; step < 6; ++step) {
      net.set_gradients(step);
      const bool skipped = step == 3;
      updates += !skipped;
      for (const auto& item : net.named_parameters()) {
        const std::string& name = item.key();
        const Numbers g = numbers(item.value().grad());
        Numbers &w = value[name], &m = mean[name], &v = square[name];
        if (skipped) continue;
        if (name == "bias" || name == "other") {
          const auto t = static_cast<double>(updates);
          for (size_t i = 0; i < w.size(); ++i) {
            m[i] = o.beta1 * m[i] + (1 - o.beta1) * g[i];
            v[i] = o.beta2 * v[i] + (1 - o.beta2) * g[i] * g[i];
            w[i] -= kMuonRate * (name == "other" ? decay : 0) * w[i];
            w[i] -= kMuonRate * m[i] / (1 - std::pow(o.beta1, t)) /
                    (std::sqrt(v[i] / (1 - std::pow(o.beta2, t))) + o.epsilon);
          }
          continue;
        }
        const auto rows = static_cast<size_t>(item.value().size(0)),
                   columns = static_cast<size_t>(item.value().size(1));
        Numbers u(w.size());
        for (size_t i = 0; i < w.size(); ++i) {
          m[i] = 0.9 * m[i] + g[i];
          u[i] = g[i] + 0.9 * m[i];
        }
        const Numbers direction = orthogonalized_in_double(u, rows, columns);
        const double scale = 0.2 * std::sqrt(static_cast<double>(std::max(rows, columns)));
        for (size_t i = 0; i < w.size(); ++i) {
          w[i] = w[i] * (1 - kMuonRate * decay) - kMuonRate * scale * direction[i];
        }
      }
      if (skipped) net.named_parameters()["wide"].mutable_grad().fill_(NAN);
      flat.update(o, flag(skipped));
    }
    for (const auto& [name, tensor] : everything(net, flat)) {
      if (name == "updates/all") {
        EXPECT_EQ(tensor.item<double>(), 5);
        continue;
      }
      const Numbers expected = name[1] != '/'   ? value[name]
                               : name[0] == 'm' ? mean[name.substr(2)]
                                                : square[name.substr(2)];
      const Numbers found = numbers(tensor);
      ASSERT_EQ(found.size(), expected.size()) << name;
      for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], 5e-6) << name;
    }
  }
}

TEST(Muon, ASkippedUpdateChangesNothing) {
  Matrices net;
  FlatParameters flat(net, kSet, Layout::contiguous, false, Optimizer::muon);
  flat.set_learning_rate(kMuonRate);
  net.set_gradients(0);
  flat.update(kMuonOptions, flag(0));
  const Tensors before = everything(net, flat);
  for (const float wrong : {NAN, INFINITY}) {
    net.named_parameters()["tall"].mutable_grad().fill_(wrong);
    flat.update(kMuonOptions, flag(1));
    for (const auto& [name, tensor] : everything(net, flat)) {
      EXPECT_TRUE(at::equal(tensor, before.at(name))) << name;
    }
  }
  net.set_gradients(1);
  flat.update(kMuonOptions, flag(0));
  for (const auto& [name, tensor] : everything(net, flat)) {
    EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << name;
    EXPECT_FALSE(at::equal(tensor, before.at(name))) << name;
  }
}

TEST(Muon, AGraphFromBeforeAnUpdateIsRefused) {
  Matrices net;
  FlatParameters flat(net, kSet, Layout::contiguous, false, Optimizer::muon);
  flat.set_learning_rate(kMuonRate);
  const Tensor loss = net.named_parameters()["wide"].square().sum();
  flat.update(kMuonOptions, flag(0));
  EXPECT_THROW(loss.backward(), c10::Error);
}

TEST(Muon, WithoutAGradientOnlyTheDecayIsLeft) {
  Matrices net;
  FlatParameters flat(net, kSet, Layout::contiguous, false, Optimizer::muon);
  flat.set_learning_rate(kMuonRate);
  const Tensors before = everything(net, flat);
  flat.update(kMuonOptions, flag(0));
  for (const char* name : {"tall", "wide", "tall_too", "other", "bias"}) {
    const double share = std::string(name) == "bias" ? 1 : 1 - 0.02 * 0.1;
    EXPECT_LE(largest(net.named_parameters()[name] - before.at(name) * share), 1e-6) << name;
  }
}

TEST(Muon, LoadsWhatItSavedAndGoesOn) {
  Matrices net, twin;
  FlatParameters flat(net, kSet, Layout::contiguous, true, Optimizer::muon);
  flat.set_learning_rate(kMuonRate);
  const auto step = [](Matrices& of, FlatParameters& by, int64_t index) {
    of.set_gradients(index);
    by.update(kMuonOptions, flag(0));
    by.update_average(0.5);
  };
  for (int64_t i = 0; i < 3; ++i) step(net, flat, i);
  Tensors saved;
  flat.save(saved);
  for (auto& [name, tensor] : saved) tensor = tensor.clone();
  EXPECT_EQ(saved.count("m/tall"), 1u);
  EXPECT_EQ(saved.count("v/tall"), 0u);
  EXPECT_EQ(saved.count("v/other"), 1u);
  FlatParameters again(twin, kSet, Layout::contiguous, true, Optimizer::muon);
  again.set_learning_rate(kMuonRate);
  again.load(saved, "file");
  for (int64_t i = 3; i < 5; ++i) {
    step(net, flat, i);
    step(twin, again, i);
  }
  const Tensors expected = everything(net, flat);
  for (const auto& [name, tensor] : everything(twin, again)) {
    EXPECT_TRUE(at::equal(tensor, expected.at(name))) << name;
  }
  // A run of AdamW needs more than there is.
  Matrices other;
  FlatParameters adamw(other, kSet, Layout::contiguous, true);
  adamw.set_learning_rate(kMuonRate);
  expect_error(ErrorKind::data, "file: tensor 'v/tall' is missing",
               [&] { adamw.load(saved, "file"); });
  saved.erase("m/wide");
  expect_error(ErrorKind::data, "file: tensor 'm/wide' is missing",
               [&] { again.load(saved, "file"); });
}

}  // namespace
}  // namespace genai
