#include "genai/base/animation.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/generation/rollout.h"
#include "items-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// A .png is a strip, a .gif or .apng moves.
bool is_strip(const fs::path& file) {
  return file.extension() == ".png";
}

std::string encode_clips(const SampleWork& work, const LoadedModel& loaded,
                         const ImageRequest& request, const Rollout& rollout,
                         const fs::path& file) {
  const SampleRequest& asked = work.request;
  const bool strip = is_strip(file);
  const int64_t scale =
      clip_scale(asked.scale, strip, request.count, asked.frames, loaded.manifest.data);
  std::vector<Frame> pictures;
  if (strip) {
    pictures.push_back({.image = draw_clip_strip(rollout, scale)});
  } else {
    pictures = draw_clips(rollout, scale);
  }
  std::vector<PngText> texts;
  if (asked.metadata == Metadata::full) {
    texts = provenance(loaded, rollout_json(loaded, request, asked.frames, strip, scale),
                       pictures[0].image);
  }
  return strip ? encode_png(pictures[0].image, texts)
               : encode_moving(pictures, file.extension() == ".gif", texts);
}

}  // namespace

/// Throws Error{usage} for clips of more pixels than a reader takes, before they are computed.
void check_clips(const SampleRequest& asked, const ImageRequest& request, const DataInfo& info,
                 const fs::path& out) {
  const int64_t scale = clip_scale(asked.scale, is_strip(out), request.count, asked.frames, info);
  const double pixels = static_cast<double>(info.height * info.width) *
                        static_cast<double>(scale * scale * request.count) *
                        static_cast<double>(asked.frames + info.past);
  if (pixels <= static_cast<double>(kMostFilmPixels)) return;
  fail(ErrorKind::usage, "request.frames: ", request.count, " clips of ", asked.frames,
       " frames would be ", static_cast<int64_t>(pixels), " pixels, more than a file holds (",
       kMostFilmPixels,
       "); expected fewer frames or clips (request.count), or a smaller request.scale");
}

Json sample_clips(const SampleWork& work, const LoadedModel& loaded, const ImageRequest& request,
                  const std::string& name) {
  const SampleRequest& asked = work.request;
  const RunRequest& run = work.run;
  std::vector<fs::path> outs{asked.out};
  if (asked.out.empty()) {
    const fs::path base =
        run_output(run.reference.folder, concat(name, "-frames-", asked.frames, ".png"));
    outs = {fs::path(base).replace_extension(".gif"), base};
  }
  for (const fs::path& out : outs) {
    const std::string end = out.extension().string();
    if (end != ".gif" && end != ".apng" && end != ".png") {
      fail(ErrorKind::usage, "request.out: expected a .gif or .apng file, or .png for a strip, ",
           "found ", out.string());
    }
    check_clips(asked, request, run.info(), out);
    check_writable(out, end);
  }
  const Rollout rollout = roll_out(loaded, request, asked.frames);
  Json files = Json::array();
  for (const fs::path& out : outs) {
    deliver_file(out, encode_clips(work, loaded, request, rollout, out), work.context);
    files.push_back(out.string());
  }
  return {{"files", files},
          {"run", run.reference.folder.string()},
          {"step", run.manifest().step},
          {"weights_sha256", run.manifest().weights_sha256()},
          {"first", request.first},
          {"count", request.count},
          {"frames", asked.frames},
          {"class", request.label},
          {"options", request.options}};
}

}  // namespace genai
