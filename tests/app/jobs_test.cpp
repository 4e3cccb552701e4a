// Jobs as another front end runs them: a JSON request, files, events and a result.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "base/temp_folder.h"
#include "genai/app/job.h"
#include "genai/base/files.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/core/numerics.h"
#include "genai/run/checkpoint.h"
#include "genai/run/folder.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// Keeps what a job tells; asks it to stop when it has asked so many times.
struct Told : JobEvents {
  int stop_after = -1;  // -1: never
  std::atomic<int> asked = 0;
  std::vector<std::string> notes, warnings;
  std::vector<fs::path> files;
  std::string text;
  std::vector<Image> pictures;
  int frames = 0, reports = 0;

  void noted(const std::string& line) override { notes.push_back(line); }
  void warned(const std::string& line) override { warnings.push_back(line); }
  void artifact(const fs::path& file) override { files.push_back(file); }
  void piece(std::string_view piece) override { text += piece; }
  void output(std::string_view bytes) override { text += bytes; }
  void pictured(const std::vector<Image>& images) override { pictures = images; }
  void frame(const PathFrame&, PathView, int64_t) override { ++frames; }
  void progress(const StepReport&) override { ++reports; }
  int stop_requested() override { return stop_after >= 0 && asked++ >= stop_after ? SIGTERM : 0; }
};

class Jobs : public testing::Test {
 protected:
  /// Few and small pictures: jobs read them often.
  Jobs() {
    constexpr int64_t kSide = 12;
    fs::create_directories(folder_ / "pics");
    for (int i = 0; i < 60; ++i) {
      Image image{kSide, kSide, 1, std::vector<uint8_t>(kSide * kSide, 0)};
      for (size_t p = 0; p < image.pixels.size(); ++p)
        image.pixels[p] = p % 12 < static_cast<size_t>(2 + i % 9) ? 255 : static_cast<uint8_t>(i);
      put(folder_ / "pics" / concat("p", i, ".png"), encode_png(image));
    }
  }

  Json run(const std::string& job, const Json& request, Told& told) const {
    JobContext context{
        .events = told, .compute = {.device = "cpu", .threads = 1}, .runs = folder_ / "runs"};
    return run_job(job, request, context);
  }
  Json run(const std::string& job, const Json& request) const {
    Told told;
    return run(job, request, told);
  }

  static Json training(int64_t steps, int64_t threads = 1) {
    return {{"steps", steps},         {"batch", 20},   {"device", "cpu"}, {"threads", threads},
            {"precision", "float32"}, {"log_every", 1}};
  }
  Json vae(int64_t steps) const {
    return {{"request", {{"model", "vae"}}},
            {"data", {{"source", (folder_ / "pics").string()}}},
            {"model",
             {{"latent", 4}, {"encoder", {{"hidden", {16}}}}, {"decoder", {{"hidden", {16}}}}}},
            {"training", training(steps)}};
  }
  Json diffusion(int64_t steps) const {
    return {{"request", {{"model", "diffusion"}}},
            {"data", {{"source", (folder_ / "pics").string()}}},
            {"model",
             {{"network",
               {{"width", 8},
                {"multipliers", {1, 2}},
                {"blocks", 1},
                {"attention", {1}},
                {"head_width", 8},
                {"patch", 2}}}}},
            {"training", training(steps)}};
  }
  /// With layers that draw by themselves.
  Json transformer(int64_t steps, int64_t threads) const {
    std::string text;
    for (int i = 0; i < 400; ++i) text += concat("line ", i * 7 % 31, " of the text\n");
    put(folder_ / "text.txt", text);
    return {{"request", {{"model", "transformer"}}},
            {"data", {{"source", (folder_ / "text.txt").string()}, {"context", 16}}},
            {"model", {{"width", 16}, {"layers", 1}, {"heads", 2}, {"dropout", 0.2}}},
            {"training", training(steps, threads)}};
  }

  std::vector<std::string> leftovers() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      const std::string name = entry.path().filename().string();
      if (name.find(".tmp-") != std::string::npos || name.find(".trash-") != std::string::npos)
        found.push_back(name);
    }
    return found;
  }

  /// Cancels the job when it asks for the first time, the second, the third, the fifth, ... until
  /// it is done. Returns how often it was cancelled. What it leaves of `out` is whole.
  int cancel_everywhere(const std::string& job, const Json& request, const fs::path& out) const {
    int times = 0;
    for (int stop_after = 0;; stop_after += 1 + stop_after / 2, ++times) {
      fs::remove_all(out);
      Told told;
      told.stop_after = stop_after;
      bool cancelled = false;
      try {
        run(job, request, told);
      } catch (const Cancelled&) {
        cancelled = true;
      }
      EXPECT_TRUE(leftovers().empty()) << job << ", cancelled after " << stop_after;
      if (fs::is_directory(out)) {
        for (const auto& entry : fs::directory_iterator(out)) load_picture(entry.path());
      } else if (cancelled) {
        EXPECT_FALSE(fs::exists(out)) << job << ", cancelled after " << stop_after;
      }
      for (const fs::path& file : told.files) EXPECT_TRUE(fs::exists(file)) << file;
      if (!cancelled) return times;
    }
  }

  TempFolder folder_;
};

