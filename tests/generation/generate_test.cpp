#include <gtest/gtest.h>
#include <pwd.h>
#include <torch/torch.h>
#include <unistd.h>

#include <atomic>
#include <ctime>

#include "base/temp_folder.h"
#include "genai/base/png.h"
#include "genai/core/numerics.h"
#include "genai/generation/recreate.h"
#include "genai/models/registry.h"
#include "genai/run/checkpoint.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

DataInfo digits_info() {
  return {.source = "digits",
          .channels = 1,
          .height = 6,
          .width = 5,
          .classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
          .train_count = 10,
          .test_count = 10,
          .fingerprint = "f"};
}

/// A run with one checkpoint of an untrained model.
void make_run(const fs::path& run, uint64_t seed, bool conditional) {
  const Json settings = {{"family", "vae"},
                         {"latent", 3},
                         {"condition", conditional ? "class" : ""},
                         {"encoder", {{"hidden", {8}}}},
                         {"decoder", {{"hidden", {8}}}}};
  torch::manual_seed(seed);
  const auto model = make_model(find_family("vae"), settings, digits_info());
  Manifest manifest;
  manifest.step = manifest.steps = 12;
  manifest.preset = "vae";
  manifest.config = {{"model", settings}, {"data", Json::object()}, {"training", Json::object()}};
  manifest.data = digits_info();
  manifest.numerics = resolve_numerics({.device = "cpu", .threads = 1});
  manifest.numerics.libtorch = "1.0.0";  // trained elsewhere
  manifest.objective = "nelbo";
  save_checkpoint(run, manifest, module_tensors(model->module()), {});
}

class Sheets : public testing::Test {
 protected:
  LoadedModel load(const std::string& name, uint64_t seed = 1, bool conditional = false) {
    make_run(folder_ / name, seed, conditional);
    return load_model({.folder = folder_ / name, .checkpoint = ""}, at::kCPU);
  }
  static ImageRequest some_request() {
    return {.first = 30, .count = 5, .label = -1, .options = {{"temperature", 0.7}}};
  }

  TempFolder folder_;
};

/// The same picture with other pixels or texts.
std::string encode_again(const std::string& png, const std::function<void(Png&)>& change) {
  Png decoded = decode_png(png, "test");
  change(decoded);
  return encode_png(decoded.image, decoded.text);
}

/// The same picture with another "genai" text.
std::string with_provenance(const std::string& png, const std::string& text) {
  return encode_again(png, [&](Png& p) {
    for (PngText& t : p.text) {
      if (t.keyword == "genai") t.text = text;
    }
  });
}

TEST_F(Sheets, AreMadeAgainFromTheirProvenance) {
  const LoadedModel model = load("001-vae");
  const SheetLayout layout{.rows = 2, .columns = 3, .scale = 2};
  const std::string png = render_sheet(model, some_request(), layout, Metadata::full);
  const Image image = decode_png(png, "test").image;
  EXPECT_EQ(image.width, 2 * (3 * 5 + 4 * 2));  // 2 pixels between and around the cells
  EXPECT_EQ(image.height, 2 * (2 * 6 + 3 * 2));
  const Json made = read_provenance(png, "test");
  EXPECT_EQ(made.at("request"), Json({{"first", 30},
                                      {"count", 5},
                                      {"class", -1},
                                      {"options", {{"temperature", 0.7}}},
                                      {"rows", 2},
                                      {"columns", 3},
                                      {"scale", 2}}));
  EXPECT_EQ(made.at("weights_sha256"), model.manifest.weights_sha256());
  EXPECT_EQ(made.at("family"), "vae");
  EXPECT_EQ(made.at("step"), 12);
  const Recreation again = recreate(png, "test", model);
  EXPECT_TRUE(again.same);
  EXPECT_EQ(again.worst, 0);
  EXPECT_EQ(again.differing, 0);
  EXPECT_NE(again.tolerance.find("equal"), std::string::npos) << again.tolerance;
}

TEST_F(Sheets, OfOneSampleAreThePictureItself) {
  const LoadedModel model = load("001-vae");
  const ImageRequest one{.first = 17, .count = 1};
  const std::string png = render_sheet(model, one, {.scale = 1}, Metadata::full);
  const Tensor pixels = generate_items(*model.model, one, digits_info(), at::kCPU);
  EXPECT_EQ(decode_png(png, "test").image, to_images(pixels)[0]);
  EXPECT_TRUE(recreate(png, "test", model).same);
}

