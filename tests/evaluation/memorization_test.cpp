#include "genai/evaluation/memorization.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <limits>

#include "evaluation/metrics_table.h"

namespace genai {
namespace {

/// All distances one by one, then sorted: equal ones by the row.
Neighbours by_sorting(const Tensor& queries, const Tensor& among, int64_t k, bool itself) {
  Tensor all = (queries.to(at::kDouble).unsqueeze(1) - among.to(at::kDouble).unsqueeze(0))
                   .square()
                   .sum(2)
                   .sqrt();
  if (itself) all.fill_diagonal_(std::numeric_limits<double>::infinity());
  const auto [distance, index] = all.sort(/*stable=*/true, 1, false);
  return {distance.narrow(1, 0, k), index.narrow(1, 0, k)};
}

void expect_same(const Neighbours& found, const Neighbours& expected) {
  EXPECT_TRUE(found.index.equal(expected.index));
  EXPECT_TRUE(found.distance.allclose(expected.distance, 1e-12, 0));
  EXPECT_TRUE(found.distance.eq(0).equal(expected.distance.eq(0)));
}

TEST(NearestNeighbours, AreThoseOfAFullSearch) {
  for (const TwoSets& sets : table_sets()) {
    for (const int64_t k : {1, 3, 40}) {
      expect_same(nearest_neighbours(sets.samples.narrow(0, 0, 200), sets.real, k),
                  by_sorting(sets.samples.narrow(0, 0, 200), sets.real, k, false));
      const Tensor few = sets.real.narrow(0, 0, 200);
      expect_same(nearest_neighbours(few, few, k, at::arange(200)), by_sorting(few, few, k, true));
    }
  }
}

TEST(NearestNeighbours, TakeAnyTypeOfNumber) {
  const Tensor training = table_pictures("training", 400), generated = table_pictures("new", 100);
  const Neighbours expected = by_sorting(generated, training, 4, false);  // with many ties
  for (const auto type : {at::kByte, at::kInt, at::kLong, at::kFloat, at::kDouble, at::kBFloat16}) {
    expect_same(nearest_neighbours(generated.to(type), training.to(type), 4), expected);
  }
  expect_same(nearest_neighbours(generated.to(at::kFloat), training, 4), expected);
  const Tensor bits = table_uniform("bits", {50, 9}) > 0.5;
  expect_same(nearest_neighbours(bits, bits, 2), by_sorting(bits, bits, 2, false));
}

// In float32 alone these differ by less than rounding: the common offset is 10^5 of the distances.
TEST(NearestNeighbours, AreExactWhereFloat32IsNot) {
  const Tensor among = table_uniform("among", {500, 20}) * 1e-3 + 100;
  const Tensor queries = at::cat({table_uniform("queries", {50, 20}) * 1e-3 + 100, among});
  expect_same(nearest_neighbours(queries, among, 5), by_sorting(queries, among, 5, false));
  const Tensor spread = among.clone();
  spread[7].fill_(-1e6);  // one outlier makes all products rough
  expect_same(nearest_neighbours(queries, spread, 5), by_sorting(queries, spread, 5, false));
  const Tensor huge = (among - 100) * 1e30, of_huge = (queries - 100) * 1e30;  // squares overflow
  expect_same(nearest_neighbours(of_huge, huge, 5), by_sorting(of_huge, huge, 5, false));
}

TEST(NearestNeighbours, OfCopiesIsZeroExactly) {
  const Tensor images = (table_uniform("images", {600, 784}) * 256).to(at::kByte);
  const Neighbours found = nearest_neighbours(images.narrow(0, 100, 50), images, 2);
  EXPECT_EQ(found.distance.select(1, 0).count_nonzero().item<int64_t>(), 0);
  EXPECT_TRUE(found.index.select(1, 0).equal(at::arange(100, 150)));
  EXPECT_GT(found.distance.select(1, 1).min().item<double>(), 0);
}

TEST(NearestNeighbours, DoNotDependOnThreadsOrBlocks) {
  const TwoSets sets = table_sets()[1];
  const Neighbours once = nearest_neighbours(sets.samples, sets.real, 3);
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  const Neighbours part = nearest_neighbours(sets.samples.narrow(0, 77, 600), sets.real, 3);
  at::set_num_threads(before);
  EXPECT_TRUE(part.distance.equal(once.distance.narrow(0, 77, 600)));
  EXPECT_TRUE(part.index.equal(once.index.narrow(0, 77, 600)));
}

TEST(NearestNeighbours, OfNobodyAreNone) {
  const Neighbours none = nearest_neighbours(at::zeros({0, 3}), at::ones({4, 3}), 2);
  EXPECT_EQ(none.distance.sizes(), (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(none.index.sizes(), (std::vector<int64_t>{0, 2}));
}

TEST(NearestNeighbours, RefusesWhatItCannotSearch) {
  const Tensor x = table_uniform("x", {5, 3});
  Tensor bad = x.clone();
  bad[3][2] = std::numeric_limits<double>::quiet_NaN();
  const auto refuses = [](const char* part, const Tensor& queries, const Tensor& among, int64_t k,
                          const Tensor& itself = {}) {
    expect_error(ErrorKind::data, part, [&] { nearest_neighbours(queries, among, k, itself); });
  };
  refuses("expected at least 6 items, found 5", x, x, 6);
  refuses("expected at least 6 items, found 5", x, x, 5, at::arange(5));
  refuses("expected at least 1 items, found 0", x, x.narrow(0, 0, 0), 1);
  refuses("k = 0", x, x, 0);
  refuses("finite", bad, x, 1);
  refuses("finite", x, bad, 1);
  refuses("3 features", x, x.narrow(1, 0, 2), 1);
  refuses("one row number for each of 5", x, x, 1, at::arange(4));
}

TEST(NearestRatio, OfAFewDistances) {
  const Tensor distance = at::tensor({1.0, 2.0, 0.0, 3.0, 0.0, 0.0}, at::kDouble).view({3, 2});
  EXPECT_TRUE(nearest_ratio({distance, {}}).equal(at::tensor({0.5, 0.0, 1.0}, at::kDouble)));
  expect_error(ErrorKind::data, "k = 2", [&] { nearest_ratio({distance.narrow(1, 0, 1), {}}); });
}

TEST(Authentic, IsFartherFromATrainingImageThanItsNeighbour) {
  const Tensor training = at::tensor({0.0, 1.0, 5.0, 5.0}).view({4, 1});
  const Tensor samples = at::tensor({0.0, -0.5, -1.0, -1.5, 5.0, 5.1}).view({6, 1});
  const Tensor found = authentic(nearest_neighbours(samples, training, 1), training);
  EXPECT_TRUE(found.equal(at::tensor({0.0, 0.0, 0.0, 1.0, 0.0, 1.0}, at::kDouble))) << found;
}

TEST(KMeans, FindsClustersThatAreApart) {
  const Tensor corners = at::tensor({0, 0, 0, 9, 9, 0, 9, 9}, at::kFloat).view({4, 2});
  const Tensor owner = at::arange(400).remainder(4);
  const Tensor points =
      corners.index_select(0, owner) + table_uniform("points", {400, 2}).to(at::kFloat);
  const Tensor centres = k_means(points, 4);
  EXPECT_EQ(centres.scalar_type(), at::kFloat);
  const Tensor cell = nearest_centre(points, centres);
  for (int64_t i = 0; i < 4; ++i) {
    const Tensor own = cell.masked_select(owner == i);
    EXPECT_TRUE(own.eq(own[0]).all().item<bool>()) << i;
    EXPECT_TRUE(centres[own[0].item<int64_t>()].allclose(
        points.index_select(0, (owner == i).nonzero().squeeze(1)).mean(0), 1e-5));
  }
  EXPECT_TRUE(centres.equal(k_means(points, 4)));
}

TEST(KMeans, GivesEachCellTheMeanOfItsPoints) {
  const Tensor points = table_uniform("points", {900, 5}).to(at::kFloat);
  const Tensor centres = k_means(points, 7), cell = nearest_centre(points, centres);
  for (int64_t i = 0; i < 7; ++i) {  // 50 rounds do not always end: nearly
    const Tensor own = points.index_select(0, (cell == i).nonzero().squeeze(1));
    EXPECT_LT((centres[i] - own.mean(0)).abs().max().item<double>(), 0.02);
  }
}

TEST(KMeans, OfFewerDifferentPointsThanCells) {
  const Tensor points = at::tensor({1.0, 1.0, 1.0, 4.0, 4.0, 4.0}).view({6, 1});
  const Tensor centres = k_means(points, 5);
  EXPECT_EQ(centres.sizes(), (std::vector<int64_t>{5, 1}));
  EXPECT_EQ(centres.eq(1).logical_or(centres.eq(4)).sum().item<int64_t>(), 5);
}

TEST(KMeans, RefusesFewerPointsThanCells) {
  expect_error(ErrorKind::data, "expected at least 6 items, found 5", [] {
    k_means(at::zeros({5, 2}), 6);
  });
  expect_error(ErrorKind::data, "at least 1 cell", [] { k_means(at::zeros({5, 2}), 0); });
}

/// z of all in one cell.
double one_cell(const Tensor& samples, const Tensor& tests) {
  return data_copying_score(samples, at::zeros(samples.numel(), at::kLong), tests,
                            at::zeros(tests.numel(), at::kLong), 1);
}

TEST(DataCopying, IsMannAndWhitneysZ) {
  const Tensor near = at::arange(20, at::kDouble), far = near + 100;
  // All 400 pairs on one side: U is 0 or 400, 200 from its mean; variance 20 * 20 * 41 / 12.
  const double largest = 200 / std::sqrt(20 * 20 * 41 / 12.0);
  EXPECT_NEAR(one_cell(near, far), -largest, 1e-12);
  EXPECT_NEAR(one_cell(far, near), largest, 1e-12);
  EXPECT_NEAR(one_cell(near, near.flip(0)), 0, 1e-12);  // ties count half
  EXPECT_NEAR(one_cell(at::zeros(25), at::zeros(30)), 0, 1e-12);
}

TEST(DataCopying, IsStandardNormalWhereNothingIsCopied) {
  double sum = 0, square = 0;
  const int repeats = 400;
  for (int i = 0; i < repeats; ++i) {
    const double z = one_cell(table_uniform(concat("samples/", i), {40}),
                              table_uniform(concat("tests/", i), {30}));
    sum += z;
    square += z * z;
  }
  EXPECT_NEAR(sum / repeats, 0, 3 / std::sqrt(repeats));
  EXPECT_NEAR(square / repeats, 1, 3 * std::sqrt(2.0 / repeats));
}

TEST(DataCopying, WeighsCellsByTestImagesAndLeavesSmallOnesOut) {
  // Cell 0: 20 samples, all nearer than 30 test images. Cell 1: 20 samples, all farther than 10.
  // Cell 2: 19 samples, too few. Cell 3: no test images. Cell 4: empty.
  const auto both = [](const std::vector<std::array<int64_t, 3>>& parts) {  // count, distance, cell
    std::vector<Tensor> distances, cells;
    for (const auto& [count, distance, cell] : parts) {
      distances.push_back(at::full(count, static_cast<double>(distance), at::kDouble));
      cells.push_back(at::full(count, cell, at::kLong));
    }
    return std::pair(at::cat(distances), at::cat(cells));
  };
  const auto [samples, sample_cell] = both({{20, 1, 0}, {20, 9, 1}, {19, 1, 2}, {30, 1, 3}});
  const auto [tests, test_cell] = both({{30, 5, 0}, {10, 5, 1}, {50, 5, 2}});
  const double z0 = -300 / std::sqrt(20 * 30 * 51 / 12.0);
  const double z1 = 100 / std::sqrt(20 * 10 * 31 / 12.0);
  EXPECT_NEAR(data_copying_score(samples, sample_cell, tests, test_cell, 5),
              (30 * z0 + 10 * z1) / 40, 1e-12);
}

TEST(DataCopying, RefusesWhatItCannotScore) {
  const Tensor x = at::ones(30), cell = at::zeros(30, at::kLong);
  const auto refuses = [](const char* part, const Tensor& samples, const Tensor& sample_cell,
                          const Tensor& tests, const Tensor& test_cell) {
    expect_error(ErrorKind::data, part,
                 [&] { data_copying_score(samples, sample_cell, tests, test_cell, 2); });
  };
  refuses("no cell has 20 samples", x.narrow(0, 0, 19), cell.narrow(0, 0, 19), x, cell);
  refuses("no cell has 20 samples", x, cell, x, cell + 1);
  refuses("no cell has 20 samples", x.narrow(0, 0, 0), cell.narrow(0, 0, 0), x, cell);
  refuses("one distance and one cell", x, cell.narrow(0, 0, 3), x, cell);
  refuses("cells 0 to 1, found 5 to 5", x, cell + 5, x, cell);
  refuses("test images: expected distances to training images, found NaN", x, cell,
          x * std::numeric_limits<double>::quiet_NaN(), cell);
}

void expect_agrees(const Tensor& training, const Tensor& samples, const Json& expected) {
  const Neighbours found = nearest_neighbours(samples, training, 3);
  const auto mean = [](const Tensor& x) { return x.to(at::kDouble).mean().item<double>(); };
  expect_close(mean(found.distance.select(1, 0)), expected.at("nearest_mean"));
  expect_close(mean(found.distance.select(1, 2)), expected.at("third_mean"));
  EXPECT_EQ(found.index.select(1, 0).sum().item<int64_t>(), expected.at("nearest_index_sum"));
  const Tensor ratio = nearest_ratio(found);
  expect_close(mean(ratio), expected.at("ratio_mean"));
  expect_close(mean(ratio < 1.0 / 3), expected.at("ratio_below_third"));
  expect_close(mean(authentic(found, training)), expected.at("authentic"));
}

TEST(Memorization, AgreesWithPython) {
  expect_agrees(table_pictures("training", 400), table_pictures("generated", 300),
                metrics_table().at("pictures"));
  for (const TwoSets& sets : table_sets()) {
    expect_agrees(sets.real, sets.samples, sets.values);
    const Tensor centres = sets.real.narrow(0, 100, 6);
    const Tensor own = nearest_centre(sets.real, centres);
    /// Cells, and distances to the nearest training image of the same cell.
    const auto place = [&](const Tensor& x) {
      const Tensor cell = nearest_centre(x, centres);
      const Tensor distance = at::zeros(x.size(0), at::kDouble);
      for (int64_t c = 0; c < 6; ++c) {
        const Tensor rows = (cell == c).nonzero().squeeze(1);
        const Tensor training = sets.real.index_select(0, (own == c).nonzero().squeeze(1));
        distance.index_copy_(
            0, rows,
            nearest_neighbours(x.index_select(0, rows), training, 1).distance.select(1, 0));
      }
      return std::pair(distance, cell);
    };
    const auto [samples, sample_cell] = place(sets.samples);
    const auto [tests, test_cell] =
        place(table_features("test" + std::to_string(sets.d), 600, sets.d, 0.1));
    expect_close(data_copying_score(samples, sample_cell, tests, test_cell, 6),
                 sets.values.at("data_copying"));
  }
}

}  // namespace
}  // namespace genai