TEST_F(Jobs, TrainSampleAndCheckFromJson) {
  Told told;
  const Json trained = run("train", vae(6), told);
  EXPECT_EQ(trained["step"], 6);
  EXPECT_EQ(told.reports, 6);
  EXPECT_FALSE(told.files.empty());  // samples of the training
  ASSERT_FALSE(told.notes.empty());
  EXPECT_TRUE(told.notes[0].starts_with("data: pics")) << told.notes[0];

  const std::string out = (folder_ / "sheet.png").string();
  const Json made =
      run("sample", {{"request", {{"run", "last"}, {"count", 4}, {"out", out}}}}, told);
  EXPECT_EQ(made["files"], Json::array({out}));
  EXPECT_EQ(made["weights_sha256"], trained["weights_sha256"]);
  EXPECT_EQ(told.files.back(), out);
  EXPECT_EQ(told.pictures.size(), 4u);
  const Json checked = run("check", {{"request", {{"path", out}}}});
  EXPECT_EQ(checked["bad"], 0);
  EXPECT_EQ(checked["checked"], 1);

  Told bytes;
  run("sample", {{"request", {{"count", 4}, {"out", "-"}}}}, bytes);
  EXPECT_EQ(bytes.text, slurp(out));
  EXPECT_EQ(run("runs", Json::object())[0]["run"], "001-vae-pics");
}

