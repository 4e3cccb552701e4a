#include "genai/training/flat_parameters.h"

#include <torch/torch.h>

#include "genai/base/error.h"

namespace genai {
namespace {

constexpr int64_t kAlignment = 16;  // floats: 64 bytes, a cache line and the widest vector

int64_t aligned(int64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

Tensor FlatParameters::Piece::of(const Tensor& flat) const {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  const Tensor piece = flat.narrow(0, offset, count);
  if (!channels_last) return piece.view(shape);
  return piece.view({shape[0], shape[2], shape[3], shape[1]}).permute({0, 3, 1, 2});
}

FlatParameters::FlatParameters(torch::nn::Module& module, const ParameterSet& set, Layout layout,
                               bool with_ema)
    : name_(set.name), rate_(set.rate) {
  const auto named = module.named_parameters();
  std::vector<const Tensor*> sources;
  int64_t size = 0;
  for (const bool decayed : {true, false}) {
    for (const std::string& name : set.parameters) {
      const Tensor* parameter = named.find(name);
      if (!parameter) throw std::logic_error("parameter set names '" + name + "', which is none");
      if ((parameter->dim() >= 2) != decayed) continue;
      pieces_.push_back({.name = name,
                         .offset = size,
                         .shape = parameter->sizes().vec(),
                         .channels_last = layout == Layout::channels_last && parameter->dim() == 4});
      sources.push_back(parameter);
      size += aligned(parameter->numel());
    }
    if (decayed) decayed_ = size;
  }
  const at::NoGradGuard no_grad;
  const auto options = sources.at(0)->options().requires_grad(false);
  values_ = at::zeros(size, options);
  gradients_ = at::zeros(size, options);
  mean_ = at::zeros(size, options);
  square_ = at::zeros(size, options);
  updates_ = at::zeros({}, options);
  for (size_t i = 0; i < pieces_.size(); ++i) {
    Tensor parameter = *sources[i];
    pieces_[i].of(values_).copy_(parameter);
    parameter.set_data(pieces_[i].of(values_));
    parameter.mutable_grad() = pieces_[i].of(gradients_);
    parameters_.push_back(parameter);
  }
  if (with_ema) average_ = values_.clone();
}

Tensor FlatParameters::gradient_norm() const { return at::linalg_vector_norm(gradients_); }

void FlatParameters::clip_gradients(const Tensor& norm, double limit) {
  gradients_.mul_((limit / (norm + 1e-6)).clamp_max(1.0));
}

void FlatParameters::adamw(const AdamWOptions& o, const Tensor& not_finite) {
  const at::NoGradGuard no_grad;
  // The kernel leaves everything as it is where not_finite is 1; the count follows it.
  updates_.add_(1).sub_(not_finite);
  const auto update = [&](int64_t first, int64_t count, double decay) {
    if (count == 0) return;
    const auto part = [&](const Tensor& flat) { return flat.narrow(0, first, count); };
    at::_fused_adamw_({part(values_)}, {part(gradients_)}, {part(mean_)}, {part(square_)}, {},
                      {updates_}, o.learning_rate, o.beta1, o.beta2, decay, o.epsilon,
                      /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/{}, not_finite);
  };
  if (o.weight_decay == 0) {
    update(0, values_.numel(), 0);
  } else {
    update(0, decayed_, o.weight_decay);
    update(decayed_, values_.numel() - decayed_, 0);
  }
  // The update went past autograd: a graph that still holds these parameters must not be used
  // for a backward pass unnoticed.
  for (const Tensor& parameter : parameters_) parameter.unsafeGetTensorImpl()->bump_version();
}

void FlatParameters::update_average(double decay) {
  const at::NoGradGuard no_grad;
  average_.lerp_(values_, 1 - decay);
}

void FlatParameters::reset_average() {
  if (averaged()) average_.copy_(values_);
}

void FlatParameters::share_average(torch::nn::Module& twin) const {
  const auto named = twin.named_parameters();
  for (const Piece& piece : pieces_) {
    Tensor parameter = named[piece.name];
    parameter.set_requires_grad(false);
    parameter.set_data(piece.of(averaged() ? average_ : values_));
  }
}

void FlatParameters::save(Tensors& into) const {
  for (const Piece& piece : pieces_) {
    into["m/" + piece.name] = piece.of(mean_);
    into["v/" + piece.name] = piece.of(square_);
    if (averaged()) into["raw/" + piece.name] = piece.of(values_);
  }
  into["updates/" + name_] = updates_;
}

void FlatParameters::load(const Tensors& from, const std::string& file) {
  const auto copy = [&](const std::string& key, const Tensor& target) {
    const auto it = from.find(key);
    if (it == from.end() || it->second.sizes() != target.sizes()) {
      fail(ErrorKind::data, file, ": tensor '", key, "' is ",
           it == from.end() ? "missing" : "of another shape");
    }
    target.copy_(it->second);
  };
  const at::NoGradGuard no_grad;
  // The weights that sample are loaded into the parameters by now; with an average they are it.
  reset_average();
  for (const Piece& piece : pieces_) {
    copy("m/" + piece.name, piece.of(mean_));
    copy("v/" + piece.name, piece.of(square_));
    if (averaged()) copy("raw/" + piece.name, piece.of(values_));
  }
  copy("updates/" + name_, updates_);
}

}  // namespace genai
