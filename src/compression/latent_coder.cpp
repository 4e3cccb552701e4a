#include "genai/compression/latent_coder.h"

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "genai/base/error.h"
#include "genai/core/coding_tables.h"
#include "genai/core/numerics.h"
#include "genai/data/batcher.h"

namespace genai {
namespace {

constexpr int64_t kLatentCells = 1 << 14;

/// To the nearest multiple of 1 / steps, a power of two.
double rounded_to(double x, double steps) {
  return std::nearbyint(x * steps) / steps;
}

bool is_bernoulli(const LoadedModel& loaded) {
  return loaded.as<Likelihood>("compress").pixel_model() == "bernoulli";
}

Tensor unit_range(const Tensor& images) {
  return images.to(at::kDouble).div_(255.0);
}

}  // namespace

void check_codable(const LoadedModel& loaded) {
  const DataInfo& info = loaded.manifest.data;
  loaded.as<LatentSpace>("compress");
  if (loaded.model->inputs().codec || info.levels == 0) {
    fail(ErrorKind::usage,
         "compress: this run models latents of its codec, not pixels; expected a "
         "VAE of pixels");
  }
  if (!loaded.model->conditions().empty()) {
    fail(ErrorKind::usage, "compress: this model is told '", loaded.model->conditions()[0].name,
         "', which files do not say; expected one trained without (--condition '')");
  }
  if (is_bernoulli(loaded) && info.binarize == Binarize::none) {
    fail(ErrorKind::usage,
         "compress: model.pixels bernoulli says nothing of 256 levels of grey; "
         "expected a run with data.binarize dynamic, or model.pixels gaussian for grey and colour");
  }
}

/// z of a group, [rows, latent]: what of it is in cells, and how q(z|x) sees these.
class LatentCoder::Latents {
 public:
  explicit Latents(LatentSpace& space, int64_t rows)
      : space_(space), rows_(rows), size_(space.latent_size()), levels_(space.latent_levels()) {
    if (levels_ > 0) return;
    const auto halves = equal_mass_edges(2 * kLatentCells);
    for (size_t i = 0; i < halves.size(); ++i) (i % 2 ? edges_ : middles_).push_back(halves[i]);
  }

  /// Takes z of the first `count` rows off as q(z|x) has it; codes are what they are.
  void draw(const Tensor& x, int64_t count, AnsStack& stack) {
    const Tensor cells = at::zeros({rows_, size_}, at::kLong);
    auto* cell = cells.mutable_data_ptr<int64_t>();
    const Beliefs q(space_.posterior(x, {}));
    for (int64_t i = 0; i < count * size_; ++i) {
      if (levels_ > 0) {
        cell[i] = std::lround((q.mean[i] + 1) / 2 * static_cast<double>(levels_ - 1));
      } else {
        const NormalCode code = code_of(q, i);
        cell[i] = code.cell(stack.peek());
        stack.drop(code.interval(cell[i]));
      }
    }
    cells_ = cells;
  }
  /// The reverse of draw.
  void undraw(const Tensor& x, int64_t count, AnsStack& stack) const {
    if (levels_ > 0) return;
    const auto* cell = cells_.const_data_ptr<int64_t>();
    const Beliefs q(space_.posterior(x, {}));
    for (int64_t i = count * size_; i-- > 0;) stack.push(code_of(q, i).interval(cell[i]));
  }

  /// By the prior.
  void push(int64_t count, AnsStack& stack) const {
    const auto* cell = cells_.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < count * size_; ++i) stack.push(uniform_interval(cell[i], values()));
  }
  void pop(int64_t count, AnsStack& stack) {
    cells_ = at::zeros({rows_, size_}, at::kLong);
    auto* cell = cells_.mutable_data_ptr<int64_t>();
    for (int64_t i = count * size_; i-- > 0;) {
      cell[i] = uniform_symbol(stack.peek(), values());
      stack.drop(uniform_interval(cell[i], values()));
    }
  }

