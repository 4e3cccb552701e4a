#include <iostream>

#include "genai/base/error.h"
#include "genai/base/terminal.h"
#include "genai/base/text.h"
#include "genai/data/unicode.h"
#include "genai/generation/text_samples.h"
#include "sample_text.h"
#include "show.h"

namespace genai::tool {
namespace {

/// Sharper than the model, as it says itself, flatter.
const std::vector<double> kTemperatures = {0.5, 1, 1.5};
constexpr int kBarWidth = 14;

}  // namespace

int show_next(const Show& show) {
  for (const char* option : {"--format", "--out", "--scale", "--class", "--metadata"}) {
    if (show.given(option)) fail(ErrorKind::usage, option, ": next is text, not a picture");
  }
  const LoadedModel loaded = show.load();
  const DataInfo& info = loaded.manifest.data;
  TextOptions text;
  text.prompt = show.options.prompt;
  const TextRequest request{.prompt = text.prompt_text(), .options = show.sampling};
  std::vector<double> temperatures = kTemperatures;
  if (show.given("--temperature")) temperatures = {show.sampling.at("temperature").get<double>()};
  const auto found = next_tokens(*loaded.model, request, info, temperatures);
  if (show.options.json) {
    Json all = Json::array();
    for (const NextCandidates& next : found) {
      Json candidates = Json::array();
      for (const auto& candidate : next.candidates) {
        candidates.push_back({{"id", candidate.token},
                              {"text", valid_utf8(info.tokenizer->token(candidate.token))},
                              {"probability", candidate.probability}});
      }
      all.push_back({{"temperature", next.temperature}, {"candidates", candidates}});
    }
    print_json({{"prompt", valid_utf8(request.prompt)}, {"next", all}});
    return 0;
  }
  // Of a series the last line tells where it stands.
  const std::string& prompt = request.prompt;
  const size_t from = info.modality == &series_modality() ? prompt.rfind('\n') + 1 : 0;
  std::cout << "after " << visible_text(prompt.empty() ? "\n" : prompt.substr(from)) << "\n";
  std::vector<std::string> heads{"next"};
  for (const NextCandidates& next : found) {
    heads.push_back("temperature " + number_text(next.temperature, 3));
  }
  std::vector<std::vector<std::string>> rows{heads};
  // In the order of the model itself: that of any temperature, unless a filter cuts the end off.
  const auto& longest = found.back().candidates;
  for (size_t i = 0; i < longest.size() && static_cast<int64_t>(i) < show.options.top; ++i) {
    rows.push_back({visible_text(info.tokenizer->token(longest[i].token))});
    for (const NextCandidates& next : found) {
      double p = 0;
      for (const auto& candidate : next.candidates) {
        if (candidate.token == longest[i].token) p = candidate.probability;
      }
      rows.back().push_back(
          concat(padded(bar(p, kBarWidth), kBarWidth + 1), number_text(100 * p, 3), " %"));
    }
  }
  std::cout << table(rows);
  return 0;
}

}  // namespace genai::tool
