#include "genai/training/flat_parameters.h"

#include <torch/torch.h>

#include "genai/base/error.h"
#include "genai/training/muon.h"

namespace genai {
namespace {

constexpr int64_t kAlignment = 16;  // floats: 64 bytes, a cache line and the widest vector

int64_t aligned(int64_t n) {
  return (n + kAlignment - 1) / kAlignment * kAlignment;
}

enum class Rule { muon, decayed, plain };  ///< what updates a parameter, in the buffers' order

struct Ranked {
  Rule rule;
  std::string name;
  const Tensor* parameter;
};

/// The set's parameters by their rules; Muon's by their shapes, so that equal ones are neighbours.
std::vector<Ranked> in_order(const torch::OrderedDict<std::string, Tensor>& named,
                             const ParameterSet& set, Optimizer optimizer) {
  const auto& matrices = set.matrices;
  std::vector<Ranked> ranked;
  size_t found = 0;
  for (const std::string& name : set.parameters) {
    const Tensor* parameter = named.find(name);
    if (!parameter) throw std::logic_error("parameter set names '" + name + "', which is none");
    const bool matrix = std::find(matrices.begin(), matrices.end(), name) != matrices.end();
    if (matrix && parameter->dim() < 2) {
      throw std::logic_error("parameter set names the matrix '" + name + "', which is none");
    }
    found += matrix;
    ranked.push_back({.rule = matrix && optimizer == Optimizer::muon ? Rule::muon
                              : parameter->dim() >= 2                ? Rule::decayed
                                                                     : Rule::plain,
                      .name = name,
                      .parameter = parameter});
  }
  if (found != matrices.size()) {
    throw std::logic_error("parameter set '" + set.name + "' names matrices it does not hold");
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    if (a.rule != b.rule || a.rule != Rule::muon) return a.rule < b.rule;
    return a.parameter->sizes().vec() < b.parameter->sizes().vec();
  });
  return ranked;
}

}  // namespace

Tensor FlatParameters::Piece::of(const Tensor& flat, int64_t before) const {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  const Tensor piece = flat.narrow(0, offset - before, count);
  if (!channels_last) return piece.view(shape);
  return piece.view({shape[0], shape[2], shape[3], shape[1]}).permute({0, 3, 1, 2});
}

Tensor FlatParameters::Stack::of(const Tensor& flat) const {
  return flat.as_strided({count, rows, columns}, {aligned(rows * columns), columns, 1}, offset);
}

FlatParameters::FlatParameters(torch::nn::Module& module, const ParameterSet& set, Layout layout,
                               bool with_ema, Optimizer optimizer)
    : name_(set.name), rate_(set.rate) {
  const auto named = module.named_parameters();
  const std::vector<Ranked> ranked = in_order(named, set, optimizer);
  std::vector<const Tensor*> sources;
  int64_t size = 0;
  for (const auto& [rule, name, parameter] : ranked) {
    pieces_.push_back({.name = name,
                       .offset = size,
                       .shape = parameter->sizes().vec(),
                       .channels_last = layout == Layout::channels_last && parameter->dim() == 4});
    sources.push_back(parameter);
    if (rule == Rule::muon) {
      const int64_t rows = parameter->size(0), columns = parameter->numel() / rows;
      if (stacks_.empty() || stacks_.back().rows != rows || stacks_.back().columns != columns) {
        stacks_.push_back({.offset = size, .count = 0, .rows = rows, .columns = columns});
      }
      ++stacks_.back().count;
    }
    size += aligned(parameter->numel());
    if (rule == Rule::muon) muon_ = size;
    if (rule != Rule::plain) decayed_ = size;
  }
  const at::NoGradGuard no_grad;
  const auto options = sources.at(0)->options().requires_grad(false);
  values_ = at::zeros(size, options);
  gradients_ = at::zeros(size, options);
  mean_ = at::zeros(size, options);
  square_ = at::zeros(size - muon_, options);
  updates_ = at::zeros({}, options);
  learning_rate_ = at::zeros({}, options.dtype(values_.is_cpu() ? at::kDouble : at::kFloat));
  for (size_t i = 0; i < pieces_.size(); ++i) {
    Tensor parameter = *sources[i];
    pieces_[i].of(values_).copy_(parameter);
    parameter.set_data(pieces_[i].of(values_));
    parameter.mutable_grad() = pieces_[i].of(gradients_);
    parameters_.push_back(parameter);
  }
  if (with_ema) average_ = values_.clone();
}

