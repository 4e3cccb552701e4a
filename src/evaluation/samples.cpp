#include "genai/evaluation/samples.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <string_view>
#include <unordered_set>

#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/evaluation/frechet.h"
#include "genai/evaluation/kernel_distance.h"
#include "genai/evaluation/manifold.h"
#include "genai/evaluation/memorization.h"
#include "genai/generation/generate.h"
#include "genai/training/trainer.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNeighbourhood = 5;
/// Below this share of the second-nearest distance a sample counts as a copy.
constexpr double kCopyRatio = 1.0 / 3;
constexpr int64_t kCells = 10;
/// Test images whose nearest training images are sought for comparison: the search is the slowest
/// part.
constexpr int64_t kBaseline = 2000;
constexpr int64_t kStrip = 16, kStripColumns = 4;
constexpr int kScoreSeeds = 3;
constexpr int64_t kChunksAtOnce = 10;

void tell(const StageProgress& progress, const std::string& stage, double done) {
  if (progress) progress(stage, done);
}

void check_samples(const Samples& samples, const DataInfo& info) {
  const Tensor& pixels = samples.pixels;
  if (pixels.size(1) != info.channels || pixels.size(2) != info.height ||
      pixels.size(3) != info.width) {
    fail(ErrorKind::data, "samples are ", pixels.size(3), "x", pixels.size(2), " with ",
         pixels.size(1), " channels, the images of '", info.source, "' ", info.width, "x",
         info.height, " with ", info.channels);
  }
}

int64_t count_distinct(const Tensor& pixels) {
  const Tensor flat = pixels.flatten(1).contiguous();
  const auto* bytes = static_cast<const char*>(flat.const_data_ptr());
  const auto width = static_cast<size_t>(flat.size(1));
  std::unordered_set<std::string_view> seen;
  for (int64_t i = 0; i < flat.size(0); ++i) {
    seen.emplace(bytes + static_cast<size_t>(i) * width, width);
  }
  return static_cast<int64_t>(seen.size());
}

/// "mnist-test10000"
std::string test_name(const Dataset& data) {
  return concat(data.info.source, "-test", data.test.size());
}

/// Training images in the place of samples: the first ones, as many.
Tensor real_images(const Dataset& data, int64_t count) {
  return data.train.grids.narrow(0, 0, std::min(count, data.train.size()));
}

/// All distances in one view of the images.
void measure_view(const Tensor& samples, const Tensor& test, const Tensor& real,
                  const std::string& suffix, const std::string& view, const Dataset& data,
                  Evaluation& into) {
  const int64_t n = samples.size(0), m = test.size(0);
  const std::string protocol = concat("@", test_name(data), "/", view, "/n", n);
  const Moments sampled = moments(samples), tested = moments(test), trained = moments(real);

  const FrechetFloor floor = frechet_floor(test, n, m);
  const auto frechet = [&](const Moments& reference) {
    Metric metric{.value = frechet_distance(sampled, reference), .count = n};
    metric.items = frechet_influence(samples, sampled, reference);
    // First order: the influence of single samples; near the floor, where that vanishes, what is
    // left is the deviation of the floor itself.
    const double first = metric.items.std().item<double>() / std::sqrt(static_cast<double>(n));
    metric.standard_error = std::hypot(first, floor.standard_deviation);
    metric.floor = floor.mean;
    return metric;
  };
  Metric distance = frechet(tested);
  distance.name = "fd" + suffix + protocol;
  distance.real = frechet_distance(trained, tested);
  into.metrics.push_back(distance);
  if (suffix.empty()) {
    Metric to_train = frechet(trained);
    to_train.name =
        concat("fd_train@", data.info.source, "-train", real.size(0), "/", view, "/n", n);
    into.metrics.push_back(to_train);
  }

  const KernelSubsets subsets{.size = std::min({KernelSubsets{}.size, n, m, real.size(0)})};
  const Tensor kernel = kernel_distances(samples, test, subsets);
  into.metrics.push_back(
      {.name = concat("kid", suffix, protocol, "/", subsets.count, "x", subsets.size),
       .value = kernel.mean().item<double>(),
       .spread = kernel.std().item<double>(),
       .count = n,
       .floor = 0,
       .real = kernel_distances(real, test, subsets).mean().item<double>()});

  const ManifoldScores scores = manifold_scores(test, samples, kNeighbourhood);
  const ManifoldScores ideal = manifold_scores(test, real, kNeighbourhood);
  const auto add = [&](const char* name, const Tensor& items, const Tensor& real_items,
                       Better better = Better::higher) {
    into.metrics.push_back(
        mean_metric(concat(name, suffix, protocol, "/k", kNeighbourhood), items, "", better));
    into.metrics.back().real = real_items.mean().item<double>();
  };
  add("precision", scores.precision, ideal.precision);
  add("recall", scores.recall, ideal.recall);
  add("density", scores.density, ideal.density, Better::neither);
  add("coverage", scores.coverage, ideal.coverage);
}

