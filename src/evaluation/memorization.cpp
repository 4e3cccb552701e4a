#include "genai/evaluation/memorization.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "genai/base/error.h"
#include "genai/core/draw.h"
#include "genai/evaluation/rows.h"

namespace genai {
namespace {

constexpr int64_t kRowsAtOnce = 512;  // rows converted at once
constexpr int64_t kScores = 1 << 24;  // of a thread at once: 64 MB
constexpr int64_t kRounds = 50;       // of Lloyd's algorithm
constexpr int64_t kFewSamples = 20;   // in a cell of C_T

/// Rows about a common centre in float32, in blocks: a copy in float64 of all would be large.
Tensor centred(const Tensor& rows, const Tensor& centre) {
  Tensor out = at::empty(rows.sizes(), at::kFloat);
  for (int64_t first = 0; first < rows.size(0); first += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, rows.size(0) - first);
    out.narrow(0, first, count).copy_(rows.narrow(0, first, count).to(at::kDouble) - centre);
  }
  return out;
}

Tensor mean_row(const Tensor& rows) {
  Tensor sum = at::zeros(rows.size(1), at::kDouble);
  for (const Tensor& block : rows.split(kRowsAtOnce)) sum += block.to(at::kDouble).sum(0);
  return sum / static_cast<double>(rows.size(0));
}

Tensor row_norms(const Tensor& rows) {
  return at::linalg_vector_norm(rows, 2, at::IntArrayRef{1}, false, at::kDouble);
}

template <class T>
double squared_distance(const T* a, const T* b, int64_t d) {
  double sum = 0;
  for (int64_t i = 0; i < d; ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return sum;
}

/// All columns but `skip` whose score may be among the k smallest when scores are off by `slack`,
/// also where float32 overflowed.
void candidates(const float* score, int64_t columns, int64_t skip, int64_t k, float slack,
                std::vector<float>& best, std::vector<int64_t>& found) {
  best.assign(static_cast<size_t>(k), std::numeric_limits<float>::infinity());
  float limit = best.back();
  for (int64_t j = 0; j < columns; ++j) {
    if (!(score[j] < limit) || j == skip) continue;
    auto at = best.end() - 1;
    for (; at != best.begin() && *(at - 1) > score[j]; --at) *at = *(at - 1);
    *at = score[j];
    limit = best.back();
  }
  limit += 2 * slack;
  found.clear();
  for (int64_t j = 0; j < columns; ++j) {
    if (!(score[j] > limit) && j != skip) found.push_back(j);
  }
}

/// Finds neighbours by rough float32 scores and ranks those that may be among the k nearest by
/// exact distances.
///
/// |q - a|^2 / 2 = |q|^2 / 2 + (|a|^2 / 2 - q.a); the bracket ranks the neighbours of a query.
/// About the mean row products are small and so are their errors. A dot product of d float32
/// numbers errs by at most d * 2^-24 * |q| |a|, the norm and its arguments' rounding add a few.
class NeighbourSearch {
 public:
  /// @param queries, among  [n, d], [m, d] of one type, contiguous
  /// @param skip            int64 [n]: a row that is not its neighbour, or -1
  NeighbourSearch(const Tensor& queries, const Tensor& among, const Tensor& skip, int64_t k,
                  const Neighbours& into)
      : q_(queries),
        a_(among),
        d_(among.size(1)),
        m_(among.size(0)),
        k_(k),
        centre_(mean_row(among)),
        rough_(centred(among, centre_)),
        skip_(skip.const_data_ptr<int64_t>()),
        distance_(into.distance.mutable_data_ptr<double>()),
        index_(into.index.mutable_data_ptr<int64_t>()) {
    const Tensor norm = row_norms(rough_);  // [m]
    half_square_ = (norm.square() / 2).to(at::kFloat);
    largest_ = norm.max().item<double>();
  }

  /// The neighbours of `count` queries from the first on.
  /// @param scores  [count or more, m] to work with
  void find(int64_t first, int64_t count, const Tensor& scores) const {
    const Tensor queries = q_.narrow(0, first, count), rough = centred(queries, centre_);
    const Tensor norm = row_norms(rough);
    Tensor block = scores.narrow(0, 0, count);
    at::addmm_out(block, half_square_.unsqueeze(0), rough, rough_.t(), 1, -1);
    const float* score = block.const_data_ptr<float>();
    const double* length = norm.const_data_ptr<double>();
    const double unit = static_cast<double>(d_ + 8) * std::numeric_limits<float>::epsilon() / 2;
    std::vector<float> best;
    std::vector<int64_t> found;
    AT_DISPATCH_ALL_TYPES_AND3(at::kHalf, at::kBFloat16, at::kBool, q_.scalar_type(), "nearest",
                               [&] {
                                 const auto* query = queries.const_data_ptr<scalar_t>();
                                 for (int64_t i = 0; i < count; ++i) {
                                   const double slack = unit * largest_ * (length[i] + largest_);
                                   candidates(score + i * m_, m_, skip_[first + i], k_,
                                              static_cast<float>(slack), best, found);
                                   rank(query + i * d_, found, first + i);
                                 }
                               });
  }

 private:
  /// The k nearest of `found` become the neighbours of query number `row`.
  template <class T>
  void rank(const T* query, const std::vector<int64_t>& found, int64_t row) const {
    const T* among = a_.const_data_ptr<T>();
    std::vector<std::pair<double, int64_t>> exact;
    exact.reserve(found.size());
    for (const int64_t j : found) {
      exact.emplace_back(squared_distance(query, among + j * d_, d_), j);
    }
    std::partial_sort(exact.begin(), exact.begin() + k_, exact.end());
    for (int64_t place = 0; place < k_; ++place) {
      const auto& [square, j] = exact[static_cast<size_t>(place)];
      distance_[row * k_ + place] = std::sqrt(square);
      index_[row * k_ + place] = j;
    }
  }

  const Tensor &q_, &a_;
  int64_t d_, m_, k_;
  Tensor centre_, rough_, half_square_;  // rough: `among` about its mean
  double largest_ = 0;
  const int64_t* skip_;
  double* distance_;
  int64_t* index_;
};

/// Numbers [.] float64 and cells [.] of as many items, checked.
std::pair<Tensor, Tensor> items_of_cells(const Tensor& distance, const Tensor& cell, int64_t cells,
                                         const char* what) {
  const Tensor numbers = distance.detach().to(at::kCPU, at::kDouble).contiguous();
  const Tensor index = cell.to(at::kCPU, at::kLong).contiguous();
  if (numbers.dim() != 1 || index.sizes() != numbers.sizes()) {
    fail(ErrorKind::data, what, ": expected one distance and one cell an item, found ",
         numbers.sizes(), " and ", index.sizes());
  }
  if (numbers.isnan().any().item<bool>()) {
    fail(ErrorKind::data, what,
         ": expected distances to training images, found NaN; look for "
         "features that are not finite");
  }
  if (index.numel() == 0) return {numbers, index};
  const int64_t lowest = index.min().item<int64_t>(), highest = index.max().item<int64_t>();
  if (lowest < 0 || highest >= cells) {
    fail(ErrorKind::data, what, ": expected cells 0 to ", cells - 1, ", found ", lowest, " to ",
         highest);
  }
  return {numbers, index};
}

std::vector<std::vector<double>> by_cell(const std::pair<Tensor, Tensor>& items, int64_t cells) {
  std::vector<std::vector<double>> lists(static_cast<size_t>(cells));
  const double* number = items.first.const_data_ptr<double>();
  const int64_t* cell = items.second.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < items.first.numel(); ++i) {
    lists[static_cast<size_t>(cell[i])].push_back(number[i]);
  }
  return lists;
}

/// Mann and Whitney's U of a above b, ties half, in standard deviations from its mean.
double mann_whitney_z(const std::vector<double>& a, std::vector<double> b) {
  std::sort(b.begin(), b.end());
  double u = 0;
  for (const double x : a) {
    const auto [low, high] = std::equal_range(b.begin(), b.end(), x);
    u += static_cast<double>((low - b.begin()) + (high - b.begin())) / 2;
  }
  const double n = static_cast<double>(a.size()), m = static_cast<double>(b.size());
  return (u - n * m / 2) / std::sqrt(n * m * (n + m + 1) / 12);
}

}  // namespace