Tensor FlatParameters::gradient_norm() const {
  return at::linalg_vector_norm(gradients_);
}

void FlatParameters::clip_gradients(const Tensor& norm, double limit) {
  gradients_.mul_((limit / (norm + 1e-6)).clamp_max(1.0));
}

void FlatParameters::update(const OptimizerOptions& options, const Tensor& not_finite) {
  const at::NoGradGuard no_grad;
  if (muon_ > 0) update_by_muon(options, not_finite);
  update_by_adamw(options, not_finite);
  // The update went past autograd: a graph that still holds these parameters must not be used
  // for a backward pass unnoticed.
  for (const Tensor& parameter : parameters_) parameter.unsafeGetTensorImpl()->bump_version();
}

void FlatParameters::update_by_muon(const OptimizerOptions& o, const Tensor& not_finite) {
  const Tensor skip = not_finite.to(at::kBool);
  // Chosen, not multiplied: what is not finite must not get through.
  const auto set = [&](const Tensor& old, const Tensor& next) {
    old.copy_(at::where(skip, old, next));
  };
  const Tensor gradient = gradients_.narrow(0, 0, muon_), momentum = mean_.narrow(0, 0, muon_);
  set(momentum, at::add(gradient, momentum, o.muon_momentum));
  const Tensor direction = at::add(gradient, momentum, o.muon_momentum);
  for (const Stack& stack : stacks_) {
    const Tensor weights = stack.of(values_);
    const Tensor step = learning_rate_ * muon_scale(stack.rows, stack.columns);
    set(weights, weights * (1 - learning_rate_ * o.weight_decay) -
                     orthogonalized(stack.of(direction)) * step);
  }
}

void FlatParameters::update_by_adamw(const OptimizerOptions& o, const Tensor& not_finite) {
  // The kernel leaves everything as it is where not_finite is 1; the count follows it.
  updates_.add_(1).sub_(not_finite);
  const auto update = [&](int64_t first, int64_t end, double decay) {
    if (first == end) return;
    const auto part = [&](const Tensor& flat) { return flat.narrow(0, first, end - first); };
    at::_fused_adamw_({part(values_)}, {part(gradients_)}, {part(mean_)},
                      {square_.narrow(0, first - muon_, end - first)}, {}, {updates_},
                      learning_rate_, o.beta1, o.beta2, decay, o.epsilon,
                      /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/{}, not_finite);
  };
  if (o.weight_decay == 0) {
    update(muon_, values_.numel(), 0);
  } else {
    update(muon_, decayed_, o.weight_decay);
    update(decayed_, values_.numel(), 0);
  }
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
    const Tensor& parameter = named[piece.name];
    parameter.set_requires_grad(false);
    parameter.set_data(piece.of(averaged() ? average_ : values_));
  }
}

void FlatParameters::save(Tensors& into) const {
  for (const Piece& piece : pieces_) {
    into["m/" + piece.name] = piece.of(mean_);
    if (!by_muon(piece)) into["v/" + piece.name] = piece.of(square_, muon_);
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
    if (!by_muon(piece)) copy("v/" + piece.name, piece.of(square_, muon_));
    if (averaged()) copy("raw/" + piece.name, piece.of(values_));
  }
  copy("updates/" + name_, updates_);
}

}  // namespace genai
