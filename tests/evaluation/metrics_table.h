// The features of metrics_in_python.py, made by our own code, and the numbers it found for them.
#pragma once
#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/temp_folder.h"
#include "genai/base/json.h"
#include "genai/core/draw.h"

namespace genai {

inline const Json& metrics_table() {
  static const Json table = [] {
    const auto file =
        std::filesystem::path(GENAI_SOURCE_DIR) / "tests/evaluation/metrics_in_python.json";
    return parse_json(slurp(file), file.string(), ErrorKind::data);
  }();
  return table;
}

inline Tensor table_uniform(const std::string& name, at::IntArrayRef shape) {
  return Draw(5, "metrics", {0}).uniform(name, shape)[0].to(at::kDouble);
}

inline Tensor table_features(const std::string& name, int64_t rows, int64_t d, double shift) {
  const std::string size = std::to_string(d);
  const Tensor mix = table_uniform("mix" + size, {d, d}) - 0.5;
  const Tensor scale = table_uniform("scale" + size, {d}) + 0.2;
  const Tensor bias = table_uniform("bias" + size, {d}) - 0.5;
  const Tensor x =
      (((table_uniform(name, {rows, d}) - 0.5).mm(mix) + bias / 2 + shift) * scale).relu();
  x.narrow(0, 10, 10).copy_(x.narrow(0, 0, 10));
  return x;
}

struct TwoSets {
  explicit TwoSets(const Json& entry)
      : values(entry), d(entry.at("d")), m(entry.at("m")), n(entry.at("n")) {
    const std::string size = std::to_string(d);
    real = table_features("real" + size, m, d, 0.1);
    samples = table_features("samples" + size, n, d, 0.15);
    samples.narrow(0, 30, 30).copy_(real.narrow(0, 30, 30));
    samples.narrow(0, 60, 30).copy_(real.narrow(0, 60, 30) +
                                    table_uniform("near" + size, {30, d}) * 0.001);
    samples.narrow(0, 90, 3).copy_(real.narrow(0, 10, 3));
  }

  Json values;
  int64_t d, m, n;
  Tensor real, samples;  // [m, d], [n, d]
};

inline std::vector<TwoSets> table_sets() {
  std::vector<TwoSets> sets;
  for (const Json& entry : metrics_table().at("two_sets")) sets.emplace_back(entry);
  return sets;
}

inline Tensor table_pictures(const std::string& name, int64_t rows) {
  return (table_uniform(name, {rows, 12}) * 3).to(at::kByte);
}

inline void expect_close(double found, const Json& expected, double tolerance = 1e-6) {
  const double value = expected.get<double>();
  EXPECT_NEAR(found, value, tolerance * std::abs(value) + 1e-14);
}

}  // namespace genai