Tensor shares(const Tensor& classes, int64_t count) {
  return at::bincount(classes, {}, count).to(at::kDouble) / static_cast<double>(classes.numel());
}

/// Rows of sample | nearest | second nearest, several triples a row.
std::string neighbours_picture(const Tensor& pixels, const Tensor& training,
                               const Neighbours& found, const Tensor& ratio) {
  const Tensor order = ratio.argsort().narrow(0, 0, std::min(kStrip, ratio.numel()));
  std::vector<Tensor> cells;
  for (int64_t i = 0; i < order.numel(); ++i) {
    const int64_t row = order[i].item<int64_t>();
    cells.push_back(pixels[row]);
    for (int64_t k = 0; k < 2; ++k) cells.push_back(training[found.index[row][k].item<int64_t>()]);
  }
  const auto images = to_images(at::stack(cells));
  const auto count = static_cast<int64_t>(images.size()) / 3;
  return encode_png(
      scale_up(grid(images, (count + kStripColumns - 1) / kStripColumns, 3 * kStripColumns), 2));
}

/// A folder that goes away with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "genai-XXXXXX").string();
    if (!::mkdtemp(name.data())) {
      fail(ErrorKind::failure, "cannot make a folder in ", fs::temp_directory_path().string());
    }
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Those of the test items that samples are told of, else one after the other.
Tensor labels_of_samples(int64_t first, int64_t count, const DataInfo& info,
                         const ConditionSource& condition) {
  const Tensor& labels = condition.items.labels;
  if (!labels.defined()) return sample_labels(first, count, info.class_count());
  return labels.index_select(0, at::arange(first, first + count).remainder(labels.size(0)));
}

}  // namespace

Samples generate_samples(const LoadedModel& loaded, int64_t first, int64_t count,
                         const Json& options, const ConditionSource& condition,
                         const StageProgress& progress) {
  const DataInfo& info = loaded.manifest.data;
  loaded.as<Generator>("evaluate");
  ImageRequest request{.options = options, .condition = condition};
  std::vector<Tensor> parts;
  for (int64_t done = 0; done < count;) {
    // Whole chunks, so that none is computed twice.
    const int64_t at_once = kChunksAtOnce * chunk_of(loaded.device);
    const int64_t to_border = at_once - (first + done) % at_once;
    const int64_t part = std::min(to_border, count - done);
    request.first = first + done;
    request.count = part;
    parts.push_back(generate_items(loaded, request));
    done += part;
    tell(progress, "sampling", static_cast<double>(done) / static_cast<double>(count));
  }
  Samples samples{.pixels = at::cat(parts), .labels = {}};
  if (classes_of(loaded.model->conditions()) > 0) {
    samples.labels = labels_of_samples(first, count, info, condition);
  }
  return samples;
}

