// What the views of `show` share.
#pragma once
#include <functional>

#include "genai/base/animation.h"
#include "genai/generation/path.h"
#include "shared-inl.h"

namespace genai {

enum class ShowFormat { automatic, strip, apng, gif, frames };
extern const EnumNames<ShowFormat> kShowFormatNames;

struct ShowRequest {
  RunChoice from;
  std::string what, of_class, forward, layers, prompt, out;
  int64_t test = -1, count = 4, seed = 0, frames = 0, scale = 0;
  int64_t from_layer = -1, directions = 5, top = 10;
  double strength = 3;
  bool as_is = false;
  PathView view = PathView::both;
  ShowFormat format = ShowFormat::automatic;
  Metadata metadata = Metadata::full;
};

/// A run, and what is to be seen of it. The format is a certain one.
struct ShowWork {
  const RunRequest& run;
  const ShowRequest& request;
  const Settings& given;
  JobContext& context;
  int64_t label = -1;

  bool counted(const char* field) const { return given.find(concat("request.", field)); }
  bool moves() const { return request.format != ShowFormat::strip; }
  ImageRequest images(int64_t count) const;
  /// What request.out says, or a name in the run's folder: "step-4000-path-seed-0-n4-steps-50". The
  /// same request, the same name. Throws what check_writable does.
  /// @param words  what this view was asked for: "-seed-0-n4"
  std::filesystem::path out(const std::string& words) const;
};

/// Pictures to be written.
struct ShownPictures {
  std::vector<Frame> frames;                   ///< those of an animation, or one picture
  std::function<Json(int64_t frame)> request;  ///< makes a frame again; for -1 all of them
  Json found = Json::object();                 ///< what is told beside the request
  Origin origin = Origin::model;
};

/// Writes them as asked for; returns the result.
Json deliver(const ShowWork& work, const LoadedModel& loaded, const std::filesystem::path& out,
             const ShownPictures& shown);

// The views.
Json show_path(const ShowWork& work);
Json show_mix(const ShowWork& work);
Json show_directions(const ShowWork& work);
Json show_next(const ShowWork& work);

}  // namespace genai
