// Class scores: docs/reference/one-stage.md steps 1 to 4. Bounds on raw values reject most anchors without computing a
// score.
#pragma once

#include <vector>

#include "one_stage_read.h"
#include "one_stage_spec.h"

namespace pocketdet {

// The values of one level. Anchor indices continue from level to level.
struct LevelView {
    const Level* level;
    uint32_t first_anchor;
    FieldReader classes, objectness;
    std::vector<FieldReader> boxes;                 // one per coding
    std::vector<std::optional<FieldReader>> sizes;  // one per coding: the second half of its elements

    uint32_t anchors_per_cell() const { return static_cast<uint32_t>(level->anchors.size()); }
    uint32_t end() const { return first_anchor + static_cast<uint32_t>(level->count()); }
    const float* values(const FieldReader& reader, uint32_t anchor) const {
        return reader.at((anchor - first_anchor) / anchors_per_cell(), (anchor - first_anchor) % anchors_per_cell());
    }
};

struct ClassScore {
    int32_t label;
    float score;
};

class ScoreRule {
public:
    explicit ScoreRule(const OneStageSpec& spec);

    // Appends the anchors of the level that may have a score above the threshold. May include others.
    void candidates_above(const LevelView& view, std::vector<uint32_t>& anchors) const;

    // Whether all elements of the anchor are finite.
    bool is_finite(const LevelView& view, uint32_t anchor) const;

    // Returns the objectness after its activation.
    float objectness(const LevelView& view, uint32_t anchor) const;

    // Scores of the anchor above the threshold by ascending label; at most one with best_class_only.
    //
    // powers: scratch. found: output.
    void score(const LevelView& view, uint32_t anchor, std::vector<double>& powers,
               std::vector<ClassScore>& found) const;

private:
    // The elements that are compared with a bound, after subtraction of the background element.
    struct Scan {
        bool of_objectness;
        int first, count;
        int background;  // or kNone
        float bound;     // -inf: no bound exists
    };
    static constexpr int kNone = -1;

    Scan plan() const;
    void scan_tables(const FieldReader& reader, const LevelView& view, std::vector<uint32_t>& anchors) const;
    void scan_planes(const FieldReader& reader, const LevelView& view, std::vector<uint32_t>& anchors) const;
    void keep(ClassScore score, std::vector<ClassScore>& found) const;

    Scores rule_;
    bool best_class_only_, uses_objectness_;
    int classes_, class_elements_, objectness_elements_, first_class_;
    std::vector<int> box_elements_;
    float threshold_;
    // A class value in [0, min_class_value_] with a factor in [0, 1] has no score above the threshold.
    float min_class_value_;
    float min_class_logit_;  // the same bound before the sigmoid; -inf if there is none
    Scan scan_;
};

}  // namespace pocketdet