Neighbours nearest_neighbours(const Tensor& queries, const Tensor& among, int64_t k,
                              const Tensor& itself) {
  if (k < 1) fail(ErrorKind::data, "expected at least 1 neighbour, found k = ", k);
  check_rows(queries, "items that look for neighbours", 0);
  check_rows(among, "items to find neighbours among", k + (itself.defined() ? 1 : 0),
             concat("asked for the ", k, " nearest", itself.defined() ? " others" : ""));
  check_same_columns(queries, "items that look for neighbours", among, "those to find");
  const auto type = at::result_type(queries, among);
  const Tensor q = queries.detach().to(at::kCPU, type).contiguous();  // [n, d]
  const Tensor a = among.detach().to(at::kCPU, type).contiguous();    // [m, d]
  const int64_t n = q.size(0), m = a.size(0);
  Tensor skip = at::full(n, -1, at::kLong);
  if (itself.defined()) skip = itself.to(at::kCPU, at::kLong).contiguous();
  if (skip.sizes() != at::IntArrayRef{n}) {
    fail(ErrorKind::data, "expected one row number for each of ", n, " items, found ",
         itself.sizes());
  }

  Neighbours result{at::empty({n, k}, at::kDouble), at::empty({n, k}, at::kLong)};
  const NeighbourSearch search(q, a, skip, k, result);
  // One thread a block: products on all threads would wait for each other after each block, for
  // long where the machine is busy with other things.
  const int64_t rows = std::clamp<int64_t>(kScores / m, 16, 4096), blocks = (n + rows - 1) / rows;
  at::parallel_for(0, blocks, 1, [&](int64_t first_block, int64_t last_block) {
    const Tensor scores = at::empty({std::min(n, rows), m}, at::kFloat);
    const int64_t last = std::min(n, last_block * rows);
    for (int64_t first = first_block * rows; first < last; first += rows) {
      search.find(first, std::min(rows, n - first), scores);
    }
  });
  return result;
}

