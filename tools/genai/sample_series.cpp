#include <iostream>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/png.h"
#include "genai/data/series.h"
#include "genai/generation/forecast.h"
#include "output.h"
#include "sample_text.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

constexpr double kShown[] = {0.05, 0.25, 0.5, 0.75, 0.95};
constexpr size_t kShownSteps = 12;

/// What the paths say at up to twelve steps, the last one among them.
std::string quantiles_table(const Forecast& fan) {
  std::vector<std::vector<std::string>> rows{{"step", "5 %", "25 %", "median", "75 %", "95 %"}};
  std::vector<std::vector<double>> columns;
  for (const double q : kShown) columns.push_back(fan.quantiles(q));
  const size_t lines = std::min(kShownSteps, fan.steps());
  for (size_t line = 1; line <= lines; ++line) {
    const size_t step = line * fan.steps() / lines;
    rows.push_back({concat("+", step)});
    for (const auto& column : columns) rows.back().push_back(number_text(column[step - 1], 5));
  }
  return table(rows);
}

}  // namespace

int sample_series(const TextJob& job) {
  const DataInfo& info = job.manifest.data;
  if (!job.text.stops.empty() || job.text.interactive) {
    fail(ErrorKind::usage, "--stop and --interactive are for texts; this run forecasts a series");
  }
  TextRequest request{.first = job.first,
                      .count = job.count,
                      .prompt = job.text.prompt_text(),
                      .length = job.text.length,
                      .stops = {},
                      .weights = weight_format(job.text.weights),
                      .options = job.sampling};
  check_request(request, info);
  std::vector<std::string> notes;
  ColumnRequest reading = info.tokenizer->changes()->request();
  reading.notes = &notes;
  const auto past = read_column(request.prompt, "--prompt", reading);
  for (const std::string& note : notes) say("note: " + note);
  const Json usual =
      usual_sampling(info).resolve({{"sampling", token_sampling_fields()}})["sampling"];
  const std::string words =
      concat("step-", job.manifest.step, "-forecast-", request.length, "-seed-", request.first,
             "-n", request.count, options_name(request.options, usual));
  const fs::path picture = !job.out.empty()
                               ? fs::path(job.out)
                               : run_output(job.reference.folder, request_name(words) + ".png");
  if (job.out == "-" || picture.extension() != ".png") {
    fail(ErrorKind::usage, "--out: expected the name of a PNG (the numbers go beside it, as CSV), ",
         "found '", job.out, "'");
  }
  const fs::path numbers = fs::path(picture).replace_extension(".csv");
  check_writable(picture, ".png");
  check_writable(numbers, ".csv");
  if (job.metadata) check_sidecar(numbers);
  job.compute.resolve(job.manifest.numerics.threads);
  const LoadedModel loaded = load_model(job.reference, job.checkpoint, at::kCPU);
  loaded.as<NextToken>("sample");
  const Forecast fan = forecast(*loaded.model, request, past, info);
  const Image drawn = draw_forecast(fan);
  const Json made = {{"forecast", request.length},
                     {"first", request.first},
                     {"count", request.count},
                     {"past_sha256", sha256(request.prompt)},
                     {"options", request.options}};
  const std::string table = forecast_csv(fan);
  write_output(numbers, table);
  if (job.metadata) write_sidecar(numbers, table, made_by(loaded, made));
  write_output(picture, job.metadata
                            ? encode_png(drawn, provenance(loaded, made, drawn, Origin::mixed))
                            : encode_png(drawn));
  if (job.json) {
    Json json{{"files", {picture.string(), numbers.string()}},
              {"run", job.reference.folder.string()},
              {"step", job.manifest.step},
              {"weights_sha256", job.manifest.weights_sha256()},
              {"first", request.first},
              {"count", request.count},
              {"options", request.options},
              {"last", past.back()}};
    for (const double q : kShown) json["quantiles"][number_text(q)] = fan.quantiles(q);
    print_json(json);
  } else {
    std::cout << quantiles_table(fan) << picture.string() << "\n" << numbers.string() << "\n";
  }
  return 0;
}

}  // namespace genai::tool
