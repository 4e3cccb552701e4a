#include "genai/report/report.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <regex>
#include <set>

#include "base/temp_folder.h"
#include "genai/base/files.h"
#include "genai/base/png.h"
#include "genai/report/html.h"
#include "genai/report/tables.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

const std::string kProtocol = "@digits-test8/dynbin-seed0/bernoulli";

/// A run with one tiny checkpoint at a step, as training leaves it.
std::string save(const fs::path& run, int64_t step, double weight = 0, const Json& seed = 1) {
  fs::create_directories(run);
  Manifest m;
  m.step = step;
  m.steps = 100;
  m.preset = "vae";
  m.config = {{"model", {{"family", "vae"}, {"latent", 20}}},
              {"data", {{"source", "/secret/place/pics"}, {"dir", "/secret/place"}}},
              {"training", {{"learning_rate", 1e-3}, {"seed", seed}}}};
  m.data = {.source = "pics", .classes = {"a", "b"}, .train_count = 60000, .test_count = 8};
  m.numerics = {.cpu = "AVX2", .libtorch = "2.13.0"};
  m.objective = "nelbo";
  m.validation = {{"nelbo", 101.25}, {"kl", 20.5}};
  m.best_step = step;
  m.best_value = 101.25;
  save_checkpoint(run, m,
                  {{"dense.weight", at::full({3, 4}, weight)}, {"dense.bias", at::zeros({4})}}, {});
  return m.weights_sha256();
}

Metric nll(const Tensor& items) {
  return mean_metric("nll_iw5" + kProtocol, items, "nats");
}

Tensor eight(double mean) {
  return at::arange(8, at::kDouble) * 3 + mean;
}

class Reports : public testing::Test {
 protected:
  fs::path run(const std::string& name) const { return folder / name; }

  Report report(const std::vector<std::string>& names) const {
    std::vector<std::string> references;
    for (const std::string& name : names) references.push_back((folder / name).string());
    return collect_report(references, folder / "runs");
  }

  TempFolder folder;
};

TEST_F(Reports, ColumnsAreRunsStepsAndSamplingSettings) {
  const std::string sha = save(run("a"), 10);
  const auto keep = [&](const Json& sampling, std::vector<Metric> metrics,
                        const std::string& note = "a note") {
    keep_evaluation(run("a"), {.step = 10,
                               .weights_sha256 = sha,
                               .sampling = sampling,
                               .metrics = std::move(metrics),
                               .notes = {note}});
  };
  keep(nullptr, {nll(eight(1))});
  keep({{"count", 8}, {"options", {{"guidance", 0}}}}, {{.name = "fid@8", .value = 5}}, "stale");
  keep({{"count", 8}, {"options", {{"guidance", 2}}}}, {{.name = "fid@8", .value = 4}});
  keep({{"count", 8}, {"options", {{"guidance", 0}}}},
       {{.name = "fid@8", .value = 3}, {.name = "fid@9", .value = 7}});
  const Report found = report({"a"});
  ASSERT_EQ(found.columns.size(), 2u);
  EXPECT_EQ(found.columns[0].label, "a@10, guidance 0");
  EXPECT_EQ(found.columns[1].label, "a@10, guidance 2");
  ASSERT_EQ(found.rows.size(), 3u);
  EXPECT_EQ(found.rows[0].name, "nll_iw5" + kProtocol);  // measured without samples: in both
  EXPECT_TRUE(found.rows[0].values[0] && found.rows[0].values[1]);
  EXPECT_EQ(found.rows[0].unpaired, "same measurement");
  EXPECT_EQ(found.rows[1].values[0]->value, 3);  // the later one
  EXPECT_EQ(found.rows[1].values[1]->value, 4);
  EXPECT_EQ(found.rows[2].name, "fid@9");  // another protocol, another row
  EXPECT_FALSE(found.rows[2].values[1]);
  EXPECT_EQ(found.notes, std::vector<std::string>{"a@10, guidance 0; a@10, guidance 2: a note"});
}

