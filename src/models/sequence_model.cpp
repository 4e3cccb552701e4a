#include "genai/models/sequence_model.h"

#include <algorithm>
#include <cmath>

#include "genai/base/error.h"
#include "genai/base/text.h"
#include "genai/nn/modules.h"
#include "genai/nn/transformer_network.h"

namespace genai {

namespace {

class RereadingDecoder : public Decoder {
 public:
  RereadingDecoder(NextToken& model, int64_t streams, int64_t vocabulary, int64_t context)
      : model_(model),
        streams_(static_cast<size_t>(streams)),
        vocabulary_(vocabulary),
        context_(context) {}

  int64_t vocabulary() const override { return vocabulary_; }
  int64_t context() const override { return context_; }
  int64_t length(int64_t stream) const override { return static_cast<int64_t>(at(stream).size()); }

  void read(std::span<const Row> rows, std::span<float> logits) override {
    append(rows, [&](size_t row) { write(rows[row].stream, row, logits); });
  }

  void read_last(std::span<const Row> rows, std::span<float> logits) override {
    append(rows, [](size_t) {});
    std::vector<int64_t> seen;
    for (const Row& row : rows) {
      if (std::ranges::find(seen, row.stream) != seen.end()) continue;
      write(row.stream, seen.size(), logits);
      seen.push_back(row.stream);
    }
  }

  void clear(int64_t stream) override { at(stream).clear(); }
  void copy(int64_t from, int64_t to) override { at(to) = at(from); }

 private:
  std::vector<int64_t>& at(int64_t stream) {
    if (stream < 0 || stream >= static_cast<int64_t>(streams_.size()))
      fail(ErrorKind::usage, "a stream out of range: ", stream);
    return streams_[static_cast<size_t>(stream)];
  }
  const std::vector<int64_t>& at(int64_t stream) const {
    return const_cast<RereadingDecoder*>(this)->at(stream);
  }

  /// Judges all rows before any of them is added.
  void append(std::span<const Row> rows, const std::function<void(size_t)>& added) {
    std::vector<int64_t> lengths;
    for (size_t i = 0; i < streams_.size(); ++i)
      lengths.push_back(static_cast<int64_t>(streams_[i].size()));
    for (const Row& row : rows) {
      at(row.stream);
      if (row.token < 0 || row.token >= vocabulary_)
        fail(ErrorKind::data, "a token out of range: ", row.token);
      if (++lengths[static_cast<size_t>(row.stream)] > context_)
        fail(ErrorKind::usage, "more tokens than the ", context_, " of the context");
    }
    for (size_t i = 0; i < rows.size(); ++i) {
      at(rows[i].stream).push_back(rows[i].token);
      added(i);
    }
  }

  /// The logits after the last token of a stream as row `place`.
  void write(int64_t stream, size_t place, std::span<float> logits) {
    const at::NoGradGuard no_grad;
    const Tensor tokens = at::tensor(at(stream)).unsqueeze(0);
    const Tensor last =
        model_.next_logits(tokens).select(1, -1).to(at::kCPU, at::kFloat).contiguous();
    std::copy_n(last.const_data_ptr<float>(), vocabulary_,
                logits.begin() + static_cast<int64_t>(place) * vocabulary_);
  }

  NextToken& model_;
  std::vector<std::vector<int64_t>> streams_;
  int64_t vocabulary_, context_;
};

}  // namespace

std::unique_ptr<Decoder> SequenceModel::decoder(int64_t streams, WeightFormat format, int) {
  if (format != WeightFormat::float32) {
    fail(ErrorKind::usage, "request.weights: this family writes with float32 alone");
  }
  return std::make_unique<RereadingDecoder>(*this, streams, info_.vocabulary(), info_.context);
}

Tensor SequenceModel::mean_loss(const Tensor& logits, const Batch& batch) {
  return token_losses(logits, batch.target).sum() / batch.counts.sum();
}

Tensors SequenceModel::validate(const Batch& batch, Draw&) {
  return {{"loss", token_losses(next_logits(batch.input), batch.target).sum(1) / batch.counts}};
}

std::string SequenceModel::health(const Batch& batch) {
  // A model that has learned nothing but how often each token comes is no language model.
  const Tensor targets = batch.target.masked_select(batch.target.ne(kNoTarget));
  const Tensor shares = targets.bincount().to(at::kDouble) / targets.numel();
  const double entropy = -at::xlogy(shares, shares).sum().item<double>();
  Draw draw(0, "validate", batch.sample_ids, batch.input.device());
  const double loss =
      (validate(batch, draw).at("loss") * batch.counts).sum().item<double>() / batch.weight;
  // To the loss tokens beside the true one are no better than those far from it.
  if (info_.tokenizer && info_.tokenizer->ordered()) {
    return concat(number_text(loss / std::log(2.0), 4), " bits a token, which tell little of ",
                  info_.modality->name(), ": `genai evaluate` measures its forecasts");
  }
  return concat(number_text(loss / std::log(2.0), 4), " bits a token; by the tokens' frequencies ",
                "alone it were ", number_text(entropy / std::log(2.0), 4),
                loss > 0.95 * entropy ? ": it has learned little; train longer" : "");
}

Weights weights_of(const torch::nn::Module& module) {
  Tensors own;
  for (const auto& item : module.named_parameters()) {
    own[item.key()] = item.value().detach().to(at::kCPU, at::kFloat).contiguous();
  }
  const auto tensors = std::make_shared<const Tensors>(merge_adapters(std::move(own)));
  return [tensors](const std::string& name) -> std::span<const float> {
    const auto it = tensors->find(name);
    if (it == tensors->end()) return {};
    return {it->second.const_data_ptr<float>(), static_cast<size_t>(it->second.numel())};
  };
}

}  // namespace genai
