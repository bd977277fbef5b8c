#include "one_stage.h"

#include <algorithm>
#include <tuple>

#include "one_stage_boxes.h"
#include "ranking.h"

namespace pocketdet {

namespace {

OneStageSpec checked(OneStageSpec spec) {
    check_spec(spec);
    return spec;
}

NmsMethod soft_method(Suppression nms) {
    return nms == Suppression::gaussian ? NmsMethod::gaussian : NmsMethod::linear;
}

const LevelView& level_containing(const std::vector<LevelView>& levels, uint32_t anchor) {
    size_t i = levels.size() - 1;
    while (levels[i].first_anchor > anchor) --i;
    return levels[i];
}

bool ranks_before(const Detection& a, const Detection& b) {
    return std::make_tuple(-a.score, a.label, a.index) < std::make_tuple(-b.score, b.label, b.index);
}

}  // namespace

OneStageDecoder::OneStageDecoder(OneStageSpec spec)
    : spec_(checked(std::move(spec))),
      score_rule_(spec_),
      outputs_(output_names(spec_)),
      nms_rule_{soft_method(spec_.selection.nms), static_cast<float>(spec_.selection.nms_iou),
                static_cast<float>(spec_.selection.sigma), static_cast<float>(spec_.selection.score_threshold)},
      max_detections_(static_cast<size_t>(spec_.selection.max_detections)) {}

void OneStageDecoder::decode(const std::vector<OutputView>& outputs, OneStageWorkspace& workspace,
                             std::vector<Detection>& detections) const {
    detections.clear();
    view_levels(outputs, workspace.levels);
    find_candidates(workspace);
    const Suppression nms = spec_.selection.nms;
    const bool soft = nms == Suppression::linear || nms == Suppression::gaussian;
    soft ? suppress_soft(workspace, detections) : suppress_hard(workspace, detections);
    std::sort(detections.begin(), detections.end(), ranks_before);
    if (detections.size() > max_detections_) detections.resize(max_detections_);
}

void OneStageDecoder::view_levels(const std::vector<OutputView>& outputs, std::vector<LevelView>& levels) const {
    const auto reader = [&](const OutputField& field, const Level& level) {
        const auto name = std::find(outputs_.begin(), outputs_.end(), field.output);
        return reader_of(field, level, outputs[static_cast<size_t>(name - outputs_.begin())]);
    };
    levels.resize(spec_.levels.size());
    uint32_t first = 0;
    for (size_t i = 0; i < levels.size(); ++i) {
        const Level& level = spec_.levels[i];
        LevelView& view = levels[i];
        view.level = &level;
        view.first_anchor = first;
        view.classes = reader(level.classes, level);
        if (spec_.uses_objectness()) view.objectness = reader(*level.objectness, level);
        view.boxes.clear();
        view.sizes.clear();
        for (size_t k = 0; k < level.boxes.size(); ++k) {
            view.boxes.push_back(reader(level.boxes[k], level));
            const OutputField* sizes = level.size_field(k);
            view.sizes.emplace_back();
            if (sizes != nullptr) view.sizes.back() = reader(*sizes, level);
        }
        first = view.end();
    }
}

void OneStageDecoder::find_candidates(OneStageWorkspace& workspace) const {
    workspace.anchors.clear();
    if (spec_.limits_objectness()) {
        select_by_objectness(workspace);
    } else {
        for (const LevelView& view : workspace.levels) score_rule_.candidates_above(view, workspace.anchors);
    }
    const Selection& rule = spec_.selection;
    workspace.keys.clear();
    auto anchor = workspace.anchors.begin();
    for (const LevelView& view : workspace.levels) {
        std::vector<uint64_t>& keys = workspace.level_keys;
        keys.clear();
        for (; anchor != workspace.anchors.end() && *anchor < view.end(); ++anchor) {
            score_anchor(view, *anchor, workspace);
        }
        if (rule.top_n_per_level) keep_top(keys, static_cast<size_t>(*rule.top_n_per_level));
        workspace.keys.insert(workspace.keys.end(), keys.begin(), keys.end());
    }
    keep_top(workspace.keys, static_cast<size_t>(rule.top_n.value_or(INT32_MAX)));
}

void OneStageDecoder::select_by_objectness(OneStageWorkspace& workspace) const {
    const Selection& rule = spec_.selection;
    const float threshold = static_cast<float>(rule.objectness_threshold.value_or(0.0));
    workspace.keys.clear();
    for (const LevelView& view : workspace.levels) {
        for (uint32_t anchor = view.first_anchor; anchor < view.end(); ++anchor) {
            const float objectness = score_rule_.objectness(view, anchor);
            if (rule.objectness_threshold && !(objectness > threshold)) continue;
            if (score_rule_.is_finite(view, anchor)) workspace.keys.push_back(rank_key(objectness, anchor));
        }
    }
    if (rule.top_n_objectness) keep_top(workspace.keys, static_cast<size_t>(*rule.top_n_objectness));
    for (const uint64_t key : workspace.keys) workspace.anchors.push_back(rank_index(key));
    std::sort(workspace.anchors.begin(), workspace.anchors.end());
}

void OneStageDecoder::score_anchor(const LevelView& view, uint32_t anchor, OneStageWorkspace& workspace) const {
    score_rule_.score(view, anchor, workspace.powers, workspace.scores);
    if (workspace.scores.empty() || !score_rule_.is_finite(view, anchor)) return;
    const uint32_t first_pair = anchor * static_cast<uint32_t>(spec_.num_classes);
    for (const ClassScore& found : workspace.scores) {
        workspace.level_keys.push_back(rank_key(found.score, first_pair + static_cast<uint32_t>(found.label)));
    }
}

Box OneStageDecoder::decode_coding(const LevelView& view, size_t coding, uint32_t anchor, const Box& reference,
                                   std::vector<float>& elements) const {
    const BoxCoding& rule = spec_.codings[coding];
    const FieldReader& first = view.boxes[coding];
    const float* values = view.values(first, anchor);
    if (!view.sizes[coding]) {
        return decode_step(rule, values, first.element, reference, view.level->strides, spec_.input());
    }
    const FieldReader& second = *view.sizes[coding];
    const float* size_values = view.values(second, anchor);
    const int half = elements_of(rule) / 2;
    elements.clear();
    for (int k = 0; k < half; ++k) elements.push_back(values[k * first.element]);
    for (int k = 0; k < half; ++k) elements.push_back(size_values[k * second.element]);
    return decode_step(rule, elements.data(), 1, reference, view.level->strides, spec_.input());
}

bool OneStageDecoder::decode_box(OneStageWorkspace& workspace, uint64_t key, Detection& detection) const {
    const uint32_t classes = static_cast<uint32_t>(spec_.num_classes);
    const uint32_t anchor = rank_index(key) / classes;
    const LevelView& view = level_containing(workspace.levels, anchor);
    const uint32_t place = anchor - view.first_anchor;
    Box box = anchor_box(*view.level, place / view.anchors_per_cell(), place % view.anchors_per_cell());
    for (size_t i = 0; i < spec_.codings.size(); ++i) {
        box = decode_coding(view, i, anchor, box, workspace.elements);
    }
    if (spec_.selection.clip) box = clip(box, spec_.input());
    detection = {box, rank_score(key), static_cast<int32_t>(rank_index(key) % classes), static_cast<int32_t>(anchor)};
    const float least = static_cast<float>(spec_.selection.min_size);
    const float sides[2] = {box.x2 - box.x1, box.y2 - box.y1};
    const bool has_sides = sides[0] > 0.0f && sides[1] > 0.0f && sides[0] >= least && sides[1] >= least;
    return is_finite(box) && has_sides;
}

// The remaining candidates have no higher scores, but equal scores rank by label before anchor.
bool OneStageDecoder::have_enough(const std::vector<Detection>& detections, float next_score) const {
    return detections.size() >= max_detections_ && next_score < detections.back().score;
}

void OneStageDecoder::suppress_hard(OneStageWorkspace& workspace, std::vector<Detection>& detections) const {
    const Selection& rule = spec_.selection;
    const bool suppress = rule.nms != Suppression::none;
    workspace.kept.resize(rule.per_class ? static_cast<size_t>(spec_.num_classes) : 1);
    for (KeptBoxes& kept : workspace.kept) kept.clear();
    for (const uint64_t key : workspace.keys) {
        if (have_enough(detections, rank_score(key))) return;
        Detection detection;
        if (!decode_box(workspace, key, detection)) continue;
        if (suppress) {
            KeptBoxes& kept = workspace.kept[rule.per_class ? static_cast<size_t>(detection.label) : 0];
            const float area = area_of(detection.box);
            if (!std::isfinite(detection.score)) continue;
            if (kept.overlaps(detection.box, area, nms_rule_.iou_threshold)) continue;
            kept.push(detection.box, area);
        }
        detections.push_back(detection);
    }
}

// Sorts the candidates of each group by anchor and label, so that ties resolve to the lower index.
void OneStageDecoder::fill_pools(OneStageWorkspace& workspace) const {
    std::vector<Detection>& valid = workspace.valid;
    valid.clear();
    for (const uint64_t key : workspace.keys) {
        Detection detection;
        if (decode_box(workspace, key, detection) && std::isfinite(detection.score)) valid.push_back(detection);
    }
    const bool per_class = spec_.selection.per_class;
    std::sort(valid.begin(), valid.end(), [&](const Detection& a, const Detection& b) {
        return per_class ? std::tie(a.label, a.index) < std::tie(b.label, b.index)
                         : std::tie(a.index, a.label) < std::tie(b.index, b.label);
    });
    workspace.boxes.clear();
    workspace.pool.clear();
    workspace.groups.clear();
    for (size_t i = 0; i < valid.size(); ++i) {
        const bool first = i == 0 || (per_class && valid[i].label != valid[i - 1].label);
        if (first) workspace.groups.push_back({i, 0, 0});
        ++workspace.groups.back().left;
        workspace.boxes.push_back(valid[i].box);
        workspace.pool.push_back({valid[i].score, static_cast<int32_t>(i)});
    }
}

// Suppression only lowers scores, so the best candidate of all groups is always final.
void OneStageDecoder::suppress_soft(OneStageWorkspace& workspace, std::vector<Detection>& detections) const {
    fill_pools(workspace);
    const auto find_best = [&](OneStageWorkspace::Group& group) {
        if (group.left > 0) group.best = best_position(&workspace.pool[group.start], group.left);
    };
    for (OneStageWorkspace::Group& group : workspace.groups) find_best(group);
    for (;;) {
        OneStageWorkspace::Group* best = nullptr;
        const auto score_of = [&](const OneStageWorkspace::Group& group) {
            return workspace.pool[group.start + group.best].score;
        };
        for (OneStageWorkspace::Group& group : workspace.groups) {
            if (group.left > 0 && (best == nullptr || score_of(group) > score_of(*best))) best = &group;
        }
        if (best == nullptr || have_enough(detections, score_of(*best))) return;
        Detection detection = workspace.valid[static_cast<size_t>(workspace.pool[best->start + best->best].index)];
        detection.score = score_of(*best);
        detections.push_back(detection);
        best->left =
            pop_and_suppress(&workspace.pool[best->start], best->left, best->best, workspace.boxes.data(), nms_rule_);
        find_best(*best);
    }
}

}  // namespace pocketdet
