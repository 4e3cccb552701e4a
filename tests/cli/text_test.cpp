#include <fstream>

#include "cli/tool.h"

namespace genai {
namespace {

class Text : public Cli {
 protected:
  /// A tiny model of sums, or of a text in windows of 16 tokens.
  void train(const Arguments& more = {}, const std::string& data = "sums") {
    Arguments all{"train",
                  "--model",
                  "transformer",
                  "--data",
                  data,
                  "--context",
                  data == "sums" ? "0" : "16",
                  "--steps",
                  "4",
                  "--batch",
                  "8",
                  "--layers",
                  "1",
                  "--heads",
                  "2",
                  "--width",
                  "16",
                  "--warmup",
                  "0",
                  "--threads",
                  "1"};
    all.insert(all.end(), more.begin(), more.end());
    const Outcome trained = genai(all);
    ASSERT_EQ(trained.code, 0) << trained.err;
  }
};

TEST_F(Text, TrainSampleEvaluateScoreAndShow) {
  train();
  EXPECT_TRUE(fs::exists(folder / "runs/001-transformer-sums/samples/step-0000004.txt"));
  const Outcome lines = genai({"sample", "last", "--prompt", "1+1="});
  EXPECT_EQ(lines.code, 0) << lines.err;
  EXPECT_EQ(std::count(lines.out.begin(), lines.out.end(), '\n'), 16);
  EXPECT_TRUE(lines.out.starts_with("1+1="));
  // A number is a text, whatever else is asked for.
  const Outcome one = genai({"sample", "last", "--prompt", "1+1=", "--seed", "5", "-n", "1"});
  std::istringstream all(lines.out);
  std::string sixth;
  for (int i = 0; i < 6; ++i) std::getline(all, sixth);
  EXPECT_EQ(one.out, sixth + "\n");

  const Json sample = json_of({"sample", "last", "-n", "1", "--json"});
  EXPECT_EQ(json_of({"sample", "last", "-n", "3"}).size(), 3u);
  std::string text;
  for (const Json& token : sample["tokens"]) {
    EXPECT_LE(token["log_probability"].get<double>(), 0);
    text += token["text"].get<std::string>();
  }
  EXPECT_EQ(text, sample["text"].get<std::string>() + (sample["end"] == "line" ? "\n" : ""));

  const Json found = json_of({"evaluate", "last", "-n", "20"});
  std::vector<std::string> names;
  for (const Json& metric : found["metrics"]) {
    const std::string name = metric["name"];
    names.push_back(name.substr(0, name.find('@')));
  }
  EXPECT_EQ(names,
            (std::vector<std::string>{"loss", "bits_per_character", "bits_per_byte", "perplexity",
                                      "exact_answers", "longest_copy", "copied_lines"}));
  EXPECT_EQ(genai({"evaluate", "last", "--only", "likelihood", "--require", "loss<=0.1"}).code, 5);

  std::ofstream(folder / "some.txt") << "1+1=2\n\n12+30=42\n";
  const Json scored = json_of({"score", "last", "some.txt"});
  ASSERT_EQ(scored["lines"].size(), 2u);
  EXPECT_LT(scored["lines"][0]["log_probability"].get<double>(), 0);
  EXPECT_EQ(scored["lines"][1]["tokens"], 9);

  const Json next = json_of({"show", "last", "next", "--prompt", "3+"});
  EXPECT_EQ(next["next"].size(), 3u);
  EXPECT_EQ(genai({"show", "last", "next", "--prompt", "3+"}).code, 0);
}

TEST_F(Text, StopsAndFiles) {
  train();
  std::ofstream(folder / "prompt.txt") << "1+\n";
  const Outcome plain = genai({"sample", "last", "--prompt", "@prompt.txt", "-n", "8"});
  EXPECT_EQ(plain.code, 0) << plain.err;
  EXPECT_TRUE(plain.out.starts_with("1+"));
  const Outcome file =
      genai({"sample", "last", "--prompt", "1+", "-n", "8", "--out", "texts/some.txt"});
  EXPECT_EQ(file.out, "texts/some.txt\n");
  EXPECT_EQ(slurp(folder / "texts/some.txt"), plain.out);
}

TEST_F(Text, FilesSayHowTheyWereMade) {
  train();
  const Arguments sample{"sample", "last", "--prompt", "1+", "-n", "8", "--out", "some.txt"};
  ASSERT_EQ(genai(sample).code, 0);
  const std::string text = slurp(folder / "some.txt");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 8);  // the texts and nothing else
  const Json told = json_of({"inspect", "some.txt"});
  EXPECT_EQ(told["unchanged"], true);
  EXPECT_EQ(told["text"]["genai"]["weights_sha256"], weights("runs/001-transformer-sums"));
  EXPECT_EQ(told["text"]["genai"]["request"]["prompt"], "1+");
  EXPECT_EQ(told["text"]["genai"]["run"], "001-transformer-sums");
  EXPECT_EQ(told.dump().find(folder.path().string()), std::string::npos);  // nothing of the machine
  EXPECT_EQ(genai({"check", "some.txt"}).out, "ok      some.txt\n");
  // Written again it is written over, with what stands beside it.
  ASSERT_EQ(genai(sample).code, 0);
  EXPECT_EQ(json_of({"inspect", "some.txt"}), told);
  std::string changed = text;
  changed[4] ^= 1;
  put(folder / "some.txt", changed);
  EXPECT_NE(genai({"inspect", "some.txt"}).out.find("changed since it was written"),
            std::string::npos);
  const Outcome bad = genai({"check", "some.txt"});
  EXPECT_EQ(bad.code, 5);
  EXPECT_NE(bad.out.find("DIFFERS some.txt"), std::string::npos) << bad.out;

