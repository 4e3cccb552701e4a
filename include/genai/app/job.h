// Jobs: what the verbs do. A checked request goes in; files, events and a result come out. A job
// prints nothing, ends no process and owns none of its globals, so that jobs run beside each other;
// it is cancelled at any moment and leaves nothing half-written.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "genai/base/settings.h"
#include "genai/evaluation/extractor.h"
#include "genai/generation/path.h"
#include "genai/training/observer.h"

namespace genai {

/// What a job tells while it runs: of trainings as a TrainObserver, of everything `warned`. Asked
/// between two parts of the work, stop_requested ends it: a training is saved first.
class JobEvents : public TrainObserver {
 public:
  /// A line for people: what was found, decided or done.
  virtual void noted(const std::string&) {}
  /// What is being done, and the share of it that is done, 0 to 1.
  virtual void stage(const std::string& /*what*/, double /*done*/) {}
  /// Pictures of what was made or looked at, one an item.
  virtual void pictured(const std::vector<Image>&) {}
  /// A frame of a path as it is reached, to be seen for so long.
  virtual void frame(const PathFrame&, PathView, int64_t /*milliseconds*/) {}
  /// A piece of the text that is being written; an empty one where several come at the end.
  virtual void piece(std::string_view) {}
  /// A part of the result, where there are many, as soon as there is one.
  virtual void found(const Json&) {}
  /// A file that is there now.
  virtual void artifact(const std::filesystem::path&) {}
  /// The result itself, where request.out is "-".
  virtual void output(std::string_view /*bytes*/) {}
  /// The next line of a conversation; none ends it.
  virtual std::optional<std::string> next_line() { return std::nullopt; }

  bool cancelled() { return stop_requested() != 0; }
};

/// What a job computes with. The random generator of layers is held while it is drawn from
/// (core/generator.h), threads are those of the thread that the job runs in.
struct Compute {
  std::string device = "auto";
  int64_t threads = 0;  ///< 0: as many as the run was trained with
};

/// All that a job has of the world.
struct JobContext {
  JobEvents& events;
  Compute compute{};
  std::filesystem::path runs;  ///< the folder of the runs
  /// Small files of the user's by their names: a pipe is read once, however often it is asked for.
  std::shared_ptr<std::map<std::string, std::string>> inputs =
      std::make_shared<std::map<std::string, std::string>>();

  /// Throws Cancelled.
  void check_wanted() const;
  /// Tells `stage`; asks whether to go on.
  StageProgress progress() const;
  /// Sets the threads and says what auto chose, where that is no CPU.
  at::Device device(int64_t stored_threads) const;
};

/// What a request may hold: {"request": {...}, "sampling": {...}}.
struct RequestForm {
  std::vector<Section> sections;  ///< "request" first
  Settings usual{};               ///< what holds where it says nothing, before the fields' defaults
};

struct Job {
  std::string name, about;
  /// Of any request: for help.
  std::function<RequestForm()> page;
  /// Of this one: a run's or a preset's. Throws Error where it names none that there is.
  std::function<RequestForm(const Settings& given, const JobContext& context)> form;
  /// Checks the request, all of it at once, and does the work. Returns the result.
  /// Throws Error, Cancelled.
  std::function<Json(const Settings& given, JobContext& context)> run;
};

/// "--latent" of "model.latent": what fields are called as options: the last part of their names
/// where that is unique, else the whole name, in kebab case.
std::map<std::string, std::string> option_names(const std::vector<Section>& sections);
/// A value as it would be typed: "400,200", "0.001", "10".
std::string typed_text(const Json& value);

const std::vector<Job>& jobs();
/// Throws Error{usage} naming those there are.
const Job& find_job(const std::string& name);

/// Runs a job as a front end does that has its request as JSON. The calling thread has its number
/// of threads back afterwards.
Json run_job(const std::string& name, const Json& request, JobContext& context);
Json run_job(const Job& job, const Settings& given, JobContext& context);

}  // namespace genai