TEST_F(Reports, ShowTheCheckpointNamedOrEvaluatedLast) {
  const std::string old = save(run("a"), 10), late = save(run("a"), 20, 1);
  keep_evaluation(run("a"), {.step = 20, .weights_sha256 = late, .metrics = {nll(eight(2))}});
  keep_evaluation(run("a"), {.step = 10, .weights_sha256 = old, .metrics = {nll(eight(1))}});
  EXPECT_EQ(report({"a"}).columns.at(0).label, "a@10");
  EXPECT_EQ(report({"a@20"}).columns.at(0).label, "a@20");
  EXPECT_EQ(report({"a@best"}).columns.at(0).label, "a@20");
  const Report both = report({"a", "a@20", "a@10"});  // the first twice
  ASSERT_EQ(both.columns.size(), 2u);
  EXPECT_EQ(both.runs[0].name, "a@10");
  EXPECT_EQ(both.rows[0].difference->value, 1);
  expect_error(ErrorKind::usage, "10, 20", [&] { report({"a@30"}); });
  expect_error(ErrorKind::usage, "no run", [&] { report({"nothing"}); });

  save(run("a"), 30, 2);  // step 10 is not kept
  const Report gone = report({"a"});
  EXPECT_EQ(gone.columns.at(0).metrics.at(0).value, nll(eight(1)).value);
  ASSERT_EQ(gone.notes.size(), 1u);
  EXPECT_NE(gone.notes[0].find("no longer kept"), std::string::npos);
  EXPECT_EQ(gone.runs[0].weights, 0);
  EXPECT_EQ(report({"a@30"}).columns.size(), 0u);
}

TEST_F(Reports, ADamagedLineIsNamedAndTheOthersKeepTheirItems) {
  const std::string sha = save(run("a"), 10), other = save(run("b"), 10, 1);
  keep_evaluation(run("a"), {.step = 10, .weights_sha256 = sha, .metrics = {nll(eight(7))}});
  keep_evaluation(run("a"), {.step = 10, .weights_sha256 = sha, .metrics = {nll(eight(1))}});
  keep_evaluation(run("b"), {.step = 10, .weights_sha256 = other, .metrics = {nll(eight(2))}});
  std::string log = slurp(run("a") / "evaluations.jsonl");
  log[log.find("step")] ^= 1;
  put(run("a") / "evaluations.jsonl", log);
  const Report found = report({"a", "b"});
  ASSERT_EQ(found.notes.size(), 1u);
  EXPECT_NE(found.notes[0].find("evaluations.jsonl, line 1"), std::string::npos);
  ASSERT_TRUE(found.rows[0].difference) << found.rows[0].unpaired;
  EXPECT_EQ(found.rows[0].difference->value, 1);
  EXPECT_EQ(found.rows[0].difference->standard_error, 0);  // of the items of its own line
}

TEST_F(Reports, OtherWeightsOfTheSameStepAreToldApart) {
  const std::string before = save(run("a"), 10, 1);
  keep_evaluation(run("a"), {.step = 10, .weights_sha256 = before, .metrics = {nll(eight(1))}});
  const std::string after = save(run("a"), 10, 2);
  const Report stale = report({"a"});
  EXPECT_EQ(stale.rows.size(), 1u);
  ASSERT_EQ(stale.notes.size(), 1u);
  EXPECT_NE(stale.notes[0].find("trained again"), std::string::npos);
  keep_evaluation(run("a"), {.step = 10, .weights_sha256 = after, .metrics = {nll(eight(5))}});
  const Report fresh = report({"a"});
  EXPECT_TRUE(fresh.notes.empty());
  EXPECT_EQ(fresh.rows.at(0).values[0]->value, nll(eight(5)).value);
}

