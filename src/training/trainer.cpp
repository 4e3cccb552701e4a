#include "genai/training/trainer.h"

#include <torch/torch.h>

#include <chrono>
#include <cmath>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/core/device.h"
#include "genai/core/generator.h"
#include "genai/data/sequences.h"
#include "genai/models/registry.h"
#include "genai/run/latent_codec.h"
#include "genai/training/averages.h"
#include "genai/training/budget.h"
#include "genai/training/metrics_log.h"
#include "genai/training/step.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// Images that are validated at once.
constexpr int64_t kValidationImages = 500;
/// The least steps between two validations that nobody asked for.
constexpr int64_t kFewSteps = 50;
FileLock lock_run(const fs::path& run) {
  refuse_links(run);
  return FileLock::acquire(run / "lock", "the run " + run.string());
}

class Trainer {
 public:
  Trainer(const TrainRequest& request, TrainObserver& observer);
  TrainResult run();

 private:
  using Clock = std::chrono::steady_clock;

  /// Of its parts: copies those of a new run, and measures what a codec makes of the data.
  void take_parts();
  void build_model();
  void load(const Checkpoint& checkpoint, bool resume);
  void begin();
  /// Of the model on the first test items.
  std::string health();
  /// Throws Error{diverged} after too many updates in a row that were skipped, up to `step`.
  void guard_against_divergence(int64_t step);
  Json validate();
  void take_validation(int64_t step);
  void save(int64_t step);
  void report(int64_t step);
  void fix_steps_of_budget(int64_t done);
  /// Throws Error{failure} when the folder was moved or deleted: it is not made anew in part.
  void check_folder() const;
  /// Is something due after `step` steps that happens every `setting` steps, or with each epoch?
  /// Epochs of few steps count together: a small set is not validated, saved and drawn all the
  /// time.
  bool due(int64_t step, int64_t setting) const {
    if (setting > 0) return step % setting == 0;
    const int64_t images = std::max(request_.data->train.size(), kFewSteps * config_.batch);
    const auto period = [&](int64_t n) { return n * config_.batch / images; };
    return period(step) != period(step - 1);
  }
  double seconds() const {
    return earlier_seconds_ + std::chrono::duration<double>(Clock::now() - start_).count();
  }
  int64_t validation_batch() const {
    const DataInfo seen = model_->inputs().seen(request_.data->info);
    return seen.kind() == ItemKind::sequence ? windows_at_once(seen) : kValidationImages;
  }
  /// The model with the weights that sample, up to date.
  Model& sampling_model();

  const TrainRequest& request_;
  TrainObserver& observer_;
  TrainingConfig config_;
  FileLock lock_;
  Manifest manifest_;
  Numerics numerics_;
  at::Device device_ = at::kCPU;
  std::optional<OwnStream> stream_;

  std::shared_ptr<Codec> codec_;
  std::unique_ptr<Model> model_, average_;  // average_: a twin that views the averaged weights
  std::optional<TrainingStep> step_;
  std::unique_ptr<MetricsLog> log_;
  int64_t told_ = 0;     // steps with skipped updates that the observer was told of
  bool warned_ = false;  // one warning a session
  Clock::time_point start_ = Clock::now();
  double earlier_seconds_ = 0;
  int64_t first_step_ = 0;  // of this session
  double reported_seconds_ = 0;
  double validation_seconds_ = 0;
  std::optional<Budget> budget_;  // of this session
  Json validation_;
};

Trainer::Trainer(const TrainRequest& request, TrainObserver& observer)
    : request_(request),
      observer_(observer),
      config_(
          from_json<TrainingConfig>(training_fields(), request.config.at("training"), "training")),
      lock_(lock_run(request.run)) {
  remove_stale_saves(request.run);
  manifest_.preset = request.preset;
  manifest_.config = request.config;
  manifest_.data = request.data->info;
  manifest_.steps = planned_steps(config_, request.data->train.size());
  if (request.resume) {
    const Manifest& stored = request.resume->manifest;
    numerics_ = stored.numerics;
    if (config_.numerics.device != "auto") numerics_.device = config_.numerics.device;
    const std::string warning = adopt_numerics(numerics_);
    if (!warning.empty()) observer.warned(warning);
    manifest_.kept_sha256 = stored.kept_sha256;
    manifest_.folder = stored.folder;
    manifest_.best_step = stored.best_step;
    manifest_.best_value = stored.best_value;
    if (manifest_.steps == 0) manifest_.steps = stored.steps;  // a budget, measured before
    validation_ = stored.validation;
  } else {
    numerics_ = resolve_numerics(config_.numerics);
    manifest_.folder = fs::proximate(fs::current_path(), request.run).string();
    const Split& test = request.data->test;
    const int64_t kept = std::min(kKeptItems, test.size());
    if (kept > 0 && request.data->info.kind() == ItemKind::grid) {
      manifest_.kept_sha256 = save_kept(request.run, test.first(kept));
    }
  }
  manifest_.numerics = numerics_;
  device_ = numerics_.torch_device();
  stream_.emplace(device_);
  take_parts();
  build_model();
  if (request.resume) load(*request.resume, true);
  if (request.init) load(*request.init, false);
}