TEST_F(Jobs, AllThatIsWrongInARequestIsToldAtOnce) {
  run("train", vae(1));
  run("train", diffusion(1));
  try {
    run("sample", {{"request", {{"run", "1"}, {"count", 0}, {"scael", 2}}},
                   {"sampling", {{"temperature", -1}}}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    const std::string text = error.what();
    EXPECT_NE(text.find("request.count: expected integer >= 1"), std::string::npos) << text;
    EXPECT_NE(text.find("request.scael: unknown setting; did you mean 'request.scale'"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("sampling.temperature: expected"), std::string::npos) << text;
  }
  expect_error(ErrorKind::usage, "request.class: this model was not trained with classes", [&] {
    run("sample", {{"request", {{"run", "1"}, {"class", "3"}}}});
  });
  expect_error(ErrorKind::usage, "is for models of text and series", [&] {
    run("sample", {{"request", {{"length", 3}}}});
  });
  expect_error(ErrorKind::usage, "request.prompt: this model is told no captions", [&] {
    run("sample", {{"request", {{"prompt", "a"}}}});
  });
  expect_error(ErrorKind::usage, "request.strength: is for directions, not for path", [&] {
    run("show", {{"request", {{"run", "2"}, {"what", "path"}, {"strength", 1}}}});
  });
  expect_error(ErrorKind::usage, "expected one of: train, sample",
               [&] { run("bake", Json::object()); });
  expect_error(ErrorKind::usage, "expected a JSON object", [&] { run("sample", Json::array()); });
}

TEST_F(Jobs, ATrainingAndASampleBesideItAreThoseOfQuietRuns) {
  constexpr int64_t kSteps = 60;
  run("train", vae(4));  // 001
  const Json sheet = {
      {"request", {{"run", "1"}, {"count", 20}, {"out", (folder_ / "a.png").string()}}}};
  run("sample", sheet);
  const std::string quiet_picture = slurp(folder_ / "a.png");
  const Json quiet = run("train", transformer(kSteps, 2));  // 002

  std::atomic<bool> training = true;
  Json beside;
  std::thread trainer([&] {
    beside = run("train", transformer(kSteps, 2));  // 003
    training = false;
  });
  int samples = 0;
  while (training) {  // loads a model, whose weights are drawn, and computes with one thread
    run("sample", sheet);
    ++samples;
    EXPECT_EQ(slurp(folder_ / "a.png"), quiet_picture);
  }
  trainer.join();
  EXPECT_GT(samples, 1);
  EXPECT_EQ(beside["weights_sha256"], quiet["weights_sha256"]);
  EXPECT_EQ(beside["validation"], quiet["validation"]);
  EXPECT_NE(beside["run"], quiet["run"]);
}

TEST_F(Jobs, TwoTrainingsBesideEachOtherAreThoseOfQuietRuns) {
  const Json first = transformer(30, 1), second = vae(30);
  const Json quiet[] = {run("train", first), run("train", second)};
  Json beside[2];
  std::thread other([&] { beside[1] = run("train", second); });
  beside[0] = run("train", first);
  other.join();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(beside[i]["weights_sha256"], quiet[i]["weights_sha256"]);
}

TEST_F(Jobs, AThreadHasItsNumberOfThreadsBackAfterAJob) {
  const KeepThreads keep;
  set_threads(3);
  run("train", vae(1));
  EXPECT_EQ(at::get_num_threads(), 3);
  std::thread([&] {
    set_threads(2);
    EXPECT_EQ(at::get_num_threads(), 2);
  }).join();
  EXPECT_EQ(at::get_num_threads(), 3);
}

TEST_F(Jobs, CancelledAnywhereTheyLeaveNothingHalfWritten) {
  run("train", vae(2));             // 1
  run("train", diffusion(2));       // 2
  run("train", transformer(2, 1));  // 3
  const auto out = [&](const char* name) { return folder_ / name; };
  const auto with = [&](Json request, const char* name) {
    request["out"] = out(name).string();
    return Json{{"request", request}};
  };
  EXPECT_GE(cancel_everywhere("sample", with({{"run", "1"}, {"count", 40}}, "a.png"), out("a.png")),
            4);
  EXPECT_GE(
      cancel_everywhere("sample", with({{"run", "1"}, {"count", 20}, {"separate", true}}, "cards"),
                        out("cards")),
      6);
  EXPECT_GE(
      cancel_everywhere("sample", with({{"run", "3"}, {"length", 20}}, "a.txt"), out("a.txt")), 4);
  EXPECT_GE(cancel_everywhere("show", with({{"run", "2"}, {"what", "path"}, {"count", 2}}, "b.png"),
                              out("b.png")),
            4);
  EXPECT_GE(
      cancel_everywhere(
          "show",
          with({{"run", "2"}, {"what", "path"}, {"count", 1}, {"frames", 3}, {"format", "frames"}},
               "frames"),
          out("frames")),
      4);
  run("sample", with({{"run", "1"}, {"count", 1}, {"scale", 1}}, "own.png"));
  EXPECT_GE(
      cancel_everywhere(
          "edit",
          with(
              {{"run", "2"}, {"what", "vary"}, {"files", {out("own.png").string()}}, {"count", 20}},
              "c.png"),
          out("c.png")),
      3);
  const fs::path kept = folder_ / "runs/001-vae-pics/evaluations.jsonl";
  EXPECT_GE(
      cancel_everywhere("evaluate",
                        {{"request", {{"run", "1"}, {"only", "likelihood"}, {"draws", 2}}}}, kept),
      3);
  EXPECT_GE(cancel_everywhere("score", {{"request", {{"run", "1"}, {"draws", 2}}}}, kept), 3);
  fs::create_directories(out("made"));
  for (const char* name : {"made/a.png", "made/b.png"}) {
    run("sample", with({{"run", "1"}, {"count", 1}}, name));
  }
  EXPECT_GE(
      cancel_everywhere("check", {{"request", {{"path", out("made").string()}}}}, out("none")), 3);
}

TEST_F(Jobs, ATrainingCancelledAnywhereIsSavedOrNeverBegan) {
  const std::string whole = run("train", vae(3))["weights_sha256"];
  const fs::path runs = folder_ / "runs";
  int began = 0;
  for (int stop_after = 0;; ++stop_after) {
    const size_t before = list_runs(runs).size();
    Told told;
    told.stop_after = stop_after;
    Json result;
    try {
      result = run("train", vae(3), told);
    } catch (const Cancelled&) {
      EXPECT_EQ(list_runs(runs).size(), before) << stop_after;
      EXPECT_TRUE(leftovers().empty()) << stop_after;
      continue;
    }
    EXPECT_TRUE(leftovers().empty()) << stop_after;
    const fs::path folder = result["run"].get<std::string>();
    for (const fs::path& checkpoint : list_checkpoints(folder)) load_checkpoint(checkpoint, true);
    if (result["signal"] == 0) break;
    ++began;
    EXPECT_EQ(result["signal"], SIGTERM);
    const Json resumed = run("train", {{"request", {{"resume", folder.string()}}}});
    EXPECT_EQ(resumed["weights_sha256"], whole) << stop_after;
  }
  EXPECT_GE(began, 2);
}

}  // namespace
}  // namespace genai
