#include "genai/generation/text_samples.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "genai/base/error.h"
#include "genai/base/hash.h"
#include "genai/core/philox.h"
#include "genai/data/sequences.h"
#include "genai/data/unicode.h"
#include "genai/decode/rolling_context.h"
#include "genai/generation/generate.h"

namespace genai {
namespace {

/// Sequences that are written at once: enough to read each weight rarely, few enough for the cache.
constexpr int64_t kStreams = 32;

TokenSampling sampling_of(const Json& options) {
  return from_json<TokenSampling>(token_sampling_fields(), options, "sampling");
}

/// Number i of sample k, uniform in [0, 1) with 53 bits.
double random_number(int64_t sample, int64_t i) {
  static const uint64_t key = stream_key(kGenerationSeed, "generate/token");
  return uniform_at(key, static_cast<uint64_t>(sample), static_cast<uint64_t>(i));
}

/// How many bytes at the end of `text` may become a stop with what follows.
size_t maybe_stop(std::string_view text, const std::vector<std::string>& stops) {
  size_t most = 0;
  for (const std::string& stop : stops) {
    for (size_t n = std::min(stop.size() - 1, text.size()); n > most; --n) {
      if (text.ends_with(std::string_view(stop).substr(0, n))) most = n;
    }
  }
  return most;
}

/// Texts that are written at once, one in each stream of the decoder.
class Writers {
 public:
  Writers(Decoder& decoder, const TextRequest& request, const DataInfo& info)
      : context_(decoder),
        request_(request),
        info_(info),
        prompt_(prompt_tokens(request.prompt, info)),
        vocabulary_(static_cast<size_t>(info.vocabulary())),
        line_end_(info.lines ? start_token(*info.tokenizer) : -1),
        end_(info.tokenizer->end_token()) {
    const TokenSampling sampling = sampling_of(request.options);
    for (int64_t i = 0; i < kStreams; ++i) samplers_.emplace_back(sampling, info.vocabulary());
  }

  /// Samples first .. first + count - 1, count <= kStreams.
  std::vector<TextSample> write(int64_t first, int64_t count, const WatchText& watch) {
    begin(first, count);
    while (std::any_of(writers_.begin(), writers_.end(), [](const auto& w) { return w.open; })) {
      std::vector<Decoder::Row> rows;
      for (size_t stream = 0; stream < writers_.size(); ++stream) {
        Writer& writer = writers_[stream];
        if (!writer.open) continue;
        add_token(writer, stream, watch);
        if (writer.open) rows.push_back({static_cast<int64_t>(stream), writer.all.back()});
      }
      read(rows);
    }
    std::vector<TextSample> samples;
    for (Writer& writer : writers_) samples.push_back(std::move(writer.sample));
    return samples;
  }

 private:
  struct Writer {
    TextSample sample;
    std::vector<int32_t> all;   // with the prompt
    std::vector<float> logits;  // of the next token
    size_t told = 0;            // bytes of the text that the watch knows
    bool open = true;
  };

  /// The prompt is read once, all streams go on from it.
  void begin(int64_t first, int64_t count) {
    writers_.assign(static_cast<size_t>(count), {});
    std::vector<float> logits(vocabulary_);
    context_.begin(0, prompt_, logits);
    for (int64_t i = 0; i < count; ++i) {
      Writer& writer = writers_[static_cast<size_t>(i)];
      writer.sample.number = first + i;
      writer.all = prompt_;
      writer.logits = logits;
      if (i > 0) context_.copy(0, i);
    }
  }

  void add_token(Writer& writer, size_t stream, const WatchText& watch) {
    TextSample& sample = writer.sample;
    const auto written = static_cast<int64_t>(sample.tokens.size());
    if (written == request_.length) return end(writer, "length", watch);
    // Longer lines than any that were learned have no end in sight.
    if (info_.lines && static_cast<int64_t>(writer.all.size()) >= info_.context) {
      return end(writer, "length", watch);
    }
    const auto choice =
        samplers_[stream].choose(writer.logits, writer.all, random_number(sample.number, written));
    sample.tokens.push_back(choice.token);
    sample.log_probabilities.push_back(choice.log_probability);
    writer.all.push_back(choice.token);
    if (choice.token == line_end_) return end(writer, "line", watch);
    if (choice.token == end_) return end(writer, "end", watch);
    sample.text += info_.tokenizer->token(choice.token);
    // What was told ends before anything that could have become a stop.
    size_t first = std::string::npos;
    for (const std::string& stop : request_.stops) {
      first = std::min(first, sample.text.find(stop, writer.told));
    }
    if (first != std::string::npos) {
      sample.text.resize(first);
      return end(writer, "stop", watch);
    }
    const size_t sure = sample.text.size() - maybe_stop(sample.text, request_.stops);
    tell(writer, sure, watch);
  }

  void end(Writer& writer, const char* why, const WatchText& watch) {
    writer.sample.end = why;
    tell(writer, writer.sample.text.size(), watch);
    writer.open = false;
  }

  void tell(Writer& writer, size_t until, const WatchText& watch) {
    if (until <= writer.told) return;
    const std::string_view text = writer.sample.text;
    const size_t from = std::exchange(writer.told, until);
    const bool go_on = !watch || watch(writer.sample, text.substr(from, until - from));
    if (!go_on) writer.open = false;
  }

  void read(const std::vector<Decoder::Row>& rows) {
    logits_.resize(rows.size() * vocabulary_);
    context_.read(rows, logits_);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto from = logits_.begin() + static_cast<std::ptrdiff_t>(i * vocabulary_);
      std::copy_n(from, vocabulary_, writers_[static_cast<size_t>(rows[i].stream)].logits.begin());
    }
  }

