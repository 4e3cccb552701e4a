#include "genai/core/numerics.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include "base/temp_folder.h"
#include "genai/core/tensors.h"

namespace genai {
namespace {

/// Tests may change the number of threads.
class NumericsTest : public testing::Test {
 protected:
  ~NumericsTest() override { at::set_num_threads(threads_); }
  int threads_ = at::get_num_threads();
};

TEST_F(NumericsTest, ResolvesWhatIsAskedFor) {
  const Numerics numerics = resolve_numerics({.device = "cpu",
                                              .precision = Precision::bfloat16,
                                              .layout = Layout::channels_last,
                                              .threads = 3});
  EXPECT_EQ(numerics.device, "cpu");
  EXPECT_EQ(numerics.torch_device(), at::Device(at::kCPU));
  EXPECT_EQ(numerics.precision, Precision::bfloat16);
  EXPECT_EQ(numerics.layout, Layout::channels_last);
  EXPECT_EQ(numerics.threads, 3);
  EXPECT_EQ(at::get_num_threads(), 3);
  EXPECT_EQ(numerics.cpu, at::get_cpu_capability());
  EXPECT_EQ(numerics.libtorch, TORCH_VERSION);
}

TEST_F(NumericsTest, LeavesNothingAutomatic) {
  const Numerics numerics = resolve_numerics({});
  EXPECT_NE(numerics.precision, Precision::automatic);
  EXPECT_NE(numerics.layout, Layout::automatic);
  EXPECT_GE(numerics.threads, 1);
  EXPECT_EQ(numerics.device, torch::cuda::is_available() ? "cuda:0" : "cpu");
  EXPECT_EQ(numerics.precision == Precision::bfloat16, has_fast_bfloat16(numerics.torch_device()));
}

TEST_F(NumericsTest, RejectsUnknownDevices) {
  for (const char* name : {"", "gpu", "CPU", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "cuda:0x",
                           "cuda 0", "cuda:99999999999999999999", "mps", "automatic"}) {
    expect_error(ErrorKind::device, concat("unknown device '", name, "'; expected auto, cpu, cuda"),
                 [&] { resolve_numerics({.device = name}); });
  }
}

TEST_F(NumericsTest, NamesTheDevicesThereAreWhenOneIsMissing) {
  if (torch::cuda::is_available()) GTEST_SKIP() << "this machine has CUDA";
  for (const char* name : {"cuda", "cuda:0", "cuda:7"}) {
    expect_error(ErrorKind::device, concat("device '", name, "' is not available"),
                 [&] { resolve_numerics({.device = name}); });
    expect_error(ErrorKind::device, "have: cpu", [&] { resolve_numerics({.device = name}); });
    Numerics stored;
    stored.device = name;
    expect_error(ErrorKind::device, "have: cpu", [&] { adopt_numerics(stored); });
  }
  EXPECT_EQ(list_devices(), (std::vector<std::string>{"cpu"}));
}

TEST_F(NumericsTest, RejectsACudaNumberThatIsNotThere) {
  expect_error(ErrorKind::device, "cpu", [] { resolve_numerics({.device = "cuda:999"}); });
}

TEST_F(NumericsTest, JsonRoundTrip) {
  const Numerics numerics{.device = "cuda:3",
                          .precision = Precision::bfloat16,
                          .layout = Layout::channels_last,
                          .threads = 7,
                          .cpu = "AVX512",
                          .libtorch = "2.13.0"};
  const Json json = to_json(numerics);
  EXPECT_EQ(json["layout"], "channels-last");
  const Numerics read = numerics_from_json(parse_json(json.dump(), "x", ErrorKind::data));
  EXPECT_EQ(to_json(read), json);
  EXPECT_EQ(read.device, numerics.device);
  EXPECT_EQ(read.precision, numerics.precision);
  EXPECT_EQ(read.layout, numerics.layout);
  EXPECT_EQ(read.threads, numerics.threads);
  EXPECT_EQ(read.cpu, numerics.cpu);
  EXPECT_EQ(read.libtorch, numerics.libtorch);
  Json other = json;
  other["precision"] = "float8";
  expect_error(ErrorKind::data, "unknown name 'float8'", [&] { numerics_from_json(other); });
  for (const int64_t threads : {int64_t{1'000'000'000}, int64_t{0}, int64_t{-1}}) {
    other = json;
    other["threads"] = threads;
    expect_error(ErrorKind::data, concat("found ", threads), [&] { numerics_from_json(other); });
  }
}

TEST_F(NumericsTest, AdoptingTellsWhatIsDifferent) {
  Numerics stored = resolve_numerics({.device = "cpu", .threads = 2});
  at::set_num_threads(1);
  EXPECT_EQ(adopt_numerics(stored), "");
  EXPECT_EQ(at::get_num_threads(), 2);
  stored.cpu = "Z80";
  EXPECT_NE(adopt_numerics(stored).find("Z80"), std::string::npos);
  stored.libtorch = "0.4.1";
  EXPECT_NE(adopt_numerics(stored).find("Z80"), std::string::npos);
  EXPECT_NE(adopt_numerics(stored).find("0.4.1"), std::string::npos);
}

TEST(MixedPrecision, ProductsAreBfloat16InsideAndFloat32Outside) {
  const Tensor a = at::full({1, 1}, 1.001f), b = at::ones({1, 1});
  {
    const MixedPrecision scope(Precision::bfloat16, at::kCPU);
    EXPECT_EQ(at::mm(a, b).scalar_type(), at::kBFloat16);
    EXPECT_EQ(at::mm(a, b).item<float>(), 1.0f);  // bfloat16 has 8 bits: steps of 1/128
    EXPECT_EQ((a + b).scalar_type(), at::kFloat);
  }
  EXPECT_EQ(at::mm(a, b).scalar_type(), at::kFloat);
  EXPECT_EQ(at::mm(a, b).item<float>(), 1.001f);
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}

TEST(MixedPrecision, Float32IsLeftAlone) {
  const MixedPrecision scope(Precision::float32, at::kCPU);
  EXPECT_EQ(at::mm(at::ones({2, 2}), at::ones({2, 2})).scalar_type(), at::kFloat);
}

TEST(MixedPrecision, GradientsAreFloat32) {
  const Tensor w = at::full({2, 2}, 3.0f).requires_grad_();
  Tensor loss;
  {
    const MixedPrecision scope(Precision::bfloat16, at::kCPU);
    loss = at::mm(at::ones({2, 2}), w).to(at::kFloat).sum();
  }
  loss.backward();
  EXPECT_EQ(w.grad().scalar_type(), at::kFloat);
  EXPECT_TRUE(w.grad().equal(at::full({2, 2}, 2.0f)));
}

// LibTorch keeps bfloat16 copies of weights while autocast is on.
TEST(MixedPrecision, TheNextScopeSeesChangedWeights) {
  const Tensor w = at::ones({2, 2}).requires_grad_(), x = at::ones({2, 2});
  const auto product = [&] {
    const MixedPrecision scope(Precision::bfloat16, at::kCPU);
    return at::mm(x, w)[0][0].item<float>();
  };
  EXPECT_EQ(product(), 2);
  {
    const at::NoGradGuard guard;
    w.fill_(5);
  }
  EXPECT_EQ(product(), 10);
  {
    const MixedPrecision scope(Precision::bfloat16, at::kCPU);
    at::mm(x, w);
    const at::NoGradGuard guard;
    w.fill_(7);
  }
  EXPECT_EQ(product(), 14);
}

TEST(MixedPrecision, AnExceptionEndsTheScope) {
  try {
    const MixedPrecision scope(Precision::bfloat16, at::kCPU);
    throw std::runtime_error("stop");
  } catch (const std::runtime_error&) {
  }
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}

}  // namespace
}  // namespace genai
