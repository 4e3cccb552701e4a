// From a request to texts, the same text of a number whatever else is asked for beside it.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "genai/decode/decoder.h"
#include "genai/run/load_model.h"
#include "genai/sampling/tokens.h"

namespace genai {

/// Token i of sample k depends on the weights, the prompt and the random number (k, i) alone.
struct TextRequest {
  int64_t first = 0;  ///< number of the first sample ("seed")
  int64_t count = 1;
  std::string prompt;    ///< what the texts go on from; empty: the beginning of a line, or
                         ///< of a text where the tokenizer has an end of texts
  int64_t length = 500;  ///< tokens written, at most
  std::vector<std::string> stops;  ///< a text ends before what comes first of these
  WeightFormat weights = WeightFormat::float32;
  Json options = Json::object();  ///< fields of token_sampling_fields()
};

struct TextSample {
  int64_t number = 0;
  std::string text;                      ///< without the prompt
  std::vector<int32_t> tokens;           ///< of the text and, where it ended so, of its end
  std::vector<float> log_probabilities;  ///< of each, by the model alone, before any filter
  std::string end;  ///< why: "length", "stop", "line", or "end" (the tokenizer's)
};

/// Is told each piece of a text as soon as it is certain: all pieces together are the text.
/// Returns whether to go on.
using WatchText = std::function<bool(const TextSample& sample, std::string_view piece)>;

/// Throws Error{usage} for a count or length out of range, an empty stop, sampling options that are
/// wrong, a series without a prompt; Error{data} for a prompt that the tokenizer does not know.
void check_request(const TextRequest& request, const DataInfo& info);

/// The texts in the order of their numbers. Of models of lines each is one line. When the context
/// of a transformer is full, its second half is read again as a beginning, and the text goes on.
/// Throws what check_request throws; Error{usage} for a family that does not write texts.
std::vector<TextSample> generate_texts(Model& model, const TextRequest& request,
                                       const DataInfo& info, const WatchText& watch = {});

/// The file of these texts: prompt and text of each, a line end behind it; several running texts
/// have a line "---- NUMBER" before each.
std::string text_file(const std::vector<TextSample>& samples, const TextRequest& request,
                      bool lines);

/// What makes the same texts again: the request of their provenance. A prompt that is no UTF-8 is
/// told by its hash alone.
Json to_json(const TextRequest& request);
/// The reverse. Throws Json::exception where it is none of ours.
TextRequest text_request_from_json(const Json& json);

/// Tokens that a text begins with: the start, where there is no prompt or it begins a line, and the
/// prompt.
std::vector<int32_t> prompt_tokens(const std::string& prompt, const DataInfo& info);

/// What may come next, most likely first.
struct NextCandidates {
  double temperature;
  std::vector<TokenSampler::Candidate> candidates;
};
/// After `prompt`, at each of the temperatures, other options as in `request`.
std::vector<NextCandidates> next_tokens(Model& model, const TextRequest& request,
                                        const DataInfo& info,
                                        const std::vector<double>& temperatures);

}  // namespace genai