void measure_distances(const Samples& samples, const Reference& reference, Evaluation& into,
                       const StageProgress& progress) {
  const Dataset& data = reference.data;
  check_samples(samples, data.info);
  const int64_t distinct = count_distinct(samples.pixels), n = samples.pixels.size(0);
  if (distinct == 1) {
    fail(ErrorKind::data, "all ", n, " samples are equal: there is no distribution to compare");
  }
  if (distinct < n) {
    into.notes.push_back(concat("only ", distinct, " of ", n, " samples are distinct"));
  }
  const Tensor real = real_images(data, n);
  if (reference.extractor) {
    const Extractor& extractor = *reference.extractor;
    tell(progress, "comparing features", 0);
    measure_view(extractor.judge(samples.pixels).features,
                 extractor.judge(data.test.grids).features, extractor.judge(real).features, "",
                 extractor.name(), data, into);
  } else {
    into.notes.push_back(concat("'", data.info.source, "' has no two classes to train a feature ",
                                "extractor on: compared by principal components alone"));
  }
  tell(progress, "comparing features", 0.5);
  const PcaView& pca = reference.pca;
  measure_view(pca.features(samples.pixels), pca.features(data.test.grids), pca.features(real),
               "_pca", pca.name, data, into);
}

void measure_classes(const Samples& samples, const Reference& reference, Evaluation& into) {
  check_samples(samples, reference.data.info);
  const Extractor& extractor = *reference.extractor;
  const Dataset& data = reference.data;
  const int64_t count = extractor.class_count(), n = samples.pixels.size(0);
  const Tensor found = extractor.judge(samples.pixels).classes;
  const Tensor seen = shares(found, count);
  const Tensor expected = shares(extractor.judge(data.test.grids).classes, count);
  const Tensor present = expected.gt(0);  // a class that was left out of the data is not missed
  const std::string protocol = concat("@", test_name(data), "/", extractor.name(), "/n", n);

  const Tensor rarest = seen.masked_select(present).min();
  Metric least{.name = "min_class_share" + protocol,
               .value = rarest.item<double>(),
               .count = n,
               .better = Better::higher};
  least.standard_error = std::sqrt(least.value * (1 - least.value) / static_cast<double>(n));
  least.real = expected.masked_select(present).min().item<double>();
  into.metrics.push_back(least);

  // Pearson's statistic; a perfect model is expected to get the degrees of freedom.
  const Tensor deviation = (seen - expected).square() / expected.clamp_min(1e-12);
  const double freedom = present.sum().item<double>() - 1;
  into.metrics.push_back(
      {.name = concat("class_chi2", protocol, "/df", freedom),
       .value = deviation.masked_select(present).sum().item<double>() * static_cast<double>(n),
       .count = n,
       .floor = freedom});
  if (samples.labels.defined()) {
    into.metrics.push_back(mean_metric(concat("conditional_accuracy@", extractor.name(), "/n", n),
                                       found.eq(samples.labels), "", Better::higher));
    into.metrics.back().real = extractor.test_accuracy();
  }
  Json table = Json::object();
  for (int64_t c = 0; c < count; ++c) {
    const double share = seen[c].item<double>();
    const double usual = expected[c].item<double>();
    const std::string& name = data.info.classes[static_cast<size_t>(c)];
    table[name] = share;
    if (share < 0.2 * usual) {
      into.notes.push_back(concat("class ", name, " is missing: ", 100 * share, " % of samples, ",
                                  100 * usual, " % of test images"));
    }
  }
  into.details["class_shares"] = table;
}