  // Running texts of int8, in a folder, as JSON, and samples of the training.
  fs::create_directories(folder / "out");
  for (const std::string name : {"a", "b"}) {
    ASSERT_EQ(genai({"sample", "last", "-n", "3", "--seed", name == "a" ? "0" : "7", "--stop", "1",
                     "--weights", "int8", "--out", "out/" + name + ".txt"})
                  .code,
              0);
  }
  EXPECT_EQ(genai({"check", "out", "-q"}).out, "ok      out/a.txt\nok      out/b.txt\n");
  ASSERT_EQ(genai({"sample", "last", "--json", "-n", "1", "--out", "out/c.json"}).code, 0);
  EXPECT_EQ(Json::parse(slurp(folder / "out/c.json"))["made"]["step"], 4);
  EXPECT_FALSE(fs::exists(folder / "out/c.json.json"));
  const std::string trained = "runs/001-transformer-sums/samples/step-0000004.txt";
  EXPECT_EQ(json_of({"inspect", trained})["text"]["genai"]["request"]["training"], true);
  expect_error(3, {"check", trained}, {"a training under way"});

  // Nothing beside what was not asked for, what is no file, and what is of others.
  ASSERT_EQ(genai({"sample", "last", "--metadata", "none", "--out", "bare.txt"}).code, 0);
  EXPECT_FALSE(fs::exists(folder / "bare.txt.json"));
  expect_error(3, {"inspect", "bare.txt"}, {"bare.txt", "no bare.txt.json of ours is beside it"});
  expect_error(3, {"check", "bare.txt"}, {"bare.txt", "does not say how it was made"});
  ASSERT_EQ(genai({"sample", "last", "--out", "/dev/stdout"}).code, 0);
  put(folder / "mine.txt.json", "{}");
  expect_error(2, {"sample", "last", "--out", "mine.txt"}, {"mine.txt.json", "--metadata none"});
  EXPECT_EQ(slurp(folder / "mine.txt.json"), "{}");
  put(folder / "some.txt.json", "{\"genai\": 1,");
  expect_error(3, {"check", "some.txt"}, {"some.txt.json"});
}

TEST_F(Text, PromptsAndStopsSayLineEnds) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "one two\tthree @four\r\n";
  put(folder / "t.txt", "\xEF\xBB\xBF" + text);
  put(folder / "windows.txt", "\xEF\xBB\xBFone two\r\n");
  train({}, "t.txt");
  const auto prompted = [&](const std::string& prompt) {
    return json_of({"sample", "last", "--length", "1", "--json", "--prompt", prompt})["prompt"]
        .get<std::string>();
  };
  EXPECT_EQ(prompted("one\\ntwo\\tthree"), "one\ntwo\tthree");
  EXPECT_EQ(prompted("one\r\ntwo"), "one\ntwo");
  EXPECT_EQ(prompted("@@four"), "@four");
  EXPECT_EQ(prompted("@windows.txt"), "one two");
  expect_error(3, {"sample", "last", "--prompt", "@nosuch"}, {"no such file 'nosuch'", "@@nosuch"});
  // No mark and no carriage return is a letter; the training file can be scored.
  expect_error(3, {"sample", "last", "--prompt", "a\\\\"}, {"characters", "none of"});
  EXPECT_EQ(genai({"score", "last", "windows.txt"}).code, 0);
  // Whatever comes first of several stops, in any order.
  const Json whole = json_of({"sample", "last", "--length", "200", "--json", "--prompt", "one"});
  const std::string written = whole["text"];
  const auto stopped = [&](const std::string& a, const std::string& b) {
    return json_of({"sample", "last", "--length", "200", "--json", "--prompt", "one", "--stop=" + a,
                    "--stop=" + b})["text"]
        .get<std::string>();
  };
  const std::string late = written.substr(40, 3), early = written.substr(39, 2);
  const size_t first = std::min(written.find(late), written.find(early));
  EXPECT_EQ(stopped(late, early), written.substr(0, first));
  EXPECT_EQ(stopped(early, late), written.substr(0, first));
}

