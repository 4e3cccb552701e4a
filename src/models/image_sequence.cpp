#include "genai/models/image_sequence.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "genai/decode/decoder.h"
#include "genai/sampling/tokens.h"

namespace genai {
namespace {

/// Tokens of a caption.
int64_t words_of(const ConditionSpecs& conditions) {
  const ConditionSpec* caption = sequence_of(conditions);
  return caption ? caption->length : 0;
}

int64_t starts_of(const ConditionSpecs& conditions) {
  return std::max<int64_t>(1, classes_of(conditions));
}

class ImageSequence : public Model, public Generator, public Likelihood {
 public:
  ImageSequence(std::unique_ptr<Model> model, const ModelContext& context)
      : Model(context.inputs),
        model_(std::move(model)),
        next_(dynamic_cast<NextToken&>(*model_)),
        codes_(context.info.codes),
        vocabulary_(context.info.vocabulary()),
        words_(words_of(conditions())),
        length_(context.info.context - words_),
        classes_(classes_of(conditions())) {}

  torch::nn::Module& module() override { return model_->module(); }
  std::vector<ParameterSet> parameter_sets() override { return model_->parameter_sets(); }
  std::string objective() const override { return model_->objective(); }
  std::string health(const Batch& batch) override { return model_->health(begun(batch)); }
  Tensors training_state() override { return model_->training_state(); }
  std::map<std::string, double> scheduled(const Progress& progress) const override {
    return model_->scheduled(progress);
  }
  std::string warning(const Progress& progress, const Json& means) const override {
    return model_->warning(progress, means);
  }

  std::vector<Phase> phases() override {
    std::vector<Phase> phases = model_->phases();
    for (Phase& phase : phases) {
      phase.loss = [this, loss = std::move(phase.loss)](LossInput& in) {
        const Batch batch = begun(in.batch);
        LossInput told{.batch = batch,
                       .draws = in.draws,
                       .scheduled = in.scheduled,
                       .carry = in.carry,
                       .shared = in.shared};
        return loss(told);
      };
    }
    return phases;
  }

  Tensors validate(const Batch& batch, Draw& draw) override {
    return model_->validate(begun(batch), draw);
  }

  Tensor generate(const Draw& draw, const Tensors& told, const Json& options) override {
    Json wanted = options;
    if (!wanted.contains("temperature")) wanted["temperature"] = 1.0;  // as the model has them
    const auto sampling = from_json<TokenSampling>(token_sampling_fields(), wanted, "sampling");
    TokenSampler sampler(sampling, codes_);
    const int64_t rows = draw.items();
    const auto decoder = next_.decoder(rows, WeightFormat::float32, at::get_num_threads());
    const Tensor random = draw.uniform("tokens", {length_}).to(at::kCPU, at::kDouble).contiguous();
    const Tensor before = prefix(told, rows).to(at::kCPU).contiguous();
    std::vector<Decoder::Row> newest;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i <= words_; ++i)
        newest.push_back({row, static_cast<int32_t>(before[row][i].item<int64_t>())});
    }
    std::vector<float> logits(static_cast<size_t>(rows * vocabulary_));
    decoder->read_last(newest, logits);
    std::vector<std::vector<int32_t>> written(static_cast<size_t>(rows));
    newest.clear();
    for (int64_t row = 0; row < rows; ++row) newest.push_back({row, 0});
    for (int64_t i = 0; i < length_; ++i) {
      if (i > 0) decoder->read(newest, logits);
      for (Decoder::Row& row : newest) {
        // What stands before a sequence is never within one.
        const auto of_codes = std::span(logits).subspan(
            static_cast<size_t>(row.stream * vocabulary_), static_cast<size_t>(codes_));
        std::vector<int32_t>& tokens = written[static_cast<size_t>(row.stream)];
        const double u = random.const_data_ptr<double>()[row.stream * length_ + i];
        row.token = sampler.choose(of_codes, tokens, u).token;
        tokens.push_back(row.token);
      }
    }
    const Tensor tokens = at::empty({rows, length_}, at::kInt);
    for (int64_t row = 0; row < rows; ++row)
      std::ranges::copy(written[static_cast<size_t>(row)],
                        tokens.mutable_data_ptr<int32_t>() + row * length_);
    return tokens.to(draw.device());
  }

  /// Exact: no draws.
  Tensor log_likelihood(const Batch& batch, const Draw&, int64_t) override {
    if (classes_ == 0 || labels_among(batch.conditions).defined()) return log_probability(batch);
    // Of unknown class, all equally likely: p(x) = 1/C sum_y p(x|y).
    std::vector<Tensor> each;
    for (int64_t label = 0; label < classes_; ++label) {
      Batch of_class = batch;
      of_class.conditions[kClass] = at::full_like(batch.target.select(1, 0), label);
      each.push_back(log_probability(of_class));
    }
    return at::stack(each).logsumexp(0) - std::log(static_cast<double>(classes_));
  }

  std::string estimator(int64_t) const override { return "exact"; }
  int64_t usual_draws(bool) const override { return 1; }
  std::string pixel_model() const override { return inputs().codec->pixel_model(); }

 private:
  /// int64 [B, words + 1]: the caption's words as tokens, and what begins an image.
  Tensor prefix(const Tensors& told, int64_t rows) const {
    const Tensor labels = labels_among(told), words = sequence_among(told);
    Tensor start = at::full({rows, 1}, codes_, at::kLong);
    if (classes_ > 0 && labels.defined()) start = (labels + codes_).unsqueeze(1);
    if (words_ == 0) return start;
    const int64_t first = codes_ + starts_of(conditions());
    return at::cat({words + first, start.to(words.device())}, 1);
  }

  /// With the prefix before each sequence, which is not predicted.
  Batch begun(const Batch& batch) const {
    Batch told = batch;
    const int64_t rows = batch.target.size(0);
    const Tensor before = prefix(batch.conditions, rows).to(batch.target.device());
    told.input = at::cat({before, batch.input.slice(1, 1)}, 1);
    told.target =
        at::cat({at::full({rows, words_}, kNoTarget, batch.target.options()), batch.target}, 1);
    return told;
  }

  /// In nats, [B]. What begins a sequence is never within one, as in generate.
  Tensor log_probability(const Batch& batch) {
    const Batch told = begun(batch);
    const Tensor logits = next_.next_logits(told.input).narrow(1, words_, length_);
    const Tensor log = logits.narrow(2, 0, codes_).to(at::kFloat).log_softmax(2);
    return log.gather(2, batch.target.unsqueeze(2)).squeeze(2).to(at::kDouble).sum(1);
  }

  std::unique_ptr<Model> model_;
  NextToken& next_;
  int64_t codes_, vocabulary_, words_, length_, classes_;
};

}  // namespace

DataInfo with_prefix(DataInfo sequences, const ConditionSpecs& conditions) {
  const ConditionSpec* caption = sequence_of(conditions);
  sequences.starts = starts_of(conditions) + (caption ? caption->vocabulary : 0);
  sequences.context += words_of(conditions);
  return sequences;
}

std::unique_ptr<Model> make_image_sequence(std::unique_ptr<Model> model,
                                           const ModelContext& context) {
  return std::make_unique<ImageSequence>(std::move(model), context);
}

}  // namespace genai