  RollingContext context_;
  const TextRequest& request_;
  const DataInfo& info_;
  std::vector<int32_t> prompt_;
  size_t vocabulary_;
  int32_t line_end_, end_;  // -1: none
  std::vector<TokenSampler> samplers_;
  std::vector<Writer> writers_;
  std::vector<float> logits_;
};

NextToken& writing(Model& model) {
  auto* next = dynamic_cast<NextToken*>(&model);
  if (!next) fail(ErrorKind::usage, "this family does not write texts");
  return *next;
}

}  // namespace

void check_request(const TextRequest& request, const DataInfo& info) {
  if (!info.tokenizer) {
    fail(ErrorKind::usage, "this run makes ", info.modality->items(info), ", no texts");
  }
  constexpr int64_t kMostSamples = 1'000'000, kMostTokens = 10'000'000;
  if (request.count < 1 || request.count > kMostSamples) {
    fail(ErrorKind::usage, "request.count: expected 1 to ", kMostSamples, " samples, found ",
         request.count);
  }
  if (request.first < 0 || request.first > INT64_MAX - 2 * kMostSamples) {
    fail(ErrorKind::usage, "request.seed: expected a number from 0 on, found ", request.first);
  }
  if (request.length < 1 || request.length > kMostTokens) {
    fail(ErrorKind::usage, "request.length: expected 1 to ", kMostTokens, " tokens, found ",
         request.length);
  }
  for (const std::string& stop : request.stops) {
    if (stop.empty()) fail(ErrorKind::usage, "request.stop: expected a text, found an empty one");
  }
  check(sampling_of(request.options), info.vocabulary());
  prompt_tokens(request.prompt, info);
}

std::string text_file(const std::vector<TextSample>& samples, const TextRequest& request,
                      bool lines) {
  std::string all;
  for (const TextSample& sample : samples) {
    if (samples.size() > 1 && !lines) all += concat("---- ", sample.number, "\n");
    all += request.prompt + sample.text + "\n";
  }
  return all;
}

Json to_json(const TextRequest& request) {
  Json json{{"write", "texts"},
            {"first", request.first},
            {"count", request.count},
            {"length", request.length},
            {"weights", request.weights == WeightFormat::int8 ? "int8" : "float32"},
            {"options", request.options}};
  const bool stops = std::ranges::all_of(request.stops, is_utf8);
  if (is_utf8(request.prompt) && stops) {
    json["prompt"] = request.prompt;
    json["stops"] = request.stops;
  } else {
    json["prompt_sha256"] = sha256(request.prompt);
  }
  return json;
}

TextRequest text_request_from_json(const Json& json) {
  return {.first = json.at("first"),
          .count = json.at("count"),
          .prompt = json.at("prompt"),
          .length = json.at("length"),
          .stops = json.at("stops"),
          .weights = json.at("weights") == "int8" ? WeightFormat::int8 : WeightFormat::float32,
          .options = json.at("options")};
}

std::vector<int32_t> prompt_tokens(const std::string& prompt, const DataInfo& info) {
  if (info.tokenizer->changes() && prompt.empty()) {
    fail(ErrorKind::usage,
         "request.prompt: a series goes on from values; give a file, as "
         "@series.csv");
  }
  std::vector<int32_t> tokens;
  const int32_t end = info.tokenizer->end_token();  // of the text before
  if (!info.lines && prompt.empty() && end >= 0) {
    tokens.push_back(end);
  } else if (info.lines || prompt.empty()) {
    tokens.push_back(start_token(*info.tokenizer));
  }
  const auto said = info.tokenizer->encode(prompt);
  tokens.insert(tokens.end(), said.begin(), said.end());
  if (info.lines && static_cast<int64_t>(tokens.size()) > info.context) {
    fail(ErrorKind::usage, "request.prompt: ", said.size(), " tokens; lines have at most ",
         info.context - 1, " of '", info.source, "'");
  }
  return tokens;
}

std::vector<TextSample> generate_texts(Model& model, const TextRequest& request,
                                       const DataInfo& info, const WatchText& watch) {
  check_request(request, info);
  const int64_t streams = std::min(request.count, kStreams);
  const auto decoder = writing(model).decoder(streams, request.weights, at::get_num_threads());
  Writers writers(*decoder, request, info);
  std::vector<TextSample> samples;
  for (int64_t done = 0; done < request.count; done += streams) {
    for (TextSample& sample :
         writers.write(request.first + done, std::min(streams, request.count - done), watch)) {
      samples.push_back(std::move(sample));
    }
  }
  return samples;
}

std::vector<NextCandidates> next_tokens(Model& model, const TextRequest& request,
                                        const DataInfo& info,
                                        const std::vector<double>& temperatures) {
  check_request(request, info);
  const auto decoder = writing(model).decoder(1, request.weights, at::get_num_threads());
  auto tokens = prompt_tokens(request.prompt, info);
  if (decoder->context() > 0 && static_cast<int64_t>(tokens.size()) > decoder->context()) {
    tokens.erase(tokens.begin(), tokens.end() - decoder->context());
  }
  std::vector<Decoder::Row> rows;
  for (const int32_t token : tokens) rows.push_back({0, token});
  std::vector<float> logits(static_cast<size_t>(info.vocabulary()));
  decoder->read_last(rows, logits);
  std::vector<NextCandidates> all;
  for (const double temperature : temperatures) {
    TokenSampling sampling = sampling_of(request.options);
    sampling.temperature = temperature;
    TokenSampler sampler(sampling, info.vocabulary());
    const auto found = sampler.candidates(logits, tokens);
    all.push_back({.temperature = temperature, .candidates = {found.begin(), found.end()}});
  }
  return all;
}

}  // namespace genai