void Trainer::take_parts() {
  if (request_.resume) {
    manifest_.parts = request_.resume->manifest.parts;
    codec_ =
        make_codec(request_.family.reads, request_.run,
                   load_parts(request_.run, request_.resume->manifest), manifest_.parts, device_);
    return;
  }
  save_parts(request_.run, request_.parts);
  manifest_.parts = to_json(request_.parts);
  codec_ =
      make_codec(request_.family.reads, request_.run, request_.parts, manifest_.parts, device_);
  if (codec_) manifest_.parts[kCodec].update(codec_->measure(*request_.data));
}

void Trainer::build_model() {
  // LibTorch's own generator makes the initial weights, on the CPU: the same as in Python.
  const LayerGenerator initial_weights(static_cast<uint64_t>(config_.seed));
  const auto make = [&] {
    auto model =
        make_model(request_.family, request_.config.at("model"), request_.data->info, codec_);
    model->module().to(device_);
    return model;
  };
  model_ = make();
  manifest_.objective = model_->objective();
  step_.emplace(*model_, *request_.data, config_, numerics_, request_.world);
  if (config_.ema_half_life > 0) {
    average_ = make();
    for (const FlatParameters& set : step_->sets()) set.share_average(average_->module());
    const auto own = model_->module().named_parameters();
    for (auto& item : average_->module().named_parameters()) {
      const Tensor& held = own[item.key()];
      if (!held.requires_grad()) item.value().set_data(held);
    }
    average_->module().eval();
  }
}

Model& Trainer::sampling_model() {
  if (!average_) return *model_;
  // The twin views the averaged parameters; buffers are not averaged.
  const at::NoGradGuard no_grad;
  const auto buffers = model_->module().named_buffers();
  for (auto& buffer : average_->module().named_buffers()) {
    buffer.value().copy_(buffers[buffer.key()]);
  }
  return *average_;
}

void Trainer::load(const Checkpoint& checkpoint, bool resume) {
  if (!resume) {
    load_initial_weights(model_->module(), checkpoint.weights, checkpoint.folder.string());
    for (FlatParameters& set : step_->sets()) set.reset_average();
    return;
  }
  load_weights(model_->module(), checkpoint.weights, checkpoint.folder.string());
  manifest_.step = checkpoint.manifest.step;
  const std::string file = (checkpoint.folder / "training.safetensors").string();
  for (FlatParameters& set : step_->sets()) set.load(checkpoint.training, file);
  for (auto& [name, tensor] : model_->training_state()) {
    const auto it = checkpoint.training.find("state/" + name);
    if (it == checkpoint.training.end()) fail(ErrorKind::data, file, ": no tensor state/", name);
    tensor.copy_(it->second);
  }
  for (size_t micro = 0; micro < step_->carry().size(); ++micro) {
    const std::string prefix = concat("carry/", micro, "/");
    for (const auto& [name, tensor] : checkpoint.training) {
      if (name.rfind(prefix, 0) == 0) {
        step_->carry()[micro][name.substr(prefix.size())] = tensor.to(device_);
      }
    }
  }
}

TrainResult Trainer::run() {
  begin();
  int signal = 0;
  int64_t step = manifest_.step, saved = step;
  while ((manifest_.steps == 0 || step < manifest_.steps) && !signal) {
    step_->run(step++, manifest_.steps);
    fix_steps_of_budget(step);
    const bool end = step == manifest_.steps;
    const bool validation = end || due(step, config_.validate_every);
    const bool log = end || step % config_.log_every == 0;
    // Of a GPU the host asks no more often than it has to wait for it anyway.
    if (log || device_.is_cpu()) guard_against_divergence(step);
    if (log) report(step);
    if (validation) take_validation(step);
    if (config_.sample_every ? due(step, config_.sample_every) || end : validation) {
      check_folder();
      if (request_.show) request_.show(sampling_model(), *request_.data, device_, step, observer_);
    }
    signal = observer_.stop_requested();
    const bool wanted = observer_.save_requested();
    if (end || signal || wanted ||
        (config_.checkpoint_every ? due(step, config_.checkpoint_every) : validation)) {
      save(step);
      saved = step;
    }
  }
  if (saved != step) save(step);
  return {.step = step,
          .steps = manifest_.steps,
          .signal = step == manifest_.steps ? 0 : signal,
          .seconds = seconds(),
          .validation = validation_,
          .best_step = manifest_.best_step,
          .best_value = manifest_.best_value,
          .health = health()};
}