/// Matrix products that LibTorch computes meanwhile.
int64_t products_of(const std::function<void()>& action) {
  static std::atomic<int64_t> count;
  count = 0;
  const auto handle = at::addGlobalCallback(at::RecordFunctionCallback(
      [](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
        if (std::string_view(function.name()) == "aten::addmm") ++count;
        return nullptr;
      }));
  action();
  at::removeCallback(handle);
  return count;
}

TEST_F(Sheets, OfSinglePicturesCostNoMoreThanOneOfAll) {
  const LoadedModel model = load("001-vae");
  const ImageRequest request{.first = 5, .count = 40};
  std::vector<int64_t> numbers;
  const int64_t together = products_of([&] { render_sheet(model, request, {}, Metadata::full); });
  const int64_t apart = products_of([&] {
    render_separate(model, request, 1, Metadata::full,
                    [&](int64_t number, const std::string&) { numbers.push_back(number); });
  });
  EXPECT_EQ(numbers.size(), 40u);
  EXPECT_GT(together, 0);
  EXPECT_EQ(apart, together);
}

TEST_F(Sheets, EqualRequestsGiveEqualBytes) {
  const LoadedModel first = load("here/001-vae"), second = load("elsewhere/001-vae");
  EXPECT_EQ(first.manifest.weights_sha256(), second.manifest.weights_sha256());
  const std::string a = render_sheet(first, some_request(), {}, Metadata::full);
  ::usleep(1'100'000);  // were a time of day inside, it would differ now
  const std::string b = render_sheet(second, some_request(), {}, Metadata::full);
  EXPECT_TRUE(a == b);
  ImageRequest other = some_request();
  other.first = 31;
  EXPECT_FALSE(a == render_sheet(first, other, {}, Metadata::full));
}

TEST_F(Sheets, AChangedPixelIsFound) {
  const LoadedModel model = load("001-vae");
  const std::string png = render_sheet(model, some_request(), {}, Metadata::full);
  const auto changed = [&](int by, size_t pixels) {
    return recreate(
        encode_again(png,
                     [&](Png& p) {
                       for (size_t i = 0; i < pixels; ++i) {
                         uint8_t& value = p.image.pixels[40 + 100 * i];
                         value = static_cast<uint8_t>(value < 128 ? value + by : value - by);
                       }
                     }),
        "test", model);
  };
  EXPECT_TRUE(changed(0, 1).same);
  for (const int by : {1, 2, 90}) {
    const Recreation result = changed(by, 3);
    EXPECT_FALSE(result.same) << by;
    EXPECT_EQ(result.worst, by);
    EXPECT_EQ(result.differing, 3);
  }
  const Recreation cut = recreate(
      encode_again(png,
                   [](Png& p) {
                     p.image.height -= 1;
                     p.image.pixels.resize(static_cast<size_t>(p.image.width * p.image.height));
                   }),
      "test", model);
  EXPECT_FALSE(cut.same);
  EXPECT_GT(cut.differing, 0);
}

TEST_F(Sheets, OfAnotherKindOfMachineMayDifferALittle) {
  const LoadedModel model = load("001-vae");
  const std::string png = render_sheet(model, some_request(), {}, Metadata::full);
  Json made = read_provenance(png, "test");
  // The LibTorch that made the picture counts, not the one that trained the model.
  EXPECT_NE(made.at("numerics").at("libtorch"), "1.0.0");
  EXPECT_EQ(made.at("numerics").at("libtorch"), resolve_numerics({.device = "cpu"}).libtorch);
  for (const auto& [key, value] : std::vector<std::pair<const char*, Json>>{
           {"libtorch", "1.0.0"}, {"cpu", "ZX81"}, {"device", "cuda"}, {"threads", 77}}) {
    Json other = made;
    other["numerics"][key] = value;
    const std::string foreign = with_provenance(png, other.dump());
    const auto by = [&](int difference) {
      return recreate(
          encode_again(foreign,
                       [&](Png& p) {
                         uint8_t& v = p.image.pixels[40];
                         v = static_cast<uint8_t>(v < 128 ? v + difference : v - difference);
                       }),
          "test", model);
    };
    EXPECT_TRUE(by(static_cast<int>(kTolerance)).same) << key;
    EXPECT_EQ(by(static_cast<int>(kTolerance)).worst, kTolerance) << key;
    EXPECT_FALSE(by(static_cast<int>(kTolerance) + 1).same) << key;
  }
}

