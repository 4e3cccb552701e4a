// What the families of sequences have in common.
#pragma once
#include "genai/decode/decoder.h"
#include "genai/model/family.h"

namespace genai {

/// Cross-entropy of the next token: as Model has it, for networks that give logits [B, T, V].
class SequenceModel : public Model, public NextToken {
 public:
  Tensors validate(const Batch& batch, Draw&) override;
  std::string objective() const override { return "loss"; }
  std::string health(const Batch& batch) override;
  /// One that reads a stream's tokens by next_logits again for each that is added: right for every
  /// network, quick for none. Families with an engine of their own bring it instead.
  std::unique_ptr<Decoder> decoder(int64_t streams, WeightFormat format, int threads) override;

 protected:
  explicit SequenceModel(const DataInfo& info) : info_(info) {}
  /// 0-d: the mean over the targets of the batch.
  static Tensor mean_loss(const Tensor& logits, const Batch& batch);

  DataInfo info_;
};

/// Reads the weights of a module by their names, adapters merged, for make_decoder.
Weights weights_of(const torch::nn::Module& module);

}  // namespace genai
