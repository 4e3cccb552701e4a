// One flat buffer of parameters, gradients and moments for each parameter set: one fused AdamW
// call instead of one per tensor.
#pragma once
#include <torch/nn/module.h>

#include "genai/core/numerics.h"
#include "genai/core/tensors.h"
#include "genai/model/model.h"

namespace genai {

struct AdamWOptions {
  double learning_rate, beta1, beta2, epsilon, weight_decay;
};

/// Makes the parameters of one set views of a flat buffer, and their gradients views of another.
/// The module must be on its device already and stay there: a later to() detaches the views.
class FlatParameters {
 public:
  /// Tensors of two or more dimensions are decayed, others (biases, norms, scalars) are not.
  FlatParameters(torch::nn::Module& module, const ParameterSet& set, Layout layout, bool with_ema);

  const std::string& name() const { return name_; }
  double rate() const { return rate_; }
  const std::vector<Tensor>& parameters() const { return parameters_; }

  void zero_gradients() { gradients_.zero_(); }
  /// Euclidean norm of the gradient, 0-d on the device.
  Tensor gradient_norm() const;
  /// Scales the gradient down to the norm `limit` where its norm is larger.
  void clip_gradients(const Tensor& norm, double limit);
  /// D. Kingma, J. Ba, "Adam", 2015, algorithm 1, with decoupled weight decay (I. Loshchilov,
  /// F. Hutter, 2019, algorithm 2). Where not_finite (0-d float, 0 or 1) is 1 nothing changes.
  void adamw(const AdamWOptions& options, const Tensor& not_finite);
  /// average = decay * average + (1 - decay) * parameters
  void update_average(double decay);

  bool averaged() const { return average_.defined(); }
  /// Makes the same-named parameters of `twin` views of the average (or, without one, of the
  /// parameters themselves).
  void share_average(torch::nn::Module& twin) const;

  /// Moments ("m/NAME", "v/NAME"), update count ("updates/SET") and, when averaged, the raw
  /// parameters ("raw/NAME"); tensors in their logical order.
  void save(Tensors& into) const;
  /// Throws Error{data} when an entry is missing or of another shape.
  void load(const Tensors& from, const std::string& file);
  /// The average starts at the parameters as they are now.
  void reset_average();

 private:
  /// The piece of a flat buffer that belongs to one parameter.
  struct Piece {
    std::string name;
    int64_t offset;
    std::vector<int64_t> shape;
    bool channels_last;
    Tensor of(const Tensor& flat) const;
  };

  std::string name_;
  double rate_;
  std::vector<Piece> pieces_;
  std::vector<Tensor> parameters_;
  int64_t decayed_ = 0;  // numbers at the front of the buffers that are decayed
  Tensor values_, gradients_, mean_, square_, average_, updates_;
};

}  // namespace genai