/// Opens the log, tells what begins, and saves where it begins: even a run that diverges at once
/// leaves something whole.
void Trainer::begin() {
  log_ = std::make_unique<MetricsLog>(request_.run, manifest_.step);
  for (const std::string& line : log_->damaged()) observer_.warned(line + "; it is left out");
  earlier_seconds_ = log_->seconds();
  start_ = Clock::now();
  const DataInfo& info = request_.data->info;
  int64_t parameters = 0;
  for (const auto& parameter : model_->module().parameters()) parameters += parameter.numel();
  observer_.started(
      {.run = request_.run,
       .first_step = manifest_.step,
       .steps = manifest_.steps,
       .steps_per_epoch =
           static_cast<double>(request_.data->train.size()) / static_cast<double>(config_.batch),
       .parameters = parameters,
       .unit = model_->inputs().seen(info).kind() == ItemKind::sequence
                   ? "tokens"
                   : info.modality->items(info),
       .maker = {{"genai", GENAI_VERSION},
                 {"family", request_.family.name},
                 {"preset", request_.preset},
                 {"run", fs::absolute(request_.run).lexically_normal().filename().string()},
                 {"numerics", to_json(numerics_)}},
       .numerics = numerics_});
  if (!request_.resume) {
    take_validation(0);
    save(0);
  }
  first_step_ = manifest_.step;
  reported_seconds_ = seconds();
}

std::string Trainer::health() {
  const int64_t items = std::min(validation_batch(), request_.data->test.size());
  if (items <= 1) return "";
  const at::NoGradGuard no_grad;
  sampling_model().module().eval();
  return sampling_model().health(
      items_batch(request_.data->test, request_.data->info, 0, items, device_, model_->inputs()));
}

void Trainer::guard_against_divergence(int64_t step) {
  const auto [in_a_row, in_all] = step_->skipped();
  const int64_t new_ones = in_all - std::exchange(told_, in_all);
  if (new_ones > 0 && in_a_row <= new_ones) {
    observer_.warned(
        device_.is_cpu()
            ? concat("the gradient of step ", step, " was not finite; this update is skipped")
            : concat("the gradient was not finite in ", new_ones, " steps up to ", step,
                     "; these updates are skipped"));
  }
  if (in_a_row < kMaxSkipped) return;
  fail(ErrorKind::diverged, "training diverged: the gradient was not finite in ", in_a_row,
       " updates up to step ", step, "; the checkpoint of step ", manifest_.step,
       " is kept. Try a lower training.learning_rate (now ", config_.learning_rate,
       "), training.warmup or training.clip_norm 1");
}

Json Trainer::validate() {
  const Dataset& data = *request_.data;
  if (data.test.size() == 0) return nullptr;
  const at::NoGradGuard no_grad;
  Model& model = sampling_model();
  model.module().eval();
  Averages averages;
  const int64_t most = validation_batch();
  for (int64_t first = 0; first < data.test.size(); first += most) {
    const int64_t count = std::min(most, data.test.size() - first);
    const Batch batch = items_batch(data.test, data.info, first, count, device_, model.inputs());
    Draw draw(0, "validate", batch.sample_ids, device_);
    averages.add(model.validate(batch, draw), at::full({}, batch.weight, at::kDouble),
                 batch.counts);
  }
  return averages.take();
}

void Trainer::take_validation(int64_t step) {
  const double before = seconds();
  validation_ = validate();
  validation_seconds_ = seconds() - before;
  if (validation_.is_null()) return;
  const double value = validation_.at(manifest_.objective);
  if (!std::isfinite(value)) {
    fail(ErrorKind::diverged, "training diverged: ", manifest_.objective, " on the test data is ",
         value, " after step ", step, "; the checkpoint of step ", manifest_.step,
         " is kept. Try a lower training.learning_rate (now ", config_.learning_rate, ")");
  }
  check_folder();
  const bool best = manifest_.best_step < 0 || value < manifest_.best_value;
  if (best) {
    manifest_.best_step = step;
    manifest_.best_value = value;
  }
  log_->write("test", step, seconds(), validation_);
  observer_.validated(step, validation_, best);
}

void Trainer::check_folder() const {
  if (lock_.in_place()) return;
  fail(ErrorKind::failure, "the run's folder ", request_.run.string(),
       " was moved or deleted while it ",
       "trained; nothing more is written. Where it is now, genai train --resume continues it from "
       "step ",
       manifest_.step);
}