TEST_F(Sheets, OfOtherWeightsOrWithoutProvenanceAreRefused) {
  const LoadedModel model = load("001-vae", 1), other = load("002-vae", 2);
  const std::string png = render_sheet(model, some_request(), {}, Metadata::full);
  expect_error(ErrorKind::data, "other weights", [&] { recreate(png, "a.png", other); });
  const std::string bare = render_sheet(model, some_request(), {}, Metadata::none);
  expect_error(ErrorKind::data, "a.png", [&] { recreate(bare, "a.png", model); });
  expect_error(ErrorKind::data, "a.png", [&] { recreate("not a PNG", "a.png", model); });
  expect_error(ErrorKind::data, "a.png",
               [&] { recreate(png.substr(0, png.size() - 1), "a.png", model); });
}

TEST_F(Sheets, OfOthersTextsAreRefused) {
  const LoadedModel model = load("001-vae");
  const std::string png = render_sheet(model, some_request(), {}, Metadata::full);
  const Json made = read_provenance(png, "test");
  std::vector<std::string> texts{"{", "[]", "null", "{}", "{\"request\": 3}"};
  for (const char* key : {"weights_sha256", "request", "numerics"}) {
    Json lacking = made;
    lacking.erase(key);
    texts.push_back(lacking.dump());
  }
  for (const char* key : {"first", "count", "class", "options", "rows", "columns", "scale"}) {
    Json lacking = made, odd = made;
    lacking["request"].erase(key);
    texts.push_back(lacking.dump());
    if (std::string(key) == "options") continue;
    odd["request"][key] = "five";
    texts.push_back(odd.dump());
  }
  for (const std::string& text : texts) {
    expect_error(ErrorKind::data, "a.png",
                 [&] { recreate(with_provenance(png, text), "a.png", model); });
  }
  // Numbers that no request of ours has.
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, Json>>{{"count", 0},
                                                 {"count", 2'000'000},
                                                 {"first", -1},
                                                 {"rows", 1 << 30},
                                                 {"columns", 0},
                                                 {"scale", 0},
                                                 {"scale", 1 << 30},
                                                 {"class", 3},
                                                 {"options", {{"nonsense", 1}}},
                                                 {"options", 5}}) {
    Json odd = made;
    odd["request"][key] = value;
    EXPECT_THROW(recreate(with_provenance(png, odd.dump()), "a.png", model), Error)
        << key << " " << value;
  }
}

TEST_F(Sheets, WithoutMetadataHoldNoText) {
  const LoadedModel model = load("001-vae");
  const std::string bare = render_sheet(model, some_request(), {}, Metadata::none);
  const std::string full = render_sheet(model, some_request(), {}, Metadata::full);
  EXPECT_EQ(decode_png(bare, "test").image, decode_png(full, "test").image);
  for (const char* chunk : {"tEXt", "iTXt", "zTXt", "eXIf", "tIME"}) {
    EXPECT_EQ(bare.find(chunk), std::string::npos) << chunk;
  }
  EXPECT_NE(full.find("iTXt"), std::string::npos);
  EXPECT_TRUE(read_provenance(bare, "test").is_null());
}

TEST_F(Sheets, TellWhatIsGeneratedAndNothingOfTheMachine) {
  const LoadedModel model = load("001-vae");
  const std::string png = render_sheet(model, some_request(), {}, Metadata::full);
  std::string all;
  std::vector<std::string> keywords;
  for (const PngText& text : decode_png(png, "test").text) {
    keywords.push_back(text.keyword);
    all += text.text + "\n";
  }
  EXPECT_EQ(keywords, (std::vector<std::string>{"parameters", "genai", "XML:com.adobe.xmp"}));
  EXPECT_NE(all.find("digitalsourcetype/trainedAlgorithmicMedia"), std::string::npos);
  EXPECT_NE(all.find("Seed: 30-34"), std::string::npos) << all;
  EXPECT_NE(all.find("temperature: 0.7"), std::string::npos) << all;

  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  const passwd* user = ::getpwuid(::getuid());
  const std::time_t now = std::time(nullptr);
  char day[32] = "", clock[32] = "";
  std::strftime(day, sizeof day, "%Y-%m-%d", std::gmtime(&now));
  std::strftime(clock, sizeof clock, "%H:%M", std::gmtime(&now));
  for (const std::string& secret :
       {folder_.path().string(), folder_.path().filename().string(), fs::current_path().string(),
        std::string(host), std::string(user ? user->pw_name : ""), std::string(day),
        std::string(clock), std::to_string(now).substr(0, 6)}) {
    if (secret.size() < 4) continue;
    EXPECT_EQ(all.find(secret), std::string::npos) << secret;
  }
}