  /// What p(x|z) is made of, [rows, C, H, W].
  Tensor pixel_parameters() const {
    const Tensor cells = cells_.to(at::kDouble);
    const Tensor points = levels_ > 0 ? cells * (2.0 / static_cast<double>(levels_ - 1)) - 1
                                      : at::tensor(middles_, at::kDouble).index({cells_});
    return space_.pixel_parameters(points, {}).to(at::kDouble).contiguous();
  }

 private:
  /// q(z|x) of a group.
  struct Beliefs {
    explicit Beliefs(const LatentSpace::Posterior& q)
        : means(q.mean.to(at::kDouble).contiguous()),
          log_variances(q.log_variance.defined() ? q.log_variance.to(at::kDouble).contiguous()
                                                 : Tensor()),
          mean(means.const_data_ptr<double>()),
          log_variance(log_variances.defined() ? log_variances.const_data_ptr<double>() : nullptr) {
    }
    Tensor means, log_variances;
    const double *mean, *log_variance;
  };

  int64_t values() const { return levels_ > 0 ? levels_ : kLatentCells; }

  NormalCode code_of(const Beliefs& q, int64_t i) const {
    constexpr double kMostLog = 32;
    const double log_variance = std::clamp(q.log_variance[i], -kMostLog, kMostLog);
    return NormalCode(edges_, rounded_to(q.mean[i], 1 << 12),
                      portable_exp(rounded_to(log_variance, 16) / 2));
  }

  LatentSpace& space_;
  int64_t rows_, size_, levels_;
  std::vector<double> edges_, middles_;  // of the cells
  Tensor cells_;                         // int64 [rows, latent]
};

/// p(x|z): bits, or levels of grey in 256ths, where the probability of a level is that of a
/// Gaussian between its ends.
class LatentCoder::Pixels {
 public:
  explicit Pixels(const LoadedModel& loaded)
      : bernoulli_(is_bernoulli(loaded)),
        deviation_(portable_exp(loaded.as<LatentSpace>("compress").pixel_log_deviation())) {
    for (int level = 1; level < 256; ++level) edges_.push_back(level / 256.0);
  }

  /// As the encoder was trained to see them: dequantized grey in the middle of its level.
  Tensor seen(const Tensor& images) const {
    return bernoulli_ ? unit_range(images) : (images.to(at::kDouble) + 0.5) / 256.0;
  }

  void push(const double* parameters, const uint8_t* pixels, int64_t count, AnsStack& stack) const {
    for (int64_t i = 0; i < count; ++i) {
      stack.push(bernoulli_ ? BernoulliCode(parameters[i]).interval(pixels[i] != 0)
                            : grey(parameters[i]).interval(pixels[i]));
    }
  }
  void pop(const double* parameters, uint8_t* pixels, int64_t count, AnsStack& stack) const {
    for (int64_t i = count; i-- > 0;) {
      if (bernoulli_) {
        const BernoulliCode code(parameters[i]);
        const bool bit = code.bit(stack.peek());
        stack.drop(code.interval(bit));
        pixels[i] = bit ? 255 : 0;
      } else {
        const NormalCode code = grey(parameters[i]);
        const int64_t level = code.cell(stack.peek());
        stack.drop(code.interval(level));
        pixels[i] = static_cast<uint8_t>(level);
      }
    }
  }

 private:
  NormalCode grey(double mean) const {
    return NormalCode(edges_, rounded_to(mean, 1 << 14), deviation_);
  }

  bool bernoulli_;
  double deviation_;
  std::vector<double> edges_;
};

