// What the views of `show` share: options, a run, and the way of pictures to files.
#pragma once
#include <functional>

#include "command.h"
#include "genai/base/animation.h"
#include "genai/generation/generate.h"
#include "genai/models/registry.h"

namespace genai::tool {

enum class Format { strip, apng, gif, frames };
extern const EnumNames<Format> kFormatNames;

struct ShowOptions {
  RunOption run;
  ComputeOption compute;
  ClassOption of_class;
  std::string what;
  std::string prompt, forward, view = "both", layers, format, out, metadata = "full";
  int64_t test = -1, count = 4, seed = 0, label = -1, moments = 0, scale = 0;
  int64_t from = -1, directions = 5, top = 10;
  double strength = 3;
  bool preview = false, json = false, as_is = false;
};

/// A run, and what was asked for.
struct Show {
  const Command& command;
  const ShowOptions& options;
  RunReference reference;
  Checkpoint checkpoint;
  Manifest manifest;
  const Family& family;
  Format format;
  Json sampling, usual;  ///< sampling options: all of them as asked for, and unless asked for

  bool given(const std::string& option) const { return command.app.count(option) > 0; }

  /// What --out says, or a name in the run's folder: "step-4000-path-seed-0-n4-steps-50". The same
  /// request, the same name. @param words  what this view was asked for: "-seed-0-n4"
  std::filesystem::path out(const std::string& words) const;
  /// Throws what tool::check_writable does.
  void check_writable(const std::filesystem::path& out) const;
  LoadedModel load() const;
};

/// Pictures to be written.
struct Shown {
  std::vector<Frame> frames;                   ///< those of an animation, or one picture
  std::function<Json(int64_t frame)> request;  ///< makes a frame again; for -1 all of them
  Json found = Json::object();                 ///< what --json tells beside the request
  Origin origin = Origin::model;
};

/// Writes and prints as asked for; returns the exit code.
int deliver(const Show& show, const LoadedModel& loaded, const std::filesystem::path& out,
            const Shown& shown);

// The views.
int show_path(const Show& show);
int show_mix(const Show& show);
int show_directions(const Show& show);
int show_next(const Show& show);

}  // namespace genai::tool
