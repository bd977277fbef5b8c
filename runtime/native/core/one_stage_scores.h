// Class scores, docs/reference/one-stage.md steps 1 to 4, and bounds that keep most priors from being computed at all.
#pragma once

#include <vector>

#include "one_stage_read.h"
#include "one_stage_spec.h"

namespace pocketdet {

// One level's values. Priors are counted on through the levels.
struct LevelView {
    const Level* level;
    uint32_t first_prior;
    SlotReader classes, objectness;
    std::vector<SlotReader> boxes;  // one per coding

    uint32_t priors_per_cell() const { return static_cast<uint32_t>(level->priors.size()); }
    uint32_t end() const { return first_prior + static_cast<uint32_t>(level->count()); }
    const float* values(const SlotReader& reader, uint32_t prior) const {
        return reader.at((prior - first_prior) / priors_per_cell(), (prior - first_prior) % priors_per_cell());
    }
};

// The label and score of a candidate.
struct ClassScore {
    int32_t label;
    float score;
};

class ScoreRule {
public:
    explicit ScoreRule(const OneStageSpec& spec);

    // Appends every prior of the level that may have a score above the threshold; some that have none, too.
    void promising(const LevelView& view, std::vector<uint32_t>& priors) const;

    // Whether every element that is read is finite.
    bool is_finite(const LevelView& view, uint32_t prior) const;

    float objectness(const LevelView& view, uint32_t prior) const;

    // The labels of a prior whose score is above the threshold, ascending; at most one with best_class_only.
    // `powers` is scratch.
    void score(const LevelView& view, uint32_t prior, std::vector<double>& powers,
               std::vector<ClassScore>& found) const;

private:
    // What is compared with a bound: some elements, less one of them that is the background.
    struct Scan {
        bool of_objectness;
        int first, count;
        int background;  // or kNone
        float bound;     // -inf: nothing is known without computing it
    };
    static constexpr int kNone = -1;

    Scan plan() const;
    void scan_tables(const SlotReader& reader, const LevelView& view, std::vector<uint32_t>& priors) const;
    void scan_planes(const SlotReader& reader, const LevelView& view, std::vector<uint32_t>& priors) const;
    void keep(ClassScore score, std::vector<ClassScore>& found) const;

    Scores rule_;
    bool best_class_only_, uses_objectness_;
    int classes_, class_elements_, objectness_elements_, first_class_;
    std::vector<int> box_elements_;
    float threshold_;
    float least_value_;  // no class value in 0..least_value_ with a factor in 0..1 makes a score above the threshold
    float least_raw_;    // the same before a sigmoid; -inf where there is no such bound
    Scan scan_;
};

}  // namespace pocketdet
