#include "sample_text.h"

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <iostream>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/log.h"
#include "genai/base/signals.h"
#include "genai/base/terminal.h"
#include "genai/base/text.h"
#include "genai/data/text_file.h"
#include "genai/data/unicode.h"
#include "genai/generation/generate.h"
#include "genai/generation/text_samples.h"
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
  return {{"number", sample.number},
          {"text", valid_utf8(sample.text)},
          {"end", sample.end},
          {"tokens", tokens}};
}

/// Whether to go on: nobody asked to stop, and somebody reads.
bool wanted() {
  pollfd output{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  const bool gone = ::poll(&output, 1, 0) > 0 && (output.revents & POLLERR) != 0;
  if (gone) std::cout.setstate(std::ios::badbit);
  return !stop_signal() && std::cout.good();
}

/// "\n", "\t" and "\\" as a line end, a tab and a backslash; any other backslash is one.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    plain += next == 'n' ? '\n' : next == 't' ? '\t' : text[i];
    if (next == 'n' || next == 't' || next == '\\') ++i;
  }
  return plain;
}

/// A model may have learned control characters: raw into files and pipes alone.
std::string shown(std::string_view text) {
  return is_terminal(STDOUT_FILENO) ? inert(text, /*keep_lines=*/true) : std::string(text);
}

/// Reads prompts, a line each, and answers them, until the end of the input. A prompt that has no
/// answer does not end it, but is told by the exit code where nobody sits at the other end.
int converse(const TextJob& job, const LoadedModel& loaded, TextRequest request) {
  const bool terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
  if (terminal) say("a line is a prompt; Ctrl-D ends");
  const std::string begin = request.prompt;
  int code = 0;
  for (std::string line;;) {
    if (terminal) std::cerr << "> " << std::flush;
    if (!wanted() || !std::getline(std::cin, line)) break;
    if (line.ends_with('\r')) line.pop_back();
    try {
      line = plain_text(line, "the input");
      request.prompt = begin + line;
      const auto samples = generate_texts(*loaded.model, request, job.manifest.data,
                                          [&](const TextSample&, std::string_view piece) {
                                            if (!job.json) std::cout << shown(piece) << std::flush;
                                            return wanted();
                                          });
      for (const TextSample& sample : samples) {
        if (job.json) print_json(to_json(sample, job.manifest.data));
      }
      if (!job.json) std::cout << "\n" << std::flush;
    } catch (const Error& error) {
      // A character that the model never saw, too long a line: the next one may do.
      if (error.kind() != ErrorKind::data && error.kind() != ErrorKind::usage) throw;
      log_error(error.what());
      if (job.json) print_json({{"prompt", valid_utf8(line)}, {"error", error.what()}});
      if (!terminal) code = static_cast<int>(error.kind());
    }
    request.first += request.count;
  }
  return code;
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
  app.add_option(
         "--prompt", prompt,
         "what to go on from: a text (\\n, \\t and \\\\ are a line end, a tab, a backslash), or "
         "@FILE for what is in it (of series: CSV); @@ begins a text with @")
      ->type_name("TEXT|@FILE");
  app.add_option("--length", length, "tokens at most (500), or values of a forecast (50)")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000'000));
  app.add_option("--stop", stops,
                 "texts: end before this text (\\n as in --prompt); may be given several times")
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
  if (!prompt.starts_with('@')) return plain_text(unescaped(prompt), "--prompt");
  if (prompt.starts_with("@@")) return plain_text(unescaped(prompt.substr(1)), "--prompt");
  const std::string file = prompt.substr(1);
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    fail(ErrorKind::data, "--prompt: no such file '", file,
         "'; a text that begins with @ is given ", "as @", prompt);
  }
  std::string text = plain_text(read_input(file, kMaxPrompt), file);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::vector<std::string> TextOptions::stop_texts() const {
  std::vector<std::string> texts;
  for (const std::string& stop : stops) texts.push_back(plain_text(unescaped(stop), "--stop"));
  return texts;
}

int sample_texts(const TextJob& job) {
  const DataInfo& info = job.manifest.data;
  TextRequest request{.first = job.first,
                      .count = job.count,
                      .prompt = job.text.prompt_text(),
                      .length = job.text.length,
                      .stops = job.text.stop_texts(),
                      .weights = weight_format(job.text.weights),
                      .options = job.sampling};
  check_request(request, info);
  const bool to_file = !job.out.empty() && job.out != "-";
  if (to_file) check_writable(job.out, job.json ? ".json" : ".txt");
  const bool beside = to_file && job.metadata && !job.json;
  if (beside) check_sidecar(job.out);
  job.compute.resolve(job.manifest.numerics.threads);
  // Texts are written on the CPU, wherever the model was trained.
  const LoadedModel loaded = load_model(job.reference, job.checkpoint, at::kCPU);
  loaded.as<NextToken>("sample");
  if (job.text.interactive) return converse(job, loaded, request);

  const bool stream = job.count == 1 && !to_file && !job.json;
  const auto start = std::chrono::steady_clock::now();
  if (stream) std::cout << shown(request.prompt) << std::flush;
  const auto samples =
      generate_texts(*loaded.model, request, info, [&](const TextSample&, std::string_view piece) {
        if (stream) std::cout << shown(piece) << std::flush;
        return to_file ? !stop_signal() : wanted();
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
      if (to_file && job.metadata) line["made"] = made_by(loaded, to_json(request));
      all += (all.empty() ? "" : ",\n") + line.dump();
    }
  }
  if (!job.json) all = text_file(samples, request, info.lines);
  // One text is an object, several are a list.
  if (job.json) all = samples.size() == 1 ? all + "\n" : "[" + all + "]\n";
  if (to_file) {
    write_output(job.out, all);
    if (beside) write_sidecar(job.out, all, made_by(loaded, to_json(request)));
    std::cout << job.out << "\n";
  } else {
    std::cout << (stream ? "\n" : shown(all)) << std::flush;
  }
  say(concat(tokens, " tokens in ", duration_text(seconds), ", ",
             number_text(static_cast<double>(tokens) / std::max(1e-9, seconds), 3), " a second"));
  const int signal = stop_signal();
  return signal ? 128 + signal : 0;
}

}  // namespace genai::tool
