// Score events with the classifiers of a search, from trees_LOW-HIGH.json; C++17, needs only the standard library.
// Arithmetic is that of the search: features, thresholds of nodes, leaves and scores are float.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace cwola {

// A value of a JSON document: texts, numbers, lists and objects, as the export writes them.
struct Json {
    std::string text;
    std::vector<Json> list;
    std::map<std::string, Json> object;
    const Json& operator[](const std::string& key) const { return object.at(key); }
    double number() const { return std::strtod(text.c_str(), nullptr); }
    template <class T> std::vector<T> numbers() const {
        std::vector<T> all;
        for (const Json& one : list) all.push_back(static_cast<T>(one.number()));
        return all;
    }
    static Json parse(const std::string& s, std::size_t& at) {
        auto skip = [&] { while (at < s.size() && std::string(" \n\t\r,:").find(s[at]) != std::string::npos) ++at; };
        skip();
        if (at >= s.size()) throw std::runtime_error("incomplete JSON");
        Json value;
        if (s[at] == '"') {
            const std::size_t end = s.find('"', ++at);
            if (end == std::string::npos) throw std::runtime_error("incomplete JSON");
            value.text = s.substr(at, end - at);
            at = end + 1;
        } else if (s[at] == '[' || s[at] == '{') {
            const bool named = s[at++] == '{';
            for (skip(); at < s.size() && s[at] != ']' && s[at] != '}'; skip()) {
                if (named) { const std::string key = parse(s, at).text; value.object[key] = parse(s, at); }
                else value.list.push_back(parse(s, at));
            }
            if (at++ >= s.size()) throw std::runtime_error("incomplete JSON");
        } else {
            while (at < s.size() && std::string(" \n\t\r,:]}").find(s[at]) == std::string::npos) value.text += s[at++];
        }
        return value;
    }
};

struct Tree {
    std::vector<int> feature, left, right, missing_left;
    std::vector<float> value;  // threshold of a node, or content of a leaf
    float operator()(const std::vector<float>& row) const {
        int node = 0;
        while (feature[node] >= 0) {
            const float x = row[feature[node]];
            node = (std::isnan(x) ? missing_left[node] != 0 : x < value[node]) ? left[node] : right[node];
        }
        return value[node];
    }
};

struct Member {
    float base;
    std::vector<Tree> trees;
    float operator()(const std::vector<float>& row) const {
        float margin = base;
        for (const Tree& tree : trees) margin += tree(row);
        const double exponent = std::min(-margin, 88.7f);  // the largest that xgboost takes
        return 1.0f / (static_cast<float>(std::exp(exponent)) + 1.0f);
    }
};

struct Fold {
    std::vector<Member> members;
    std::vector<std::vector<std::vector<double>>> thresholds;  // [cut][selection]: range of scores equal to the threshold, tie
};

// Classifiers of one window.
class Trees {
public:
    std::vector<std::string> features, selections;

    explicit Trees(const std::string& path) {
        std::ifstream file(path);
        if (!file) throw std::runtime_error("cannot read " + path);
        std::stringstream content;
        content << file.rdbuf();
        std::size_t at = 0;
        const Json document = Json::parse(content.str(), at);
        for (const Json& one : document["features"].list) features.push_back(one.text);
        for (const Json& one : document["selections"].list) selections.push_back(one.text);
        range_ = document["fit_range"].numbers<double>();
        n_folds_ = document["n_folds"].number();
        mean_ = document["cut"].text == "mean";
        for (const Json& fold : document["folds"].list) folds_.push_back(read(fold));
    }

    // Score of each fold: the mean over its members. NaN is an undefined feature.
    std::vector<float> scores(const std::vector<float>& row) const {
        std::vector<float> all;
        for (const Fold& fold : folds_) all.push_back(mean(members(fold, row)));
        return all;
    }

    // For each selection the fraction of folds that let an event pass; mjj in GeV. tie, from 0 to 1, decides between
    // equal scores: draw it at random, or take that of the reference table.
    std::vector<double> passes(const std::vector<float>& row, double mjj, double tie = 0.5) const {
        std::vector<double> counts(selections.size(), 0.0);
        const bool inside = range_[0] <= mjj && mjj < range_[1];
        for (const Fold& fold : folds_) {
            const std::vector<float> each = members(fold, row), cut = mean_ ? std::vector<float>{mean(each)} : each;
            for (std::size_t i = 1; i < counts.size() && inside; ++i) {
                int votes = 0;
                for (std::size_t c = 0; c < cut.size(); ++c) {
                    const std::vector<double>& limit = fold.thresholds[c][i];
                    votes += cut[c] > limit[1] || (cut[c] >= limit[0] && tie > limit[2]);
                }
                counts[i] += static_cast<double>(votes) / cut.size() / n_folds_;
            }
        }
        counts[0] = 1.0;
        return counts;
    }

private:
    std::vector<double> range_;
    double n_folds_ = 0;
    bool mean_ = true;
    std::vector<Fold> folds_;

    static std::vector<float> members(const Fold& fold, const std::vector<float>& row) {
        std::vector<float> all;
        for (const Member& member : fold.members) all.push_back(member(row));
        return all;
    }

    static float mean(const std::vector<float>& values) {
        double sum = 0;
        for (const float value : values) sum += value;
        return static_cast<float>(sum / values.size());
    }

    static Fold read(const Json& document) {
        Fold fold;
        for (const Json& cut : document["thresholds"].list) {
            fold.thresholds.emplace_back();
            for (const Json& one : cut.list) fold.thresholds.back().push_back(one.numbers<double>());
        }
        for (const Json& one : document["members"].list) {
            Member member{static_cast<float>(one["base"].number()), {}};
            for (const Json& tree : one["trees"].list) {
                member.trees.push_back({tree["feature"].numbers<int>(), tree["left"].numbers<int>(),
                                        tree["right"].numbers<int>(), tree["missing_left"].numbers<int>(),
                                        tree["value"].numbers<float>()});
            }
            fold.members.push_back(member);
        }
        return fold;
    }
};

}  // namespace cwola