TEST_F(Sheets, OfAConditionalModelShowTheClass) {
  const LoadedModel model = load("001-vae", 1, true);
  ImageRequest request{.first = 0, .count = 20};
  const Tensor cycled = generate_items(*model.model, request, digits_info(), at::kCPU);
  for (const int64_t label : {0, 3, 9}) {
    request.label = label;
    const Tensor fixed = generate_items(*model.model, request, digits_info(), at::kCPU);
    EXPECT_TRUE(at::equal(fixed[label], cycled[label]));
    EXPECT_TRUE(at::equal(fixed[label + 10], cycled[label + 10]));
    EXPECT_FALSE(at::equal(fixed[5], cycled[5]));
    const std::string png = render_sheet(model, request, {}, Metadata::full);
    EXPECT_EQ(read_provenance(png, "test").at("request").at("class"), label);
    EXPECT_TRUE(recreate(png, "test", model).same);
  }
}

// ---- A model that shows what it is asked for

class Echo : public torch::nn::Module, public Model, public Generator {
 public:
  explicit Echo(bool conditional)
      : Model({.conditions = conditional ? ConditionSpecs{{.name = kClass, .classes = 10}}
                                         : ConditionSpecs()}),
        conditional_(conditional) {}
  torch::nn::Module& module() override { return *this; }
  std::vector<ParameterSet> parameter_sets() override { return {}; }
  std::vector<Phase> phases() override { return {}; }
  Tensors validate(const Batch&, Draw&) override { return {}; }
  std::string objective() const override { return ""; }

  /// [B, 1, 1, 3]: the label (or the row) of 255, a number of the sample, and one that may be
  /// beyond the range of pixels.
  Tensor generate(const Draw& draw, const Tensors& told, const Json&) override {
    const Tensor labels = labels_among(told);
    calls.push_back(draw.items());
    EXPECT_EQ(labels.defined(), conditional_);
    EXPECT_TRUE(c10::InferenceMode::is_enabled());
    const Tensor label =
        (labels.defined() ? labels : at::arange(draw.items())).to(at::kFloat) / 255;
    return at::stack({label, draw.uniform("u", {}), draw.normal("n", {}) * 100}, 1)
        .view({-1, 1, 1, 3});
  }

  std::vector<int64_t> calls;

 private:
  bool conditional_;
};

DataInfo echo_info(std::vector<std::string> classes) {
  return {.source = "echo", .channels = 1, .height = 1, .width = 3, .classes = std::move(classes)};
}

TEST(GeneratePixels, DoNotDependOnCountOrFirstNumber) {
  Echo echo(false);
  const DataInfo info = echo_info({});
  const Tensor all = generate_items(echo, {.first = 0, .count = 64}, info, at::kCPU);
  EXPECT_EQ(all.sizes(), (at::IntArrayRef{64, 1, 1, 3}));
  EXPECT_EQ(all.dtype(), at::kByte);
  for (const auto& [first, count] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 1}, {0, 16}, {0, 17}, {17, 1}, {15, 2}, {16, 16}, {31, 33}, {63, 1}}) {
    const Tensor part = generate_items(echo, {.first = first, .count = count}, info, at::kCPU);
    EXPECT_TRUE(at::equal(part, all.narrow(0, first, count))) << first << " " << count;
  }
  // Every call has the same number of rows, every sample its row: products of other sizes round
  // differently.
  for (const int64_t rows : echo.calls) EXPECT_EQ(rows, kChunk);
  // Sample s is that of Draw for number s; pixels are rounded and clamped.
  const Draw draw(0, "generate", {17});
  EXPECT_EQ(all[17][0][0][1].item<int>(), std::lround(255 * draw.uniform("u", {}).item<double>()));
  for (int64_t i = 0; i < 64; ++i) {
    EXPECT_EQ(all[i][0][0][0].item<int64_t>(), i % kChunk);
    const double value = Draw(0, "generate", {i}).normal("n", {}).item<double>() * 100;
    EXPECT_EQ(all[i][0][0][2].item<int>(), std::lround(255 * std::clamp(value, 0.0, 1.0)));
  }
}

TEST(GeneratePixels, LabelsCycleThroughTheClasses) {
  Echo echo(true);
  const DataInfo info = echo_info({"a", "b", "c"});
  const Tensor all = generate_items(echo, {.first = 100, .count = 40}, info, at::kCPU);
  for (int64_t i = 0; i < 40; ++i) EXPECT_EQ(all[i][0][0][0].item<int64_t>(), (100 + i) % 3);
  const Tensor twos = generate_items(echo, {.first = 100, .count = 40, .label = 2}, info, at::kCPU);
  EXPECT_TRUE(twos.select(3, 0).eq(2).all().item<bool>());
  EXPECT_TRUE(at::equal(twos.select(3, 1), all.select(3, 1)));  // the class leaves the noise
}