TEST_F(Text, WritingEndsWhenItsReaderDoes) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += concat("line ", i, "\n");
  put(folder / "t.txt", text);
  train({}, "t.txt");
  ToolOptions options = here();
  options.reader_gone = true;
  const Outcome gone = genai({"sample", "last", "--length", "10000000"}, options);
  EXPECT_EQ(gone.code, 1);
  EXPECT_LT(gone.seconds, 20);
  EXPECT_LT(genai({"sample", "last", "-n", "40", "--length", "1000000"}, options).seconds, 20);
  // Prompts end with their input, which is empty here.
  EXPECT_EQ(genai({"sample", "last", "--interactive"}).code, 0);
}

TEST_F(Text, PromptsThatHaveNoAnswerAreToldByTheExitCode) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += concat("line ", i % 7, "\n");
  put(folder / "t.txt", text);
  train({}, "t.txt");
  ToolOptions options = here();
  put(folder / "prompts", "line\n\xC3\xA9\xF0\x9F\x98\x80\nlin\n");
  options.in_file = (folder / "prompts").string();
  const Arguments ask{"sample", "last", "--interactive", "--length", "3"};
  const Outcome plain = genai(ask, options);
  EXPECT_EQ(plain.code, 3);
  EXPECT_NE(plain.err.find("error: "), std::string::npos) << plain.err;
  Arguments ask_json = ask;
  ask_json.push_back("--json");
  const Outcome outcome = genai(ask_json, options);
  EXPECT_EQ(outcome.code, 3);
  std::istringstream lines(outcome.out);
  std::vector<Json> answers;
  for (std::string line; std::getline(lines, line);) {
    answers.push_back(parse_json(line, "an answer", ErrorKind::data));
  }
  ASSERT_EQ(answers.size(), 3u) << outcome.out;
  EXPECT_TRUE(answers[0].contains("tokens"));
  EXPECT_EQ(answers[1]["prompt"], "\xC3\xA9\xF0\x9F\x98\x80");
  EXPECT_TRUE(answers[1].contains("error"));
  EXPECT_TRUE(answers[2].contains("tokens"));
  // A prompt may come from a pipe or device.
  const Outcome piped =
      genai({"sample", "last", "--prompt", "@/dev/stdin", "--length", "3"}, options);
  EXPECT_EQ(piped.code, 3);
  put(folder / "prompts", "line 1");
  EXPECT_EQ(genai({"sample", "last", "--prompt", "@/dev/stdin", "--length", "3"}, options)
                .out.rfind("line 1", 0),
            0u);
}