LatentCoder::LatentCoder(LoadedModel& loaded) {
  check_codable(loaded);
  const DataInfo& info = loaded.manifest.data;
  constexpr int64_t kMostRows = 64, kNumbers = 1 << 18;  // of the rows together: bounds memory
  rows_ = std::clamp<int64_t>(kNumbers / info.pixels(), 1, kMostRows);
  shape_ = {info.channels, info.height, info.width};
  loaded.model->module().to(at::kDouble);
  latents_ = std::make_unique<Latents>(loaded.as<LatentSpace>("compress"), rows_);
  pixels_ = std::make_unique<Pixels>(loaded);
}

LatentCoder::~LatentCoder() = default;

std::vector<LatentCoder::Group> LatentCoder::groups_of(int64_t count) const {
  std::vector<Group> groups;
  for (int64_t done = 0; done < count; done += groups.back().count) {
    groups.push_back({done, std::min({rows_, 1 + done / 2, count - done})});
  }
  return groups;
}

Tensor LatentCoder::padded(const Tensor& rows) const {
  if (rows.size(0) == rows_) return rows;
  std::vector<int64_t> more = shape_;
  more.insert(more.begin(), rows_ - rows.size(0));
  return at::cat({rows, at::zeros(more, rows.options())});
}

void LatentCoder::encode(const Tensor& images, AnsStack& stack, const CodingProgress& progress) {
  const at::NoGradGuard no_grad;
  const KeepThreads keep;
  set_threads(1);
  stack.borrow();
  const int64_t size = images[0].numel();
  for (const Group& group : groups_of(images.size(0))) {
    const Tensor pixels = images.narrow(0, group.first, group.count).contiguous();
    latents_->draw(padded(pixels_->seen(pixels)), group.count, stack);
    const Tensor parameters = latents_->pixel_parameters();
    pixels_->push(parameters.const_data_ptr<double>(), pixels.const_data_ptr<uint8_t>(),
                  group.count * size, stack);
    latents_->push(group.count, stack);
    if (progress) {
      progress(static_cast<double>(group.first + group.count) /
               static_cast<double>(images.size(0)));
    }
  }
}

Tensor LatentCoder::decode(int64_t count, AnsStack& stack, const CodingProgress& progress) {
  const at::NoGradGuard no_grad;
  const KeepThreads keep;
  set_threads(1);
  std::vector<Group> groups = groups_of(count);
  std::reverse(groups.begin(), groups.end());
  std::vector<Tensor> parts;  // last ones first, and no more than the code holds
  for (const Group& group : groups) {
    std::vector<int64_t> shape = shape_;
    shape.insert(shape.begin(), group.count);
    const Tensor pixels = at::zeros(shape, at::kByte);
    latents_->pop(group.count, stack);
    const Tensor parameters = latents_->pixel_parameters();
    pixels_->pop(parameters.const_data_ptr<double>(), pixels.mutable_data_ptr<uint8_t>(),
                 pixels.numel(), stack);
    latents_->undraw(padded(pixels_->seen(pixels)), group.count, stack);
    parts.push_back(pixels);
    if (progress) progress(static_cast<double>(count - group.first) / static_cast<double>(count));
  }
  std::reverse(parts.begin(), parts.end());
  return at::cat(parts);
}

double elbo_bits(const LoadedModel& loaded, const Tensor& images, const CodingProgress& progress) {
  constexpr int64_t kAtOnce = 100;
  const at::NoGradGuard no_grad;
  const Split split{.grids = images};
  double nats = 0;
  for (int64_t first = 0; first < images.size(0); first += kAtOnce) {
    const int64_t count = std::min(kAtOnce, images.size(0) - first);
    const Batch batch = items_batch(split, loaded.manifest.data, first, count, loaded.device,
                                    loaded.model->inputs());
    Draw draw(kProtocolSeed, "validate", batch.sample_ids, loaded.device);
    nats += loaded.model->validate(batch, draw).at("nelbo").to(at::kDouble).sum().item<double>();
    if (progress) {
      progress(static_cast<double>(first + count) / static_cast<double>(images.size(0)));
    }
  }
  return nats / std::numbers::ln2;
}

}  // namespace genai