TEST_F(Reports, DifferencesAreOfEqualItems) {
  const Tensor wiggle = at::tensor({0.1, -0.1, 0.1, -0.1, 0.1, -0.1, 0.1, -0.1}, at::kDouble);
  const auto keep = [&](const char* name, std::vector<Metric> metrics) {
    const std::string sha = save(run(name), 10, name[0]);
    keep_evaluation(run(name), {.step = 10, .weights_sha256 = sha, .metrics = std::move(metrics)});
  };
  Metric no_items = nll(eight(0));
  no_items.name = "kl@p";
  no_items.items = Tensor();
  // The scatter of overlapping subsets is no standard error.
  const auto subsets = [&](double mean) {
    return Metric{.name = "kid@p", .value = mean, .spread = 1e-3};
  };
  const auto better = [](double value, double error) {
    return Metric{
        .name = "recall@p", .value = value, .standard_error = error, .better = Better::higher};
  };
  keep("a", {nll(eight(1)), no_items, better(0.5, 0.01), mean_metric("x@p", eight(0)), subsets(1)});
  keep("b", {nll(eight(0.5) + wiggle), no_items, better(0.6, 0.01),
             mean_metric("x@p", eight(0).narrow(0, 0, 7)), subsets(100)});
  const Report two = report({"a", "b"});
  const ReportRow& paired = two.rows.at(0);
  // Both have an error of 2.6; item by item b is 0.5 +- 0.04 lower.
  ASSERT_TRUE(paired.difference);
  EXPECT_NEAR(paired.difference->value, -0.5, 1e-6);
  EXPECT_NEAR(paired.difference->standard_error, 0.1 * std::sqrt(8.0 / 7 / 8), 1e-6);
  EXPECT_EQ(paired.best, 1u);
  EXPECT_EQ(two.rows.at(1).unpaired, "not paired (no items)");
  EXPECT_FALSE(two.rows.at(1).best);   // equal
  EXPECT_EQ(two.rows.at(2).best, 1u);  // 0.1 against 0.014
  EXPECT_EQ(two.rows.at(3).unpaired, "not paired (other items)");
  EXPECT_FALSE(two.rows.at(3).best);
  EXPECT_EQ(two.rows.at(4).unpaired, "not paired (no items)");
  EXPECT_FALSE(two.rows.at(4).best);

  keep("c", {nll(eight(0.5)), better(0.605, 0.01)});
  const Report three = report({"a", "b", "c"});
  EXPECT_FALSE(three.rows.at(0).best);  // b and c cannot be told apart
  EXPECT_FALSE(three.rows.at(0).difference);
  EXPECT_EQ(three.rows.at(0).unpaired, "");
  keep("d", {better(0.9, 0)});  // without an error nothing is clear
  EXPECT_FALSE(report({"a", "d"}).rows.at(2).best);

  std::string items = slurp(run("a") / "evaluations/0001.safetensors");
  put(run("a") / "evaluations/0001.safetensors", items.substr(0, 20));
  expect_error(ErrorKind::data, "0001.safetensors", [&] { report({"a", "b"}); });
  EXPECT_EQ(report({"a"}).columns.size(), 1u);  // nothing to compare: not read
}

TEST_F(Reports, AsText) {
  const std::string a = save(run("a"), 10), b = save(run("x|y"), 10, 1, "a,\"b\"");
  Metric kid{.name = "kid@p|q",
             .value = 0.00312,
             .spread = 0.00041,
             .count = 8,
             .floor = 0.0,
             .real = 0.0001};
  keep_evaluation(run("a"), {.step = 10, .weights_sha256 = a, .metrics = {nll(eight(1)), kid}});
  keep_evaluation(run("x|y"), {.step = 10, .weights_sha256 = b, .metrics = {nll(eight(0))}});
  const Report found = report({"a", "x|y"});

  const std::string text = report_table(found);
  EXPECT_NE(text.find("0.00312 (sd 0.00041)"), std::string::npos) << text;
  EXPECT_NE(text.find("11.5 +- 2.6"), std::string::npos) << text;
  EXPECT_NE(text.find("*10.5 +- 2.6"), std::string::npos) << text;
  EXPECT_NE(text.find("  training.seed: 1 -> \"a,\\\"b\\\"\""), std::string::npos) << text;
  EXPECT_EQ(text.find("secret"), std::string::npos) << text;

  std::istringstream markdown(report_markdown(found));
  int rows = 0;
  for (std::string line; std::getline(markdown, line);) {
    if (!line.starts_with('|')) continue;
    ++rows;
    const std::string cells = std::regex_replace(line, std::regex(R"(\\\|)"), "");
    EXPECT_EQ(std::count(cells.begin(), cells.end(), '|'), 10) << line;
  }
  EXPECT_EQ(rows, 4);

  const std::string csv = report_csv(found);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 4);
  EXPECT_NE(csv.find("\r\na,10,vae,pics,,"), std::string::npos) << csv;
  EXPECT_NE(csv.find(",kid,p|q,0.00312,,0.00041,8,,lower,0.0,0.0001\r\n"), std::string::npos)
      << csv;

  const Json json = to_json(found);
  EXPECT_EQ(json["columns"].size(), 2u);
  EXPECT_EQ(json["metrics"][0]["values"][1]["value"], nll(eight(0)).value);
  EXPECT_EQ(json["metrics"][0]["best"], 1);
  EXPECT_EQ(json["metrics"][0]["difference"]["value"], -1);
  EXPECT_TRUE(json["metrics"][1]["values"][1].is_null());
  EXPECT_EQ(json.dump().find("secret"), std::string::npos);
}