TEST_F(Text, AMissingFileIsNamedWhateverItsEnding) {
  for (const char* file : {"mispelled.txt", "mispelled.csv", "mispelled"}) {
    for (const char* model : {"transformer", "series", "vae"}) {
      expect_error(3, {"train", "--model", model, "--data", file}, {"no such file", file});
    }
  }
}

TEST_F(Text, DefaultsTakeEveryTokenizerAndScript) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += concat(i * 7919 % 100'000, "x ");
  put(folder / "t.txt", text);
  std::string korean;
  for (int i = 0; i < 4000; ++i) {  // 1,300 syllables
    const int c = 0xAC00 + i * 37 % 1300;
    korean += {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
               static_cast<char>(0x80 | (c & 0x3F))};
  }
  put(folder / "k.txt", korean);
  const Arguments usual{"train", "--model",  "transformer", "--steps", "1",  "--batch", "2",
                        "-q",    "--layers", "1",           "--width", "16", "--data"};
  for (const Arguments& data : {Arguments{"t.txt", "--tokenizer", "bpe"},
                                Arguments{"t.txt", "--tokenizer", "words"}, Arguments{"k.txt"}}) {
    Arguments all = usual;
    all.insert(all.end(), data.begin(), data.end());
    const Outcome trained = genai(all);
    EXPECT_EQ(trained.code, 0) << trained.err;
    const std::string run = trained.out.substr(0, trained.out.find('\n'));
    EXPECT_EQ(Json::parse(slurp(folder / run / "config.json"))["model"]["bigrams"], false);
    all.insert(all.end(), {"--bigrams", "true"});
    expect_error(2, all, {"--bigrams"});
  }
}

TEST_F(Text, ResumesFromAnotherFolder) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += concat("line ", i, "\n");
  put(folder / "t.txt", text);
  train({}, "t.txt");
  fs::create_directories(folder / "other");
  ToolOptions there = here();
  there.folder = folder / "other";
  const std::string run = "../runs/001-transformer-t.txt";
  const Outcome resumed = genai({"train", "--resume", run, "--steps", "6"}, there);
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(genai({"evaluate", run, "--only", "likelihood"}, there).code, 0);
  // A file given anew is found later, too.
  fs::copy_file(folder / "t.txt", folder / "other/t2.txt");
  EXPECT_EQ(genai({"train", "--resume", run, "--data", "t2.txt", "--steps", "7"}, there).code, 0);
  fs::remove(folder / "t.txt");
  EXPECT_EQ(genai({"train", "--resume", "1", "--steps", "8"}).code, 0);
}

