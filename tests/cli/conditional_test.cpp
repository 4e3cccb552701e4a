// A model that is told the class, and pictures of which it knows none.
#include "cli/tool.h"

namespace genai {
namespace {

class Conditional : public Cli {
 protected:
  Conditional() {
    Arguments arguments = training({"--steps", "20", "--binarize", "threshold"});
    arguments[2] = "vae-class";
    const Outcome trained = genai(arguments);
    EXPECT_EQ(trained.code, 0) << trained.err;
    int number = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder / "pics")) {
      if (!entry.is_regular_file()) continue;
      copy(entry, concat("flat/", ++number, ".png"));
      copy(entry, concat("others/", number % 3, "/", number, ".png"));
    }
  }

  void copy(const fs::path& from, const std::string& to) const {
    fs::create_directories((folder / to).parent_path());
    fs::copy_file(from, folder / to);
  }

  /// The metric whose name begins so.
  static double value(const Json& result, const std::string& name) {
    for (const Json& metric : result["metrics"]) {
      if (metric["name"].get<std::string>().starts_with(name)) return metric["value"];
    }
    ADD_FAILURE() << name << " is not in " << result["metrics"];
    return 0;
  }
};

TEST_F(Conditional, EvaluatesDataWithItsClassesAndWithout) {
  const auto evaluate = [&](const std::string& data) {
    return json_of({"evaluate", "last", "--only", "likelihood", "--draws", "50", "--data", data});
  };
  const Json known = evaluate("pics");
  EXPECT_GT(value(known, "nll_iw50@pics-test13/threshold/bernoulli"), 0);
  EXPECT_EQ(known.dump().find("unlabelled"), std::string::npos);
  EXPECT_FALSE(known.contains("notes"));
  for (const char* data : {"flat", "others"}) {  // no classes, and three of other names
    const Json unknown = evaluate(data);
    const std::string protocol = concat("@", data, "-test");
    const double nll = value(unknown, "nll_iw50" + protocol);
    EXPECT_TRUE(std::isfinite(nll));
    EXPECT_NEAR(nll, value(known, "nll_iw50"), 30) << data;
    EXPECT_NE(unknown.dump().find("/bernoulli/unlabelled"), std::string::npos);
    EXPECT_NE(unknown.dump().find("has not the classes of the model"), std::string::npos);
  }
}

TEST_F(Conditional, ScoresThemToo) {
  const Json known = json_of({"score", "last"});
  EXPECT_NE(value(known, "log_likelihood_iw10@pics-test13/threshold"), 0);
  EXPECT_EQ(known.dump().find("unlabelled"), std::string::npos);
  for (const char* data : {"flat", "others"}) {
    const Json unknown = json_of({"score", "last", data});
    EXPECT_NE(unknown.dump().find("/threshold/unlabelled"), std::string::npos) << data;
  }
  // Beside a set without classes both are scored without: the same pictures are not told apart.
  for (const Arguments& sets :
       {Arguments{"flat", "--against", "pics"}, Arguments{"pics", "--against", "flat"}}) {
    Arguments arguments{"score", "last"};
    arguments.insert(arguments.end(), sets.begin(), sets.end());
    const Json both = json_of(arguments);
    EXPECT_NEAR(value(both, "auroc_log_likelihood_iw10@"), 0.5, 0.2);
    EXPECT_NE(both.dump().find("/unlabelled"), std::string::npos);
    EXPECT_NE(both.dump().find("'flat-test"), std::string::npos);
  }
  const Outcome shown = genai({"score", "last", "flat"});
  EXPECT_NE(shown.out.find("note: 'flat-test"), std::string::npos) << shown.out;
  const Outcome single = genai({"score", "last", "flat/3.png"});
  EXPECT_EQ(single.code, 0) << single.err;
  EXPECT_NE(single.out.find("of 13 test images have less"), std::string::npos) << single.out;
}

}  // namespace
}  // namespace genai