TEST_F(Reports, ValuesCannotLeaveTheirCells) {
  const std::string a = save(run("=cmd()"), 10, 0, "```\n# free"),
                    b = save(run("b"), 10, 1, "````");
  keep_evaluation(run("=cmd()"), {.step = 10, .weights_sha256 = a, .metrics = {nll(eight(-50))}});
  keep_evaluation(run("b"), {.step = 10, .weights_sha256 = b, .metrics = {nll(eight(0))}});
  const Report found = report({"=cmd()", "b"});
  const std::string csv = report_csv(found), markdown = report_markdown(found);
  EXPECT_NE(csv.find("\r\n'=cmd(),10,"), std::string::npos) << csv;  // no formula
  EXPECT_NE(csv.find(",-39.5,"), std::string::npos) << csv;          // but numbers are numbers
  EXPECT_NE(markdown.find("\n`````\n"), std::string::npos) << markdown;
  EXPECT_EQ(markdown.find("\n# free"), std::string::npos) << markdown;
}

TEST_F(Reports, WithoutEvaluationsTheyTellOfTraining) {
  save(run("a"), 10);
  put(run("a") / "metrics.jsonl",
      "{\"step\":5,\"seconds\":2.5,\"train\":{\"loss\":3.5}}\n"
      "{\"step\":10,\"seconds\":5.5,\"test\":{\"nelbo\":101.25,\"odd\":null}}\n"
      "{\"step\":15,\"seconds\":99,\"train\":{\"loss\":2.5}}\n{\"torn");
  const Report found = report({"a"});
  EXPECT_TRUE(found.columns.empty());
  EXPECT_EQ(found.runs[0].seconds, 5.5);
  EXPECT_EQ(found.runs[0].weights, 16);
  for (const std::string& text : {report_table(found), report_markdown(found)}) {
    EXPECT_NE(text.find("nelbo 101.25"), std::string::npos) << text;
    EXPECT_NE(text.find("not evaluated yet"), std::string::npos) << text;
  }
  EXPECT_NE(report_table(found).find("genai evaluate " + run("a").string()), std::string::npos);
  const std::string page = report_html(found);
  EXPECT_NE(page.find("genai evaluate a<"), std::string::npos);
  EXPECT_NE(page.find("<polyline"), std::string::npos);
}

// --- the page ------------------------------------------------------------------------------------

/// The page with empty pictures: what remains is small, and all of it ours.
std::string without_pictures(std::string page) {
  const std::string begin = "data:image/png;base64,";
  for (size_t at = 0; (at = page.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    const size_t end = page.find_first_not_of(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", at);
    page.erase(at, end - at);
  }
  return page;
}

/// Expects every element to be closed where it was opened.
void expect_balanced(const std::string& page) {
  const std::set<std::string> never_closed{"meta", "img", "!doctype"};
  std::vector<std::string> open;
  static const std::regex tag(R"(<(/?)([A-Za-z!][A-Za-z0-9]*)((?:[^<>"]|"[^"]*")*)>)");
  size_t tags = 0;
  for (std::sregex_iterator it(page.begin(), page.end(), tag), end; it != end; ++it, ++tags) {
    const std::string name = (*it)[2];
    if (never_closed.count(name)) continue;
    if ((*it)[1] == "") {
      open.push_back(name);
    } else {
      ASSERT_FALSE(open.empty()) << "</" << name << "> without a beginning";
      ASSERT_EQ(open.back(), name) << page.substr(static_cast<size_t>(it->position()), 80);
      open.pop_back();
    }
  }
  EXPECT_TRUE(open.empty());
  // Nothing that begins like a tag is none.
  EXPECT_EQ(static_cast<size_t>(std::count(page.begin(), page.end(), '<')), tags);
}

