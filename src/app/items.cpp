#include "genai/data/series_set.h"
#include "items-inl.h"

namespace genai {
namespace {

std::string picture_options(const Manifest&) {
  return " -n 64";
}

std::string text_options(const Manifest& manifest) {
  return manifest.data.lines ? " -n 20" : " --length 500";
}

std::string series_options(const Manifest& manifest) {
  return " --prompt @" + manifest.config.at("data").at("source").get<std::string>();
}

const std::vector<ItemWork>& all_work() {
  // Images, and the paths of a series, are drawn as the model has them.
  static const std::vector<ItemWork> all = {{.modality = &image_modality(),
                                             .sampling = {{"temperature", 1.0}},
                                             .sample = sample_pictures,
                                             .describe = describe_pictures,
                                             .score = score_pictures,
                                             .compress = compress_pictures,
                                             .decompress = decompress_pictures,
                                             .sample_options = picture_options,
                                             .show = show_pictures},
                                            {.modality = &text_modality(),
                                             .sampling = Json::object(),
                                             .sample = sample_texts,
                                             .describe = describe_text,
                                             .score = score_text,
                                             .compress = compress_texts,
                                             .decompress = decompress_texts,
                                             .sample_options = text_options,
                                             .show = show_texts},
                                            {.modality = &series_modality(),
                                             .sampling = {{"temperature", 1.0}},
                                             .sample = sample_series,
                                             .describe = describe_series,
                                             .score = nullptr,
                                             .compress = nullptr,
                                             .decompress = nullptr,
                                             .sample_options = series_options,
                                             .show = show_forecast}};
  return all;
}

}  // namespace

const ItemWork& work_on(const Modality& modality) {
  const ItemWork* of_kind = nullptr;
  for (const ItemWork& work : all_work()) {
    if (work.modality == &modality) return work;
    if (!of_kind && work.modality->kind() == modality.kind()) of_kind = &work;
  }
  return *of_kind;
}

}  // namespace genai