Tensor nearest_ratio(const Neighbours& neighbours) {
  if (neighbours.distance.dim() != 2 || neighbours.distance.size(1) < 2) {
    fail(ErrorKind::data,
         "the ratio of the two nearest distances needs 2 neighbours an item, "
         "found distances ",
         neighbours.distance.sizes(), "; search with k = 2");
  }
  const Tensor second = neighbours.distance.select(1, 1);
  return at::where(second > 0, neighbours.distance.select(1, 0) / second, 1);
}

Tensor authentic(const Neighbours& neighbours, const Tensor& training) {
  const Tensor nearest = neighbours.index.select(1, 0);
  // Each training image that is a nearest one is asked once.
  const auto [asked, place] = at::_unique(nearest, /*sorted=*/true, /*return_inverse=*/true);
  const Tensor own =
      nearest_neighbours(training.index_select(0, asked.to(training.device())), training, 1, asked)
          .distance.select(1, 0);
  return (neighbours.distance.select(1, 0) > own.index_select(0, place)).to(at::kDouble);
}

Tensor k_means(const Tensor& points, int64_t cells) {
  if (cells < 1) fail(ErrorKind::data, "expected at least 1 cell, found ", cells);
  check_rows(points, "points to divide into cells", cells, "as many as cells");
  const Tensor x = points.detach().to(at::kCPU, at::kFloat).contiguous();  // [n, d]
  const int64_t n = x.size(0), d = x.size(1);

  // k-means++: the next centre is a point drawn with the square of its distance to the nearest.
  const Tensor uniform = Draw(0, "k-means", {0}).uniform("start", {cells})[0].to(at::kDouble);
  std::vector<int64_t> start;
  Tensor square = at::ones(n, at::kDouble);  // the first: all alike
  for (int64_t c = 0; c < cells; ++c) {
    Tensor sum = square.cumsum(0);
    if (sum[n - 1].item<double>() <= 0) sum = at::arange(1, n + 1, at::kDouble);  // all are taken
    const Tensor mark = uniform[c] * sum[n - 1];
    const int64_t drawn = at::searchsorted(sum, mark, false, /*right=*/true).item<int64_t>();
    start.push_back(std::min(drawn, n - 1));
    const Tensor to_new = (x - x[start.back()]).square_().sum(1).to(at::kDouble);
    square = c == 0 ? to_new : at::minimum(square, to_new);
  }
  const Tensor centres = x.index_select(0, at::tensor(start));

  Tensor cell;
  const float* point = x.const_data_ptr<float>();
  for (int64_t round = 0; round < kRounds; ++round) {
    const Tensor next = nearest_centre(x, centres);
    if (cell.defined() && next.equal(cell)) break;
    cell = next;
    const Tensor sums = at::zeros({cells, d}, at::kDouble);
    double* sum = sums.mutable_data_ptr<double>();
    const int64_t* row = cell.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < d; ++j) sum[row[i] * d + j] += point[i * d + j];
    }
    const Tensor count = at::bincount(cell, {}, cells).unsqueeze(1);  // [cells, 1]
    centres.copy_(at::where(count > 0, sums / count, centres));
  }
  return centres;
}

Tensor nearest_centre(const Tensor& points, const Tensor& centres) {
  return nearest_neighbours(points, centres, 1).index.select(1, 0).contiguous();
}

double data_copying_score(const Tensor& sample_distance, const Tensor& sample_cell,
                          const Tensor& test_distance, const Tensor& test_cell, int64_t cells) {
  const auto samples =
      by_cell(items_of_cells(sample_distance, sample_cell, cells, "samples"), cells);
  const auto tests = by_cell(items_of_cells(test_distance, test_cell, cells, "test images"), cells);
  double sum = 0, weight = 0;
  for (size_t c = 0; c < samples.size(); ++c) {
    if (samples[c].size() < kFewSamples || tests[c].empty()) continue;
    const double share = static_cast<double>(tests[c].size());
    sum += share * mann_whitney_z(samples[c], tests[c]);
    weight += share;
  }
  if (weight == 0) {
    fail(ErrorKind::data, "no cell has ", kFewSamples, " samples and a test image (",
         sample_distance.numel(), " samples and ", test_distance.numel(), " test images in ", cells,
         " cells); measure more of them or take fewer cells");
  }
  return sum / weight;
}

}  // namespace genai