void measure_memorization(const Samples& samples, const Reference& reference, Evaluation& into,
                          const StageProgress& progress) {
  const Dataset& data = reference.data;
  check_samples(samples, data.info);
  const int64_t n = samples.pixels.size(0), m = data.test.size();
  const Tensor training = data.train.grids.flatten(1);
  const std::string seen_by = concat("@", data.info.source, "-train", data.train.size());

  // In pixels, where a copy is a copy.
  tell(progress, "searching copies", 0);
  const Neighbours near = nearest_neighbours(samples.pixels.flatten(1), training, 2);
  tell(progress, "searching copies", 0.4);
  const Neighbours usual = nearest_neighbours(
      data.test.grids.narrow(0, 0, std::min(kBaseline, m)).flatten(1), training, 2);
  const Tensor ratio = nearest_ratio(near);
  const auto copied = [](const Tensor& values) { return values.lt(kCopyRatio); };
  const std::string pixels = concat(seen_by, "/pixels/n", n);
  Metric memorized = mean_metric("memorized_share" + pixels, copied(ratio));
  memorized.real = copied(nearest_ratio(usual)).to(at::kDouble).mean().item<double>();
  into.metrics.push_back(memorized);
  tell(progress, "searching copies", 0.5);
  Metric own =
      mean_metric("authentic_share" + pixels, authentic(near, training), "", Better::higher);
  own.real = authentic(usual, training).mean().item<double>();
  into.metrics.push_back(own);
  tell(progress, "searching copies", 0.9);

  // Among principal components, cell by cell.
  const PcaView& pca = reference.pca;
  const Tensor points = pca.features(data.train.grids);
  const Tensor centres = k_means(points, std::min(kCells, points.size(0)));
  const int64_t cells = centres.size(0);
  const Tensor cell = nearest_centre(points, centres);
  const auto within = [&](const Tensor& features) {
    const Tensor own_cell = nearest_centre(features, centres);
    Tensor distance = at::zeros({features.size(0)}, at::kDouble);
    for (int64_t c = 0; c < cells; ++c) {
      const Tensor queries = own_cell.eq(c).nonzero().squeeze(1);
      const Tensor members = cell.eq(c).nonzero().squeeze(1);
      if (queries.numel() == 0 || members.numel() == 0) continue;
      const Neighbours nearest =
          nearest_neighbours(features.index_select(0, queries), points.index_select(0, members), 1);
      distance.index_copy_(0, queries, nearest.distance.select(1, 0));
    }
    return std::pair(distance, own_cell);
  };
  const auto [sample_distance, sample_cell] = within(pca.features(samples.pixels));
  const auto [test_distance, test_cell] = within(pca.features(data.test.grids));
  Metric copying{
      .name = concat("c_t", seen_by, "-test", m, "/", pca.name, "/cells", cells, "/n", n),
      .value = data_copying_score(sample_distance, sample_cell, test_distance, test_cell, cells),
      .count = n,
      .better = Better::neither,
      .floor = 0};
  into.metrics.push_back(copying);
  into.pictures["neighbours"] = neighbours_picture(samples.pixels, data.train.grids, near, ratio);
  if (memorized.value > *memorized.real + 0.01 + 3 * memorized.standard_error) {
    into.notes.push_back(concat("memorization: ", 100 * memorized.value, " % of samples are near ",
                                "copies of a training image (test images: ", 100 * *memorized.real,
                                " %)"));
  }
  if (copying.value < -3) {
    into.notes.push_back(concat("memorization: C_T = ", copying.value, ": samples lie nearer to ",
                                "training images than test images do"));
  }
  tell(progress, "searching copies", 1);
}

void measure_classification_score(const Samples& samples, const Reference& reference,
                                  Evaluation& into, TrainObserver& observer, const Json& recipe) {
  const Dataset& real = reference.data;
  check_samples(samples, real.info);
  const int64_t n = samples.pixels.size(0), m = real.test.size();
  Dataset data = real;
  data.train = {.grids = samples.pixels, .labels = samples.labels};
  data.info.train_count = n;
  data.info.binarize = Binarize::none;
  Tensor correct = at::zeros({m}, at::kDouble);
  std::vector<double> accuracies;
  for (int seed = 1; seed <= kScoreSeeds; ++seed) {
    const TemporaryFolder folder;
    Json with_seed = recipe;
    with_seed["training"]["seed"] = seed;
    with_seed["training"]["validate_every"] = with_seed["training"]["steps"];
    const Extractor judge =
        train_classifier(folder.path(), extractor_config(with_seed, data), data, observer);
    const Tensor right = judge.judge(real.test.grids).classes.eq(real.test.labels);
    accuracies.push_back(right.to(at::kDouble).mean().item<double>());
    correct += right;
  }
  Metric score = mean_metric(concat("classification_score@", test_name(real), "/n", n, "/seeds",
                                    kScoreSeeds, "/", recipe_name(recipe)),
                             correct / kScoreSeeds, "", Better::higher);
  score.spread = at::tensor(accuracies, at::kDouble).std().item<double>();
  if (reference.extractor) score.real = reference.extractor->test_accuracy();
  into.metrics.push_back(score);
}

}  // namespace genai
