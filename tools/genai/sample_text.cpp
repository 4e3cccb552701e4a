#include "sample_text.h"

#include <unistd.h>

#include <chrono>
#include <iostream>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/signals.h"
#include "genai/data/unicode.h"
#include "genai/generation/text.h"
#include "output.h"

namespace genai::tool {
namespace {

constexpr uint64_t kMaxPrompt = 1 << 24;

const EnumNames<WeightFormat> kWeightFormatNames = {{WeightFormat::float32, "float32"},
                                                    {WeightFormat::int8, "int8"}};

Json to_json(const TextSample& sample, const DataInfo& info) {
  Json tokens = Json::array();
  for (size_t i = 0; i < sample.tokens.size(); ++i) {
    tokens.push_back({{"id", sample.tokens[i]},
                      {"text", valid_utf8(info.tokenizer->token(sample.tokens[i]))},
                      {"log_probability", sample.log_probabilities[i]}});
  }
  return {{"number", sample.number}, {"text", valid_utf8(sample.text)}, {"end", sample.end},
          {"tokens", tokens}};
}

/// Reads prompts, a line each, and answers them, until the end of the input.
int converse(const TextJob& job, const LoadedModel& loaded, TextRequest request) {
  const bool terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
  if (terminal) say("a line is a prompt; Ctrl-D ends");
  for (std::string line;;) {
    if (terminal) std::cerr << "> " << std::flush;
    if (!std::getline(std::cin, line) || stop_signal()) break;
    request.prompt = request.prompt.empty() ? line : request.prompt + line;
    try {
      const auto samples = generate_texts(
          *loaded.model, request, job.manifest.data,
          [&](const TextSample&, std::string_view piece) {
            if (!job.json) std::cout << piece << std::flush;
            return !stop_signal();
          });
      for (const TextSample& sample : samples) {
        if (job.json) print_json(to_json(sample, job.manifest.data));
      }
      if (!job.json) std::cout << "\n" << std::flush;
    } catch (const Error& error) {
      // A character that the model never saw: the next line may do.
      if (error.kind() != ErrorKind::data) throw;
      say(std::string("error: ") + error.what());
    }
    request.prompt = job.text.prompt_text();
    request.first += request.count;
  }
  return 0;
}

}  // namespace

WeightFormat weight_format(const std::string& name) {
  for (const auto& [value, known] : kWeightFormatNames) {
    if (known == name) return value;
  }
  fail(ErrorKind::usage, "--weights: expected float32 or int8, found '", name, "'");
}

void add_weights_option(CLI::App& app, std::string& weights) {
  app.add_option("--weights", weights, "texts, series: number format of the weights (float32)")
      ->type_name("float32|int8")
      ->check(CLI::IsMember({"float32", "int8"}));
}

void TextOptions::add(Command& command) {
  CLI::App& app = command.app;
  app.add_option("--prompt", prompt,
                 "what to go on from: a text, or @FILE for what is in it (of series: CSV)")
      ->type_name("TEXT|@FILE");
  app.add_option("--length", length, "tokens at most (500), or values of a forecast (50)")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000'000));
  app.add_option("--stop", stops, "texts: end before this text; may be given several times")
      ->type_name("TEXT");
  add_weights_option(app, weights);
  app.add_flag("--interactive", interactive, "texts: each line of the input is a prompt");
}

void TextOptions::refuse(const Command& command) {
  for (const char* option : {"--prompt", "--length", "--stop", "--weights", "--interactive"}) {
    if (command.app.count(option) > 0) {
      fail(ErrorKind::usage, option, ": is for models of text and series; this run makes pictures");
    }
  }
}

std::string TextOptions::prompt_text() const {
  if (!prompt.starts_with('@')) return prompt;
  std::string text = read_file(prompt.substr(1), kMaxPrompt);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

int sample_texts(const TextJob& job) {
  const DataInfo& info = job.manifest.data;
  TextRequest request{.first = job.first,
                      .count = job.count,
                      .prompt = job.text.prompt_text(),
                      .length = job.text.length,
                      .stops = job.text.stops,
                      .weights = weight_format(job.text.weights),
                      .options = job.sampling};
  check_request(request, info);
  const bool to_file = !job.out.empty() && job.out != "-";
  if (to_file) check_writable(job.out);
  job.compute.resolve(job.manifest.numerics.threads);
  // Texts are written on the CPU, wherever the model was trained.
  const LoadedModel loaded = load_model(job.reference, at::kCPU);
  loaded.as<NextToken>("sample");
  if (job.text.interactive) return converse(job, loaded, request);

  const bool stream = job.count == 1 && !to_file && !job.json;
  const auto start = std::chrono::steady_clock::now();
  if (stream) std::cout << request.prompt << std::flush;
  const auto samples = generate_texts(
      *loaded.model, request, info, [&](const TextSample&, std::string_view piece) {
        if (stream) std::cout << piece << std::flush;
        return !stop_signal();
      });
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  size_t tokens = 0;
  std::string all;
  for (const TextSample& sample : samples) {
    tokens += sample.tokens.size();
    if (job.json) {
      Json line = to_json(sample, info);
      line["prompt"] = valid_utf8(request.prompt);
      line["weights_sha256"] = job.manifest.weights_sha256();
      all += line.dump() + "\n";
    } else {
      if (samples.size() > 1 && !info.lines) all += concat("---- ", sample.number, "\n");
      all += request.prompt + sample.text + "\n";
    }
  }
  if (to_file) {
    write_file(job.out, all);
    std::cout << job.out << "\n";
  } else {
    std::cout << (stream ? "\n" : all) << std::flush;
  }
  say(concat(tokens, " tokens in ", duration_text(seconds), ", ",
             number_text(static_cast<double>(tokens) / std::max(1e-9, seconds), 3), " a second"));
  const int signal = stop_signal();
  return signal ? 128 + signal : 0;
}

}  // namespace genai::tool
