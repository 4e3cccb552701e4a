#include "genai/evaluation/manifold.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <atomic>
#include <cmath>
#include <limits>

#include "genai/base/error.h"
#include "genai/evaluation/memorization.h"
#include "genai/evaluation/rows.h"

namespace genai {
namespace {

constexpr int64_t kBlock = 128;  // samples at once: their distances stay in the cache

/// Distance to the k-th nearest other row, [n].
Tensor radii(const Tensor& rows, int64_t k) {
  const Tensor itself = at::arange(rows.size(0), at::kLong);
  return nearest_neighbours(rows, rows, k, itself).distance.select(1, k - 1).contiguous();
}

/// The sum in the order of nearest_neighbours: an item that is a copy of the one a radius reaches
/// to has that radius as its distance, to the last bit, and is not inside.
double distance(const double* a, const double* b, int64_t d) {
  double sum = 0;
  for (int64_t i = 0; i < d; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

}  // namespace

ManifoldScores manifold_scores(const Tensor& real, const Tensor& samples, int64_t k) {
  if (k < 1) fail(ErrorKind::data, "expected balls of at least 1 neighbour, found k = ", k);
  const std::string why = concat("balls that reach to the ", k, ". neighbour need more items");
  const Tensor r = double_rows(real, "features of real images", k + 1, why);  // [m, d]
  const Tensor s = double_rows(samples, "features of samples", k + 1, why);   // [n, d]
  check_same_columns(r, "real images", s, "samples");
  const int64_t m = r.size(0), n = s.size(0), d = r.size(1);
  const Tensor real_radius = radii(r, k), sample_radius = radii(s, k);
  const Tensor held = at::zeros(n, at::kDouble);  // real balls that hold the sample
  const Tensor recalled = at::zeros(m, at::kByte), covered = at::zeros(m, at::kByte);

  // Squared distances by matrix products, about a common centre, have an error of at most
  // `slack`; what is as near as that to a ball's surface is computed again.
  const Tensor centre = r.mean(0), x = r - centre, y = s - centre;
  const Tensor x2 = x.square().sum(1), y2 = y.square().sum(1);
  const double slack = 4 * static_cast<double>(d + 4) * std::numeric_limits<double>::epsilon() *
                       (x2.max().item<double>() + y2.max().item<double>());
  const double* rr = real_radius.const_data_ptr<double>();
  const double* rs = sample_radius.const_data_ptr<double>();
  const double* r_data = r.const_data_ptr<double>();
  const double* s_data = s.const_data_ptr<double>();
  double* held_data = held.mutable_data_ptr<double>();
  uint8_t* recalled_data = recalled.mutable_data_ptr<uint8_t>();
  uint8_t* covered_data = covered.mutable_data_ptr<uint8_t>();
  const Tensor real_square = real_radius.square();
  const double* rr2 = real_square.const_data_ptr<double>();
  const double* own = y2.const_data_ptr<double>();

  at::parallel_for(0, (n + kBlock - 1) / kBlock, 1, [&](int64_t first_block, int64_t last_block) {
    for (int64_t first = first_block * kBlock; first < std::min(n, last_block * kBlock);
         first += kBlock) {
      const int64_t count = std::min(kBlock, n - first);
      const Tensor squares = at::addmm(x2.unsqueeze(0), y.narrow(0, first, count), x.t(), 1, -2);
      const double* row = squares.const_data_ptr<double>();  // [count, m], without y2
      for (int64_t i = first; i < first + count; ++i, row += m) {
        const double reach = rs[i] * rs[i];
        for (int64_t j = 0; j < m; ++j) {
          const double square = row[j] + own[i] - slack;  // at most the true one
          if (square >= rr2[j] && square >= reach) continue;
          const auto inside = [&](double radius, double radius_square) {
            if (square >= radius_square) return false;
            if (square + 2 * slack < radius_square) return true;
            return distance(s_data + i * d, r_data + j * d, d) < radius;
          };
          // Several threads may set one flag, all to 1.
          const auto set = [](uint8_t& flag) {
            std::atomic_ref(flag).store(1, std::memory_order_relaxed);
          };
          if (inside(rr[j], rr2[j])) {
            ++held_data[i];
            set(covered_data[j]);
          }
          if (inside(rs[i], reach)) set(recalled_data[j]);
        }
      }
    }
  });
  return {.precision = (held > 0).to(at::kDouble),
          .density = held / static_cast<double>(k),
          .recall = recalled.to(at::kDouble),
          .coverage = covered.to(at::kDouble)};
}

}  // namespace genai
