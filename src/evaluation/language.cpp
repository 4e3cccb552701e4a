#include "genai/evaluation/language.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>

#include "genai/base/error.h"
#include "genai/core/philox.h"
#include "genai/data/batcher.h"
#include "genai/data/known_sets.h"
#include "genai/data/sequences.h"
#include "genai/data/text_data.h"
#include "genai/data/unicode.h"
#include "genai/evaluation/series.h"
#include "genai/generation/text_samples.h"
#include "genai/nn/transformer_network.h"

namespace genai {
namespace {

/// nanoGPT's eval_iters.
constexpr int64_t kBatches = 200;
/// Without `full`, random batches may cost so many full passes.
constexpr int64_t kPasses = 3;
/// Sampled for memorization.
constexpr int64_t kSampledTokens = 10'000, kTextLength = 500;

std::string text_of(const Split& split, const Tokenizer& tokenizer) {
  return tokenizer.decode(
      {split.tokens.const_data_ptr<int32_t>(), static_cast<size_t>(split.tokens.numel())});
}

/// The model, or the decode engine with its weights in 8 bits.
class Reader {
 public:
  Reader(const LoadedModel& loaded, const EvaluationRequest& request)
      : next_(loaded.as<NextToken>("evaluate")),
        protocol_(concat("/", loaded.manifest.data.tokenizer->name(), request.suffix())) {
    if (request.weights == WeightFormat::float32) return;
    decoder_ = next_.decoder(/*streams=*/1, request.weights, at::get_num_threads());
  }

  /// As NextToken::next_logits.
  Tensor logits(const Tensor& tokens) const {
    if (!decoder_) return next_.next_logits(tokens);
    const int64_t rows = tokens.size(0), length = tokens.size(1);
    const Tensor ids = tokens.to(at::kInt).cpu();
    Tensor found = at::empty({rows, length, decoder_->vocabulary()}, at::kFloat);
    for (int64_t r = 0; r < rows; ++r) {
      std::vector<Decoder::Row> row;
      for (int64_t i = 0; i < length; ++i) row.push_back({0, ids[r].const_data_ptr<int32_t>()[i]});
      decoder_->clear(0);
      decoder_->read(row, {found[r].mutable_data_ptr<float>(),
                           static_cast<size_t>(length * decoder_->vocabulary())});
    }
    return found.to(tokens.device());
  }

  /// Nats of each target of the batch, [B, T].
  Tensor losses(const Batch& batch) const {
    return token_losses(logits(batch.input), batch.target);
  }

  /// What ends the names of metrics.
  const std::string& protocol() const { return protocol_; }

