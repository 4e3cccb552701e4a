// The presets of pictures from pictures and words, each from training to measurement.
#include <cmath>

#include "cli/tool.h"
#include "genai/base/animation.h"

namespace genai {
namespace {

struct PicturePreset {
  const char* name;
  Arguments options;  ///< of its data
  Arguments sample;
};

void PrintTo(const PicturePreset& preset, std::ostream* out) {
  *out << preset.name;
}

class SlowPicturePresets : public Cli, public testing::WithParamInterface<PicturePreset> {
 protected:
  static constexpr int kSide = 16;

  /// A disk in one of two colours, here and there, on white.
  static Image disk(int number, bool lines) {
    Image image{kSide, kSide, 3, {}};
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        const int dx = x - 5 - number % 7, dy = y - 8, square = dx * dx + dy * dy;
        const bool inside = lines ? square >= 12 && square < 20 : square < 20;
        const int red = number % 2 ? 200 : 30;
        for (const int value : {red, 60, 230 - red})
          image.pixels.push_back(static_cast<uint8_t>(!inside ? 255 : lines ? 0 : value));
      }
    }
    return image;
  }

  SlowPicturePresets() {
    std::string captions = "file,caption\n";
    for (int i = 0; i < 80; ++i) {
      const std::string name = concat(i, ".png");
      put_in("disks/" + name, encode_png(disk(i, false)));
      put_in("lines/" + name, encode_png(disk(i, true)));
      captions += name + (i % 2 ? ",a red disk\n" : ",a blue disk\n");
      if (i >= 8) continue;
      std::vector<Frame> clip;
      for (int frame = 0; frame < 14; ++frame) clip.push_back({.image = disk(i + frame, false)});
      put_in(concat("clips/", i, ".gif"), encode_gif(clip));
    }
    put_in("disks/captions.csv", captions);
  }
  void put_in(const std::string& name, const std::string& bytes) const {
    fs::create_directories((folder / name).parent_path());
    put(folder / name, bytes);
  }

  /// Returns the hash of the weights.
  std::string train_preset(const Arguments& more) const {
    Arguments arguments{"train", "--threads", "1", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = genai(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json_of({"sample", "last", "-n", "1", "--out", "one.png"}).value("weights_sha256", "");
  }
  std::string train_preset(const std::string& preset, const Arguments& data, int steps) const {
    Arguments arguments{"--model", preset, "--steps", std::to_string(steps), "--batch", "4"};
    arguments.insert(arguments.end(), data.begin(), data.end());
    return train_preset(arguments);
  }
};

TEST_P(SlowPicturePresets, TrainResumeSampleAndAreMeasured) {
  const PicturePreset& preset = GetParam();
  Arguments data = preset.options;
  if (preset.name == std::string("latent-diffusion")) {
    train_preset("latent-vae", {"--data", "disks", "--size", "16"}, 2);
    data.insert(data.end(), {"--codec", "last"});
  }
  const std::string whole = train_preset(preset.name, data, 4);
  if (preset.name == std::string("latent-diffusion")) data.back() = "1";
  train_preset(preset.name, data, 2);
  EXPECT_EQ(train_preset({"--resume", "last", "--steps", "4"}), whole);

  Arguments sample{"sample", "last", "-n", "3"};
  sample.insert(sample.end(), preset.sample.begin(), preset.sample.end());
  const Outcome sampled = genai(sample);
  EXPECT_EQ(sampled.code, 0) << sampled.err;
  const Outcome checked = genai({"check", "last"});
  EXPECT_EQ(checked.code, 0) << checked.err << checked.out;
  EXPECT_NE(checked.out.find("ok "), std::string::npos) << checked.out;
  const bool grids = std::string(preset.name).find("latent") == std::string::npos &&
                     std::string(preset.name) != "captions";
  const Json found = json_of(
      {"evaluate", "last", "--only", grids ? "told" : "memorization", "-n", "70", "--images", "4"});
  EXPECT_FALSE(found.at("metrics").empty());
  for (const Json& metric : found.at("metrics"))
    EXPECT_TRUE(std::isfinite(metric.at("value").get<double>())) << metric;
}

INSTANTIATE_TEST_SUITE_P(
    All, SlowPicturePresets,
    testing::Values(
        PicturePreset{"colorize", {"--data", "disks", "--size", "16"}, {}},
        PicturePreset{"draw",
                      {"--data", "disks", "--size", "16", "--pair", "lines", "--condition", "pair"},
                      {}},
        PicturePreset{"upscale", {"--data", "disks", "--size", "16"}, {}},
        PicturePreset{"repair", {"--data", "disks", "--size", "16"}, {}},
        PicturePreset{"pix2pix", {"--data", "disks", "--size", "16"}, {}},
        PicturePreset{"captions", {"--data", "disks", "--size", "16"}, {"--prompt", "a blue disk"}},
        PicturePreset{
            "next-frame", {"--data", "clips", "--past", "10", "--ahead", "2"}, {"--frames", "3"}},
        PicturePreset{"latent-vae", {"--data", "disks", "--size", "16"}, {}},
        PicturePreset{
            "latent-diffusion", {"--data", "disks", "--size", "16", "--condition", ""}, {}}),
    [](const auto& preset) {
      std::string name = preset.param.name;
      std::erase(name, '-');
      return name;
    });

}  // namespace
}  // namespace genai