void expect_self_contained(const std::string& page) {
  for (const char* part : {"http:", "https:", "//", "<script", "<link", "<iframe", "@import",
                           "url(", "javascript:", "/secret", " style="}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
  static const std::regex source(R"(\bsrc="(?!data:image/png;base64,)|\son[a-z]+=")");
  std::smatch match;
  EXPECT_FALSE(std::regex_search(page, match, source)) << match.str();
  EXPECT_NE(page.find("default-src &#39;none&#39;"), std::string::npos);
}

std::string noise_png(int64_t width, int64_t height, uint32_t seed) {
  Image image{.width = width, .height = height, .channels = 3};
  for (int64_t i = 0; i < width * height * 3; ++i) {
    image.pixels.push_back(static_cast<uint8_t>((seed = seed * 1664525u + 1013904223u) >> 24));
  }
  return encode_png(image);
}

TEST_F(Reports, APageNeedsNothingButItself) {
  const std::string hostile = "<img src=x onerror=alert(1)>&\"'";
  const std::string a = save(run("a"), 10, 0, hostile), b = save(run(hostile), 20, 1);
  put(run("a") / "metrics.jsonl", "{\"step\":1,\"train\":{\"<b>loss\":3.5}}\n");
  fs::create_directories(run("a") / "samples");
  put(run("a") / "samples/step-0000010.png", noise_png(8, 8, 1));
  put(run(hostile) / "report", "");
  Json confusion = {{"classes", {"<i>", "b"}}, {"counts", {{9, 1}, {0, 10}}}};
  keep_evaluation(run("a"), {.step = 10,
                             .weights_sha256 = a,
                             .sampling = {{"count", 8}, {"<b>", hostile}},
                             .metrics = {nll(eight(1)), {.name = "<b>@" + hostile, .value = -2}},
                             .details = {{"confusion", confusion},
                                         {"class_shares", {{"<0>", 0.1}, {"1", 0.9}}},
                                         {"matrix", {{1.5, 2}, {3, nullptr}}},
                                         {"negative", {-1, 2}},
                                         {"series", std::vector<double>(100, 0.5)},
                                         {hostile, {{"x", {{"y", hostile}}}}},
                                         {"nothing", nullptr}},
                             .notes = {hostile},
                             .pictures = {{"samples", noise_png(8, 8, 2)}}});
  keep_evaluation(run(hostile), {.step = 20, .weights_sha256 = b, .metrics = {nll(eight(2))}});
  Report found = report({"a", hostile});
  found.runs[0].command = "genai train --seed '" + hostile + "'";
  const std::string whole = report_html(found), page = without_pictures(whole);
  expect_balanced(page);
  expect_self_contained(page);
  EXPECT_EQ(whole, report_html(found));
  EXPECT_EQ(page.find("<img src=x"), std::string::npos);
  for (const char* part : {"&lt;img src=x", "class=\"h9\"", "class=\"curves\"", "class=\"marks\"",
                           "class=\"bar\"", "class=\"differs\"", "genai train --seed"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(page.find(folder.path().string()), std::string::npos);
  size_t pictures = 0;
  for (size_t at = 0; (at = page.find("<img ", at)) != std::string::npos; ++at) ++pictures;
  EXPECT_EQ(pictures, 2u);
}

TEST_F(Reports, APageHasNoRoomForTheLargestPictures) {
  const std::string sha = save(run("a"), 10);
  keep_evaluation(run("a"), {.step = 10,
                             .weights_sha256 = sha,
                             .metrics = {nll(eight(1))},
                             .pictures = {{"big", noise_png(760, 760, 1)},
                                          {"small", noise_png(300, 300, 2)},
                                          {"wide", noise_png(1400, 20, 3)}}});
  const std::string page = report_html(report({"a"}));
  expect_balanced(without_pictures(page));
  EXPECT_LE(page.size(), kMaxPage);
  EXPECT_NE(page.find("0001-big.png: left out"), std::string::npos);
  EXPECT_EQ(page.find("0001-small.png: left out"), std::string::npos);
  EXPECT_EQ(page.find("0001-wide.png"), std::string::npos);

  put(run("a") / "evaluations/0001-small.png", "damaged");
  EXPECT_NE(report_html(report({"a"})).find("missing or damaged"), std::string::npos);
  // A record from elsewhere must not show the reader's other files.
  Json line = read_checked_lines(slurp(run("a") / "evaluations.jsonl"), "").lines.at(0).object;
  put(folder / "private.png", noise_png(8, 8, 4));
  line["pictures"]["small"] = "../private.png";
  put(run("a") / "evaluations.jsonl", checked_line(line) + "\n");
  EXPECT_NE(report_html(report({"a"})).find("not a file of the run"), std::string::npos);
}

}  // namespace
}  // namespace genai