 private:
  NextToken& next_;
  std::string protocol_;
  std::unique_ptr<Decoder> decoder_;
};

/// A mean over tokens whose error is that of means over windows: item i is the nats of window i as
/// a multiple of the tokens that a window has on average.
Metric token_mean(const std::string& name, const Tensor& nats, double tokens,
                  const std::string& unit) {
  return mean_metric(name, nats * (static_cast<double>(nats.numel()) / tokens), unit);
}

void add_full_pass(const LoadedModel& loaded, const Reader& reader, const Dataset& data,
                   const std::string& source, Evaluation& into, const StageProgress& progress) {
  const std::string items = data.info.lines ? "/lines" : concat("/window", data.info.context);
  const std::string protocol = concat("@", source, items, reader.protocol());
  const int64_t windows = data.test.size(), most = windows_at_once(data.info);
  std::vector<Tensor> parts;
  double tokens = 0;
  for (int64_t first = 0; first < windows; first += most) {
    const int64_t count = std::min(most, windows - first);
    const Batch batch = items_batch(data.test, data.info, first, count, loaded.device);
    parts.push_back(reader.losses(batch).sum(1).to(at::kDouble).cpu());
    tokens += batch.weight;
    if (progress) {
      progress("full pass", static_cast<double>(first + count) / static_cast<double>(windows));
    }
  }
  const Tensor nats = at::cat(parts);
  const Metric loss = token_mean("loss" + protocol, nats, tokens, "nats/token");
  into.metrics.push_back(loss);
  if (data.info.tokenizer->ordered()) return;  // levels are no letters
  const std::string text = text_of(data.test, *data.info.tokenizer);
  const Tensor bits = nats / std::log(2.0);
  // The first token of running text has nothing before it: it is read, not predicted.
  const std::string first =
      data.info.lines ? "" : data.info.tokenizer->token(data.test.tokens[0].item<int32_t>());
  const double bytes = static_cast<double>(text.size() - first.size());
  const double characters = static_cast<double>(count_characters(text) - count_characters(first));
  into.metrics.push_back(
      token_mean("bits_per_character" + protocol, bits, characters, "bits/character"));
  into.metrics.push_back(token_mean("bits_per_byte" + protocol, bits, bytes, "bits/byte"));
  into.metrics.push_back({.name = "perplexity" + protocol,
                          .value = std::exp(loss.value),
                          .standard_error = std::exp(loss.value) * loss.standard_error,
                          .count = loss.count});
}

/// Each token once, with at least three quarters of a window before it where there are so many.
void add_sliding(const LoadedModel& loaded, const Reader& reader, const Dataset& data,
                 const std::string& source, Evaluation& into, const StageProgress& progress) {
  const int64_t context = data.info.context, stride = std::max<int64_t>(1, context / 4);
  const int64_t targets = data.test.tokens.numel() - 1;
  std::vector<int64_t> offsets;
  for (int64_t offset = 0; offset == 0 || offset + context - stride < targets; offset += stride) {
    offsets.push_back(offset);
  }
  const auto windows = static_cast<int64_t>(offsets.size());
  const int64_t most = windows_at_once(data.info);
  std::vector<Tensor> parts;
  for (int64_t first = 0; first < windows; first += most) {
    const int64_t count = std::min(most, windows - first);
    const Batch batch =
        windows_batch(data.test, {offsets.begin() + first, offsets.begin() + first + count}, false,
                      loaded.device);
    const Tensor found = reader.losses(batch);
    if (first == 0) parts.push_back(found[0].narrow(0, 0, context - stride).sum().view({1}));
    parts.push_back(found.narrow(1, context - stride, stride).sum(1));
    if (progress) {
      progress("sliding windows",
               static_cast<double>(first + count) / static_cast<double>(windows));
    }
  }
  const Tensor nats = at::cat(parts).to(at::kDouble).cpu();
  into.metrics.push_back(token_mean(
      concat("loss_sliding@", source, "/window", context, "-stride", stride, reader.protocol()),
      nats, static_cast<double>(targets), "nats/token"));
}

void add_random_batches(const LoadedModel& loaded, const Reader& reader, const Dataset& data,
                        int64_t rows, const std::string& source, Evaluation& into,
                        const StageProgress& progress) {
  const auto places = static_cast<uint64_t>(data.test.tokens.numel() - data.info.context);
  const uint64_t key = stream_key(0, "evaluate/nanogpt");
  std::vector<Tensor> means;
  for (int64_t i = 0; i < kBatches; ++i) {
    std::vector<uint64_t> bits(static_cast<size_t>(rows));
    philox_bits(key, static_cast<uint64_t>(i), 0, bits.data(), rows);
    std::vector<int64_t> offsets;
    for (const uint64_t b : bits) offsets.push_back(static_cast<int64_t>(b % places));
    means.push_back(reader.losses(windows_batch(data.test, offsets, false, loaded.device)).mean());
    if (progress) progress("random batches", static_cast<double>(i + 1) / kBatches);
  }
  into.metrics.push_back(mean_metric(concat("loss_nanogpt@", source, "/", kBatches, "x", rows, "x",
                                            data.info.context, reader.protocol()),
                                     at::stack(means).to(at::kDouble).cpu(), "nats/token"));
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

/// The lines that count, and how many of them are in `known`.
struct LineCount {
  int64_t all = 0, known = 0;
  double share() const { return all ? static_cast<double>(known) / static_cast<double>(all) : 0; }
};
LineCount count_lines(std::string_view text, size_t least,
                      const std::unordered_set<std::string_view>& known) {
  LineCount count;
  for (const std::string_view line : lines_of(text)) {
    if (line.size() < least) continue;
    ++count.all;
    count.known += known.contains(line);
  }
  return count;
}

}  // namespace

Passages::Passages(std::string_view text) : text_(text.substr(0, kMost)) {
  suffixes_.resize(text_.size());
  std::iota(suffixes_.begin(), suffixes_.end(), 0u);
  std::sort(suffixes_.begin(), suffixes_.end(),
            [&](uint32_t a, uint32_t b) { return text_.substr(a) < text_.substr(b); });
}

size_t Passages::longest_beginning(std::string_view text) const {
  // The suffixes that share most with the text are its neighbours in the sorted list.
  const auto next =
      std::lower_bound(suffixes_.begin(), suffixes_.end(), text,
                       [&](uint32_t a, std::string_view b) { return text_.substr(a) < b; });
  const auto shared = [&](uint32_t place) {
    const std::string_view suffix = text_.substr(place);
    return static_cast<size_t>(
        std::mismatch(suffix.begin(), suffix.end(), text.begin(), text.end()).second -
        text.begin());
  };
  size_t most = 0;
  if (next != suffixes_.end()) most = shared(*next);
  if (next != suffixes_.begin()) most = std::max(most, shared(*(next - 1)));
  return most;
}

std::string_view Passages::longest(std::string_view text) const {
  std::string_view best;
  for (size_t at = 0; at < text.size(); ++at) {
    const size_t length = longest_beginning(text.substr(at));
    if (length > best.size()) best = text.substr(at, length);
  }
  return best;
}

void measure_language(const LoadedModel& loaded, const Dataset& data,
                      const EvaluationRequest& request, Evaluation& into,
                      const StageProgress& progress) {
  const c10::InferenceMode no_autograd;
  const DataInfo& info = data.info;
  const std::string source = concat(info.source, "-test", data.test.tokens.numel());
  const Reader reader(loaded, request);
  add_full_pass(loaded, reader, data, source, into, progress);
  if (info.lines || info.tokenizer->ordered()) return;
  add_sliding(loaded, reader, data, source, into, progress);
  if (data.test.tokens.numel() <= info.context) return;
  const int64_t batch = loaded.manifest.config.at("training").at("batch");
  const int64_t cost = kBatches * batch * info.context;
  if (request.full || cost <= kPasses * data.test.tokens.numel()) {
    add_random_batches(loaded, reader, data, batch, source, into, progress);
  }
}

void measure_copies(const LoadedModel& loaded, const Dataset& data,
                    const EvaluationRequest& request, Evaluation& into,
                    const StageProgress& progress) {
  const DataInfo& info = data.info;
  const std::string train = text_of(data.train, *info.tokenizer),
                    test = text_of(data.test, *info.tokenizer);
  const int64_t length = info.lines ? info.context : kTextLength;
  const int64_t count =
      request.samples > 0 ? request.samples : std::max<int64_t>(1, kSampledTokens / length);
  if (progress) progress("writing", 0);
  const auto samples = generate_texts(*loaded.model,
                                      {.first = request.first,
                                       .count = count,
                                       .length = length,
                                       .weights = request.weights,
                                       .options = request.options},
                                      info);
  std::string written;
  for (const TextSample& sample : samples) written += sample.text + "\n";
  if (progress) progress("comparing", 0);
  const Passages passages(train);
  const std::string_view copied = passages.longest(written);
  const std::string protocol = concat("@", info.source, "-train", data.train.tokens.numel(), "/n",
                                      count, "-length", length, request.suffix());
  into.metrics.push_back(
      {.name = "longest_copy" + protocol,
       .value = static_cast<double>(copied.size()),
       .count = count,
       .unit = "bytes",
       .better = Better::neither,
       .real = static_cast<double>(
           passages.longest(std::string_view(test).substr(0, written.size())).size())});
  into.details["longest_copy"] = valid_utf8(copied);
  const auto known = lines_of(train);
  const std::unordered_set<std::string_view> set(known.begin(), known.end());
  const size_t least = info.lines ? 1 : kLongLine;
  const LineCount own = count_lines(written, least, set), real = count_lines(test, least, set);
  if (own.all > 0) {
    const double share = own.share();
    into.metrics.push_back(
        {.name = "copied_lines" + protocol,
         .value = share,
         .standard_error = std::sqrt(share * (1 - share) / static_cast<double>(own.all)),
         .count = own.all,
         .better = Better::neither,
         .real = real.share()});
  }
  into.sampling = {{"first", request.first}, {"count", count}, {"options", request.options}};
}

bool has_answers(const DataInfo& info) {
  const KnownSet* known = find_known_set(info.source);
  return known && !known->question_end.empty();
}

void measure_answers(const LoadedModel& loaded, const Dataset& data,
                     const EvaluationRequest& request, Evaluation& into) {
  const c10::InferenceMode no_autograd;
  const Reader reader(loaded, request);
  const Batch batch = items_batch(data.test, data.info, 0, data.test.size(), loaded.device);
  const Tensor taken = reader.logits(batch.input).argmax(-1);  // [B, T]
  const std::string& mark = find_known_set(data.info.source)->question_end;
  const int32_t question_end = data.info.tokenizer->encode(mark).at(0);
  // What is behind it, up to the end of the line.
  const Tensor answer =
      batch.input.eq(question_end).cumsum(1).gt(0).logical_and(batch.target.ne(kNoTarget));
  const Tensor right = taken.eq(batch.target).logical_or(answer.logical_not()).all(1);
  into.metrics.push_back(mean_metric(concat("exact_answers@", data.info.source, "-test",
                                            data.test.size(), "/greedy", request.suffix()),
                                     right.to(at::kDouble).cpu(), "", Better::higher));
}

std::vector<LineScore> score_lines(const LoadedModel& loaded,
                                   const std::vector<std::string>& lines) {
  const c10::InferenceMode no_autograd;
  const DataInfo& info = loaded.manifest.data;
  auto& next = loaded.as<NextToken>("score");
  std::vector<LineScore> scores;
  for (size_t i = 0; i < lines.size(); ++i) {
    std::vector<int32_t> tokens;
    try {
      tokens = info.tokenizer->encode(lines[i] + "\n");
    } catch (const Error& error) {
      fail(error.kind(), "line ", i + 1, ": ", error.what());
    }
    tokens.insert(tokens.begin(), start_token(*info.tokenizer));
    const Tensor all = at::tensor(tokens, at::kLong).to(loaded.device).unsqueeze(0);
    const int64_t targets = all.size(1) - 1;
    if (targets > info.context) {
      fail(ErrorKind::usage, "line ", i + 1, ": expected at most ", info.context,
           " tokens with its end, found ", targets);
    }
    const Tensor nats =
        token_losses(next.next_logits(all.narrow(1, 0, targets)), all.narrow(1, 1, targets));
    scores.push_back({.nats = nats.sum().item<double>(), .tokens = targets});
  }
  return scores;
}

Evaluation evaluate_sequences(const LoadedModel& loaded, const EvaluationData& data,
                              const EvaluationRequest& request, const StageProgress& progress) {
  Evaluation result{.step = loaded.manifest.step,
                    .weights_sha256 = loaded.manifest.weights_sha256()};
  const Modality& modality = *data.own.info.modality;
  const auto wanted = [&](MetricGroup part) {
    return applies(part, modality) && (request.parts.empty() || request.parts.count(part));
  };
  for (const MetricGroup part : request.parts) check_applies(part, modality);
  if (request.draws > 0 || request.images > 0) {
    fail(ErrorKind::usage, "request.draws and request.images are for pictures; the likelihood of ",
         modality.name(), " is measured on all of the test part, without draws");
  }
  if (wanted(MetricGroup::likelihood)) {
    measure_language(loaded, data.own, request, result, progress);
    if (has_answers(data.own.info)) measure_answers(loaded, data.own, request, result);
  }
  if (wanted(MetricGroup::forecasts)) {
    measure_forecasts(loaded, data.own, request, result, progress);
  }
  if (wanted(MetricGroup::memorization)) {
    measure_copies(loaded, data.own, request, result, progress);
  }
  return result;
}

}  // namespace genai
