// One flat buffer of parameters, gradients and moments for each parameter set: one fused AdamW
// call instead of one per tensor, and one chain of products for all of Muon's matrices of a shape.
#pragma once
#include <torch/nn/module.h>

#include "genai/core/numerics.h"
#include "genai/core/tensors.h"
#include "genai/model/model.h"
#include "genai/training/config.h"

namespace genai {

struct OptimizerOptions {
  double beta1, beta2, epsilon, weight_decay;
  double muon_momentum = 0.95;
};

/// Makes the parameters of one set views of a flat buffer, and their gradients views of another.
/// The module must be on its device already and stay there: a later to() detaches the views.
class FlatParameters {
 public:
  /// Tensors of two or more dimensions are decayed, others (biases, norms, scalars) are not.
  /// @param optimizer  muon: for the set's matrices; whatever else there is has AdamW
  /// Throws std::logic_error for a set with names that are no parameters, or with matrices that are
  /// not among its parameters or of fewer than two dimensions.
  FlatParameters(torch::nn::Module& module, const ParameterSet& set, Layout layout, bool with_ema,
                 Optimizer optimizer = Optimizer::adamw);

  const std::string& name() const { return name_; }
  double rate() const { return rate_; }
  const std::vector<Tensor>& parameters() const { return parameters_; }

  void zero_gradients() { gradients_.zero_(); }
  /// Euclidean norm of the gradient, 0-d on the device.
  Tensor gradient_norm() const;
  /// Scales the gradient down to the norm `limit` where its norm is larger.
  void clip_gradients(const Tensor& norm, double limit);
  /// Of the updates to come. It is kept on the device, where a recorded update finds it.
  void set_learning_rate(double rate) { learning_rate_.fill_(rate); }
  /// AdamW: D. Kingma, J. Ba, "Adam", 2015, algorithm 1, with decoupled weight decay
  /// (I. Loshchilov, F. Hutter, 2019, algorithm 2). Muon (training/muon.h) with Nesterov's momentum
  /// and the same decay, a convolution's weights being a matrix of a row for each channel that it
  /// makes:
  ///   m <- momentum m + g;  w <- (1 - rate decay) w - rate scale orthogonalized(g + momentum m)
  /// Where not_finite (0-d float, 0 or 1) is 1 nothing changes.
  void update(const OptimizerOptions& options, const Tensor& not_finite);
  /// average = decay * average + (1 - decay) * parameters
  void update_average(double decay);

  bool averaged() const { return average_.defined(); }
  /// Makes the same-named parameters of `twin` views of the average (or, without one, of the
  /// parameters themselves).
  void share_average(torch::nn::Module& twin) const;

  /// Moments ("m/NAME" and, of AdamW, "v/NAME"), update count ("updates/SET") and, when averaged,
  /// the raw parameters ("raw/NAME"); tensors in their logical order.
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
    /// @param before  numbers that this buffer lacks at its front
    Tensor of(const Tensor& flat, int64_t before = 0) const;
  };
  /// Muon's matrices of one shape: neighbours in the buffers.
  struct Stack {
    int64_t offset, count, rows, columns;
    Tensor of(const Tensor& flat) const;  // [count, rows, columns]
  };

  void update_by_muon(const OptimizerOptions& options, const Tensor& not_finite);
  void update_by_adamw(const OptimizerOptions& options, const Tensor& not_finite);
  bool by_muon(const Piece& piece) const { return piece.offset < muon_; }

  std::string name_;
  double rate_;
  std::vector<Piece> pieces_;
  std::vector<Tensor> parameters_;
  std::vector<Stack> stacks_;
  int64_t muon_ = 0;     // numbers at the front of the buffers that are Muon's
  int64_t decayed_ = 0;  // numbers at the front that are decayed, Muon's among them
  Tensor values_, gradients_, average_, updates_;
  Tensor learning_rate_;  // 0-d; float64 on the CPU, float32 on a GPU, as the fused kernels want it
  Tensor mean_;           // of gradients; Muon's momentum, which is a sum
  Tensor square_;         // without Muon's part
};

}  // namespace genai