TEST_F(Text, ARunOfVersion01Continues) {
  train();
  const fs::path saved = folder / "runs/001-transformer-sums/checkpoints/step-0000004";
  Json json = open_sealed_json(slurp(saved / "manifest.json"), "manifest");
  json["format"] = 1;
  json["data"]["tokenizer"] = Json::parse(slurp(saved / "tokenizer.json"));
  json["files"].erase("tokenizer.json");
  json.erase("folder");
  json["config"]["data"].erase("missing");
  put(saved / "manifest.json", seal_json(json));
  fs::remove(saved / "tokenizer.json");
  const Outcome resumed = genai({"train", "--resume", "last", "--steps", "6"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(genai({"sample", "last"}).code, 0);
}

TEST_F(Text, ContinuesAndStartsFromOtherWeights) {
  train();
  const Outcome resumed = genai({"train", "--resume", "last", "--steps", "6"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  std::ofstream other(folder / "other.txt");
  for (int i = 0; i < 40; ++i) other << i % 7 << "+" << i % 5 << "=" << i % 7 + i % 5 << "\n";
  other.close();
  const Arguments same{"--steps",   "2", "--batch", "4",         "--layers", "1",
                       "--heads",   "2", "--width", "16",        "--warmup", "0",
                       "--threads", "1", "--lines", "--context", "9"};
  Arguments init{"train", "--model", "transformer", "--init", "1", "--data", "other.txt"};
  init.insert(init.end(), same.begin(), same.end());
  const Outcome tuned = genai(init);
  EXPECT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_EQ(genai({"sample", "last", "-n", "1"}).code, 0);
  std::ofstream(folder / "other.txt") << "abc\nabc\nabc\nabd\nabe\n";
  const Outcome strange = genai(init);
  EXPECT_EQ(strange.code, 3);
  EXPECT_NE(strange.err.find("'a'"), std::string::npos) << strange.err;
}

TEST_F(Text, TrainsAdaptersOnTop) {
  train();
  const Arguments top{
      "train", "--model",         "transformer", "--data",      "sums", "--context",
      "0",     "--steps",         "3",           "--batch",     "8",    "--layers",
      "1",     "--heads",         "2",           "--width",     "16",   "--warmup",
      "0",     "--threads",       "1",           "--lora-rank", "2",    "--ema-half-life",
      "8",     "--learning-rate", "0.1"};
  Arguments init = top;
  init.insert(init.end(), {"--init", "1"});
  const Outcome tuned = genai(init);
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  const Outcome base = genai({"sample", "1", "-n", "20"}),
                other = genai({"sample", "2", "-n", "20"});
  EXPECT_EQ(other.code, 0) << other.err;
  EXPECT_NE(base.out, other.out);
  // What was written before the first step is what the run below says.
  EXPECT_EQ(genai({"sample", "2@0", "-n", "20"}).out, base.out);
  EXPECT_EQ(genai({"train", "--resume", "2", "--steps", "4"}).code, 0);
  const Outcome alone = genai(top);
  EXPECT_EQ(alone.code, 2);
  EXPECT_NE(alone.err.find("--init RUN"), std::string::npos) << alone.err;
}

TEST_F(Text, GoesToGpt2AndBack) {
  train({"--positions", "learned", "--mlp", "gelu", "--qk-norm", "false", "--pairs", "false"});
  ASSERT_EQ(genai({"export", "last", "--out", "gpt2"}).code, 0);
  for (const char* file : {"config.json", "model.safetensors", "genai-tokenizer.json"}) {
    EXPECT_TRUE(fs::exists(folder / "gpt2" / file)) << file;
  }
  const Outcome imported = genai({"import", "gpt2"});
  ASSERT_EQ(imported.code, 0) << imported.err;
  std::ofstream(folder / "some.txt") << "1+1=2\n12+30=42\n";
  const Json ours = json_of({"score", "1", "some.txt"}),
             theirs = json_of({"score", "2", "some.txt"});
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(ours["lines"][i]["log_probability"].get<double>(),
                theirs["lines"][i]["log_probability"].get<double>(), 1e-3);
  }
  EXPECT_EQ(genai({"export", "last", "--out", "gpt2"}).code, 2);  // never over what is there
  EXPECT_EQ(genai({"import", "nowhere"}).code, 3);
  fs::remove(folder / "gpt2/model.safetensors");
  EXPECT_EQ(genai({"import", "gpt2"}).code, 3);
}

TEST_F(Text, ForecastsASeries) {
  std::ofstream csv(folder / "s.csv");
  csv << "month,value\n";
  for (int t = 0; t < 200; ++t) csv << t << "," << t % 12 + 0.1 * t + (t * 7919 % 13) * 0.1 << "\n";
  csv.close();
  const Outcome shown =
      genai({"data", "show", "s.csv", "--tokenizer", "differences", "--season", "12"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("180"), std::string::npos) << shown.out;
  EXPECT_EQ(
      json_of({"data", "show", "s.csv", "--tokenizer", "differences"})["validation"]["values"], 20);
  const Outcome trained =
      genai({"train", "--model", "series", "--data", "s.csv", "--column", "value", "--season", "12",
             "--context", "24", "--batch", "4", "--steps", "4", "--warmup", "0", "--threads", "1"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.err.find("--prompt @s.csv"), std::string::npos) << trained.err;
  EXPECT_TRUE(fs::exists(folder / "runs/001-series-s.csv/samples/step-0000004.png"));
  const Json made = json_of({"sample", "last", "--prompt", "@s.csv", "--length", "6", "-n", "30"});
  ASSERT_EQ(made["files"].size(), 2u);
  const std::string numbers = slurp(folder / made["files"][1].get<std::string>());
  EXPECT_EQ(std::count(numbers.begin(), numbers.end(), '\n'), 7);
  EXPECT_EQ(made["quantiles"]["0.5"].size(), 6u);
  const std::string table = made["files"][1];
  EXPECT_EQ(json_of({"inspect", table})["text"]["genai"]["request"]["forecast"], 6);
  expect_error(3, {"check", table}, {"made from a series that it does not hold"});
  EXPECT_EQ(made["options"]["temperature"], 1.0);
  const Json found = json_of({"evaluate", "last", "-n", "10"});
  std::vector<std::string> names;
  for (const Json& metric : found["metrics"]) {
    const std::string name = metric["name"];
    names.push_back(name.substr(0, name.find('@')));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"loss", "mae", "crps", "coverage_80", "mae_last",
                                             "mae_seasonal", "mae_seasonal_drift"}));
  EXPECT_EQ(genai({"show", "last", "next", "--prompt", "@s.csv"}).code, 0);
  const auto refuse = [&](int code, const std::string& part, const Arguments& arguments) {
    const Outcome outcome = genai(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  };
  refuse(2, "--prompt", {"sample", "last"});
  refuse(2, "--stop", {"sample", "last", "--prompt", "@s.csv", "--stop", "x"});
  refuse(2, "--out", {"sample", "last", "--prompt", "@s.csv", "--out", "fan.txt"});
  refuse(2, "forecasts", {"evaluate", "last", "--only", "memorization"});
  refuse(2, "lines", {"score", "last", "s.csv"});
  std::ofstream(folder / "bad.csv") << "a,value\n1,2\n2,two\n";
  refuse(3, "line 3", {"sample", "last", "--prompt", "@bad.csv"});
  refuse(3, "no column 'price'",
         {"train", "--model", "series", "--data", "s.csv", "--column", "price"});
}

TEST_F(Text, RefusesWhatDoesNotFit) {
  train();
  expect_error(2, {"edit", "last", "colorize", "pics/bars/000.png"}, {"makes pictures", "text"});
  expect_error(2, {"sample", "last", "--frames", "3"}, {"--frames", "pictures"});
  const auto refuse = [&](int code, const std::string& part, const Arguments& arguments) {
    const Outcome outcome = genai(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  };
  refuse(2, "--grid: is for pictures", {"sample", "last", "--grid", "2x2"});
  refuse(3, "'z'", {"sample", "last", "--prompt", "z"});
  refuse(2, "--top-k", {"sample", "last", "--top-k", "1000"});
  refuse(2, "--temperature", {"sample", "last", "--temperature", "-1"});
  refuse(2, "temperature", {"sample", "last", "--temperature", "nan"});
  refuse(2, "show: expected RUN and what to show", {"show", "last", "path"});
  refuse(2, "next is text", {"show", "last", "next", "--format", "gif"});
  refuse(2, "learns from images", {"train", "--model", "vae", "--data", "sums"});
  refuse(2, "these presets as --model: image-transformer",
         {"train", "--model", "transformer", "--data", "digits"});
  refuse(2, "these presets as --model: lesson-text-overfit, names",
         {"train", "--model", "image-transformer", "--data", "sums"});
  refuse(2, "--pixel-std", {"train", "--model", "image-transformer", "--pixel-std", "1"});
  refuse(2, "--tokenizer", {"train", "--model", "image-transformer", "--tokenizer", "bpe"});
  std::ofstream(folder / "empty.txt").close();
  refuse(3, "empty", {"train", "--model", "transformer", "--data", "empty.txt"});
  std::ofstream(folder / "short.txt") << "to be or not to be";
  refuse(3, "too few for windows", {"train", "--model", "transformer", "--data", "short.txt"});
  std::ofstream(folder / "bytes.txt") << std::string(300, 'a') << "\xff" << std::string(300, 'b');
  refuse(3, "bytes", {"train", "--model", "transformer", "--data", "bytes.txt"});
}

}  // namespace
}  // namespace genai