TEST(GeneratePixels, RefuseWhatCannotBeMade) {
  Echo plain(false), conditional(true);
  const DataInfo none = echo_info({}), ten = echo_info(std::vector<std::string>(10, "x"));
  const auto refuse = [](Echo& echo, const DataInfo& info, ImageRequest request, const char* part) {
    expect_error(ErrorKind::usage, part, [&] { generate_items(echo, request, info, at::kCPU); });
    EXPECT_TRUE(echo.calls.empty());
  };
  refuse(plain, none, {.count = 0}, "request.count");
  refuse(plain, none, {.count = -1}, "request.count");
  refuse(plain, none, {.count = INT64_MAX}, "request.count");
  refuse(plain, none, {.first = -1}, "request.seed");
  refuse(plain, none, {.first = INT64_MAX - 3}, "request.seed");
  refuse(plain, none, {.label = 0}, "request.class");
  refuse(plain, ten, {.label = 0}, "model.condition class");
  refuse(conditional, ten, {.label = 10}, "0 to 9");
  refuse(conditional, ten, {.label = 11}, "0 to 9");
  refuse(conditional, ten, {.label = -2}, "request.class");
}

TEST(GeneratePixels, NeedAGenerator) {
  class Mute : public torch::nn::Module, public Model {
   public:
    torch::nn::Module& module() override { return *this; }
    std::vector<ParameterSet> parameter_sets() override { return {}; }
    std::vector<Phase> phases() override { return {}; }
    Tensors validate(const Batch&, Draw&) override { return {}; }
    std::string objective() const override { return ""; }
  } mute;
  expect_error(ErrorKind::usage, "does not make images",
               [&] { generate_items(mute, {}, echo_info({}), at::kCPU); });
}

TEST(GeneratePixels, RefuseWhatIsNoNumber) {
  class Broken : public Echo {
   public:
    Broken() : Echo(false) {}
    Tensor generate(const Draw& draw, const Tensors& told, const Json& options) override {
      Tensor images = Echo::generate(draw, told, options);
      images[3].fill_(std::nan(""));
      return images;
    }
  } broken;
  expect_error(ErrorKind::failure, "among samples 16 to 31",
               [&] { generate_items(broken, {.first = 20}, echo_info({}), at::kCPU); });
}

TEST(ToImages, InterleavesChannels) {
  // Value = 100 n + 10 c + position.
  const Tensor pixels = (at::arange(2).view({2, 1, 1, 1}) * 100 +
                         at::arange(3).view({1, 3, 1, 1}) * 10 + at::arange(4).view({1, 1, 2, 2}))
                            .to(at::kByte);
  const auto images = to_images(pixels);
  ASSERT_EQ(images.size(), 2u);
  EXPECT_EQ(images[0].pixels, (std::vector<uint8_t>{0, 10, 20, 1, 11, 21, 2, 12, 22, 3, 13, 23}));
  EXPECT_EQ(images[1].pixels[4], 111);
  EXPECT_EQ(images[1].channels, 3);
  EXPECT_EQ(to_images(pixels[1]), std::vector<Image>{images[1]});
}

TEST(Layouts, FillThemselvesIn) {
  const auto resolved = [](SheetLayout layout, int64_t count, int64_t side = 28) {
    const SheetLayout r = resolve_layout(layout, count, side, side);
    return std::vector<int64_t>{r.rows, r.columns, r.scale};
  };
  using L = std::vector<int64_t>;
  EXPECT_EQ(resolved({}, 1), (L{1, 1, 8}));
  EXPECT_EQ(resolved({}, 16), (L{4, 4, 4}));  // 4 * 4 * 28 = 448
  EXPECT_EQ(resolved({}, 10), (L{3, 4, 4}));
  EXPECT_EQ(resolved({}, 17), (L{4, 5, 3}));
  EXPECT_EQ(resolved({}, 10'000), (L{100, 100, 1}));
  EXPECT_EQ(resolved({.rows = 2}, 9), (L{2, 5, 3}));
  EXPECT_EQ(resolved({.columns = 2}, 9), (L{5, 2, 3}));
  EXPECT_EQ(resolved({.rows = 3, .columns = 7, .scale = 5}, 9), (L{3, 7, 5}));
  EXPECT_EQ(resolved({}, 4, 256), (L{2, 2, 1}));
  expect_error(ErrorKind::usage, "request.grid: 2x4",
               [&] { resolved({.rows = 2, .columns = 4}, 9); });
}

}  // namespace
}  // namespace genai
