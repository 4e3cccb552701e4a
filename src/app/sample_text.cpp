#include <algorithm>
#include <chrono>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/base/text.h"
#include "genai/data/series.h"
#include "genai/data/text_file.h"
#include "genai/data/unicode.h"
#include "genai/generation/forecast.h"
#include "items-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// Of a series, when nobody says.
constexpr int64_t kForecastPaths = 200, kForecastLength = 50;
constexpr double kToldQuantiles[] = {0.05, 0.25, 0.5, 0.75, 0.95};

void refuse_picture_options(const SampleWork& work) {
  refuse_given(work.given, {"class", "condition", "frames", "grid", "scale", "separate"},
               "is for pictures; this run writes texts");
}

TextRequest text_request(const SampleWork& work, int64_t usual_count, int64_t length) {
  const SampleRequest& asked = work.request;
  std::vector<std::string> stops;
  for (const std::string& stop : asked.stop) {
    stops.push_back(plain_text(unescaped(stop), "request.stop"));
  }
  TextRequest request{.first = asked.seed,
                      .count = work.counted() ? asked.count : usual_count,
                      .prompt = prompt_text(asked.prompt),
                      .length = length,
                      .stops = stops,
                      .weights = asked.weights,
                      .options = work.run.options};
  check_request(request, work.run.info());
  return request;
}

Json sample_json(const TextSample& sample, const DataInfo& info) {
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

/// Answers lines until there are no more. One that has no answer does not end it.
Json converse(const SampleWork& work, const LoadedModel& loaded, TextRequest request) {
  JobEvents& events = work.context.events;
  const std::string begin = request.prompt;
  Json refused = Json::array();
  while (std::optional<std::string> line = events.next_line()) {
    if (line->ends_with('\r')) line->pop_back();
    try {
      request.prompt = begin + plain_text(*line, "the input");
      const auto samples = generate_texts(*loaded.model, request, work.run.info(),
                                          [&](const TextSample&, std::string_view piece) {
                                            events.piece(piece);
                                            return !events.cancelled();
                                          });
      for (const TextSample& sample : samples) {
        events.found(sample_json(sample, work.run.info()));
      }
    } catch (const Error& error) {
      // A character that the model never saw, too long a line: the next one may do.
      if (error.kind() != ErrorKind::data && error.kind() != ErrorKind::usage) throw;
      refused.push_back({{"prompt", valid_utf8(*line)}, {"error", error.what()}});
      events.found(refused.back());
      refused.back()["exit_code"] = static_cast<int>(error.kind());
    }
    request.first += request.count;
    if (events.cancelled()) break;
  }
  return {{"refused", refused}};
}

/// Tells pieces as they come where they are one text and no file is to be written.
std::vector<TextSample> write_texts(const SampleWork& work, const LoadedModel& loaded,
                                    const TextRequest& request, bool to_file, double& seconds) {
  JobEvents& events = work.context.events;
  const bool streamed = request.count == 1 && !to_file;
  const auto start = std::chrono::steady_clock::now();
  if (!to_file) events.piece(streamed ? request.prompt : "");
  auto samples = generate_texts(*loaded.model, request, work.run.info(),
                                [&](const TextSample&, std::string_view piece) {
                                  if (streamed) events.piece(piece);
                                  work.context.check_wanted();
                                  return true;
                                });
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return samples;
}

/// Of each sample what it is; of a file also how it was made.
Json samples_json(const std::vector<TextSample>& samples, const SampleWork& work,
                  const TextRequest& request, const Json& made) {
  Json all = Json::array();
  for (const TextSample& sample : samples) {
    Json one = sample_json(sample, work.run.info());
    one["prompt"] = valid_utf8(request.prompt);
    one["weights_sha256"] = work.run.manifest().weights_sha256();
    if (!made.is_null()) one["made"] = made;
    all.push_back(std::move(one));
  }
  return all;
}

/// The values that a series goes on from.
std::vector<double> read_past(const SampleWork& work, const TextRequest& request) {
  std::vector<std::string> notes;
  ColumnRequest reading = work.run.info().tokenizer->changes()->request();
  reading.notes = &notes;
  auto past = read_column(request.prompt, "request.prompt", reading);
  for (const std::string& note : notes) work.context.events.noted("note: " + note);
  return past;
}

/// Of the picture; its numbers go beside it.
fs::path forecast_file(const SampleWork& work, const TextRequest& request) {
  const std::string& out = work.request.out;
  const std::string words =
      concat("step-", work.run.manifest().step, "-forecast-", request.length, "-seed-",
             request.first, "-n", request.count, options_name(request.options, work.run.usual));
  const fs::path picture =
      !out.empty() ? fs::path(out)
                   : run_output(work.run.reference.folder, request_name(words) + ".png");
  if (out == "-" || picture.extension() != ".png") {
    fail(ErrorKind::usage,
         "request.out: expected the name of a PNG (the numbers go beside it, as CSV), ", "found '",
         out, "'");
  }
  return picture;
}

}  // namespace