void Trainer::save(int64_t step) {
  check_folder();
  guard_against_divergence(step);
  const int64_t last_good = std::exchange(manifest_.step, step);
  manifest_.validation = validation_;
  const Tensors weights = module_tensors(sampling_model().module());
  for (const auto& [name, tensor] : weights) {
    if (tensor.is_floating_point() && !tensor.isfinite().all().item<bool>()) {
      fail(ErrorKind::diverged, "training diverged: the weights '", name,
           "' are not finite after step ", step, "; the checkpoint of step ", last_good,
           " is kept. Try a lower training.learning_rate (now ", config_.learning_rate, ")");
    }
  }
  Tensors training;
  for (const FlatParameters& set : step_->sets()) set.save(training);
  for (const auto& [name, tensor] : model_->training_state()) training["state/" + name] = tensor;
  for (size_t micro = 0; micro < step_->carry().size(); ++micro) {
    for (const auto& [name, tensor] : step_->carry()[micro]) {
      training[concat("carry/", micro, "/", name)] = tensor;
    }
  }
  save_checkpoint(request_.run, manifest_, weights, training, kept_checkpoints(config_));
  observer_.saved(request_.run);
}

void Trainer::report(int64_t step) {
  const double now = seconds();
  Json values = step_->take_means();
  values["learning_rate"] =
      config_.learning_rate * learning_rate_factor(config_, step - 1, manifest_.steps);
  StepReport report{.step = step,
                    .steps = manifest_.steps,
                    .epoch = static_cast<double>(step * config_.batch) /
                             static_cast<double>(request_.data->train.size()),
                    .seconds = now,
                    .rate = step_->take_count() / std::max(1e-9, now - reported_seconds_),
                    .values = values};
  reported_seconds_ = now;
  check_folder();
  log_->write("train", step, now, values);
  observer_.progress(report);
  if (warned_) return;
  const std::string warning = model_->warning({.step = step, .steps = manifest_.steps}, values);
  if (warning.empty()) return;
  observer_.warned(concat("step ", step, ": ", warning));
  warned_ = true;
}

void Trainer::fix_steps_of_budget(int64_t done) {
  // A resumed run whose steps are known keeps them, so that it ends as planned.
  if (config_.budget.empty() || (manifest_.steps != 0 && !budget_)) return;
  if (!budget_) budget_.emplace(parse_duration(config_.budget));
  const double validation_steps =
      config_.validate_every > 0
          ? static_cast<double>(config_.validate_every)
          : static_cast<double>(request_.data->train.size()) / static_cast<double>(config_.batch);
  manifest_.steps = budget_->steps(first_step_, done, seconds(),
                                   validation_seconds_ / validation_steps, validation_seconds_);
}

}  // namespace

void check_request(const TrainRequest& request) {
  const auto config =
      from_json<TrainingConfig>(training_fields(), request.config.at("training"), "training");
  kept_checkpoints(config);
  planned_steps(config, request.data->train.size());
  check_batch(*request.data, config.batch, config.accumulate, request.world);
  if (config.numerics.device != "auto") check_device(config.numerics.device);
  if (request.resume &&
      request.resume->manifest.data.fingerprint != request.data->info.fingerprint) {
    fail(ErrorKind::data, "the data set '", request.data->info.source,
         "' is not the one this run was trained on (its fingerprint differs)");
  }
  // A family checks its settings where it builds the model.
  const Json stored = request.resume ? request.resume->manifest.parts : Json::object();
  const auto codec =
      make_codec(request.family.reads, request.run,
                 request.resume ? load_parts(request.run, request.resume->manifest) : request.parts,
                 stored, at::kCPU);
  const auto model =
      make_model(request.family, request.config.at("model"), request.data->info, codec);
  if (codec && !request.resume) codec->measure(*request.data);
  if (request.init) {
    load_initial_weights(model->module(), request.init->weights, request.init->folder.string());
  } else if (!request.resume && has_frozen_parameters(model->module())) {
    fail(ErrorKind::usage, "model: these settings hold weights that were never trained; expected ",
         "--init RUN, whose weights they are trained on top of");
  }
}

TrainResult train(const TrainRequest& request, TrainObserver& observer) {
  check_request(request);
  try {
    return Trainer(request, observer).run();
  } catch (const c10::OutOfMemoryError& error) {
    // "CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has ... of which 1 GiB is free. ..."
    const std::string reason = error.what_without_backtrace(), free = " is free";
    const size_t end = reason.find(free);
    fail(ErrorKind::device, "the memory of the GPU is full: ",
         reason.substr(0, end == std::string::npos ? reason.find('\n') : end + free.size()),
         "; the last checkpoint is kept. Try a "
         "smaller training.batch, training.accumulate 2 or more (the same numbers, computed in "
         "parts), or training.precision bfloat16");
  }
}

}  // namespace genai