Json sample_texts(const SampleWork& work) {
  refuse_picture_options(work);
  const RunRequest& run = work.run;
  const SampleRequest& asked = work.request;
  const TextRequest request = text_request(work, run.info().lines ? asked.count : 1, asked.length);
  const bool to_file = !asked.out.empty() && asked.out != "-";
  const bool as_json = to_file && fs::path(asked.out).extension() == ".json";
  const bool beside = to_file && asked.metadata == Metadata::full && !as_json;
  if (to_file) check_writable(asked.out, as_json ? ".json" : ".txt");
  if (beside) check_sidecar(asked.out);
  const LoadedModel loaded = run.load_writer(work.context);
  loaded.as<NextToken>("sample");
  if (asked.interactive) return converse(work, loaded, request);

  double seconds = 0;
  const auto samples = write_texts(work, loaded, request, to_file, seconds);
  const Json made =
      to_file && asked.metadata == Metadata::full ? made_by(loaded, to_json(request)) : Json();
  const std::string text = text_file(samples, request, run.info().lines);
  Json told = samples_json(samples, work, request, as_json ? made : Json());
  if (to_file) {
    // One text is an object, several are a list.
    const std::string bytes = as_json ? (samples.size() == 1 ? told[0] : told).dump() + "\n" : text;
    deliver_file(asked.out, bytes, work.context);
    if (beside) write_sidecar(asked.out, bytes, made);
  }
  return {{"files", to_file ? Json::array({asked.out}) : Json::array()},
          {"samples", told},
          {"text", text},
          {"seconds", seconds},
          {"streamed", request.count == 1 && !to_file}};
}

Json sample_series(const SampleWork& work) {
  refuse_picture_options(work);
  refuse_given(work.given, {"stop", "interactive"}, "is for texts; this run forecasts a series");
  const RunRequest& run = work.run;
  const SampleRequest& asked = work.request;
  const DataInfo& info = run.info();
  const bool usual_length = !work.given.find("request.length");
  const TextRequest request =
      text_request(work, kForecastPaths, usual_length ? kForecastLength : asked.length);
  const auto past = read_past(work, request);
  const fs::path picture = forecast_file(work, request);
  const fs::path numbers = fs::path(picture).replace_extension(".csv");
  const bool metadata = asked.metadata == Metadata::full;
  check_writable(picture, ".png");
  check_writable(numbers, ".csv");
  if (metadata) check_sidecar(numbers);
  const LoadedModel loaded = run.load_writer(work.context);
  loaded.as<NextToken>("sample");
  const Forecast fan =
      forecast(*loaded.model, request, past, info, [&] { work.context.check_wanted(); });
  const Image drawn = draw_forecast(fan);
  const Json made = {{"forecast", request.length},
                     {"first", request.first},
                     {"count", request.count},
                     {"past_sha256", sha256(request.prompt)},
                     {"options", request.options}};
  const std::string table = forecast_csv(fan);
  deliver_file(numbers, table, work.context);
  if (metadata) write_sidecar(numbers, table, made_by(loaded, made));
  deliver_file(picture,
               metadata ? encode_png(drawn, provenance(loaded, made, drawn, Origin::mixed))
                        : encode_png(drawn),
               work.context);
  Json result{{"files", {picture.string(), numbers.string()}},
              {"run", run.reference.folder.string()},
              {"step", run.manifest().step},
              {"weights_sha256", run.manifest().weights_sha256()},
              {"first", request.first},
              {"count", request.count},
              {"options", request.options},
              {"last", past.back()}};
  for (const double q : kToldQuantiles) result["quantiles"][number_text(q)] = fan.quantiles(q);
  return result;
}

}  // namespace genai
