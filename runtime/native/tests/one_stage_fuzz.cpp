// Random descriptions of one-stage outputs with random values; for the sanitizers, too. Buffers are exactly as large as
// the slots need. What must hold: the order and range of detections, that layouts mean the same, and that a threshold
// or a limit only leaves out what is below it.
// Usage: one_stage_fuzz [rounds] [seed]
#include <algorithm>
#include <cstring>

#include "fuzz.h"
#include "one_stage.h"

namespace pocketdet {
namespace {

// All values of a kind, [anchor][element], before they are laid out.
struct Table {
    int elements;
    std::vector<float> values;
};

struct Problem {
    OneStageSpec spec;
    std::vector<Table> tables;  // classes, objectness, boxes of each coding
};

BoxCoding random_coding(Fuzz& fuzz) {
    ElementOrder elements;
    for (int i = 3; i > 0; --i) std::swap(elements.order.data()[i], elements.order.data()[fuzz.integer(0, i)]);
    for (double& factor : elements.multiplier) factor = fuzz.integer(0, 1) == 0 ? 1.0 : 0.1;
    const auto unit = static_cast<Unit>(fuzz.integer(0, 3));
    const int form = fuzz.integer(0, 2);
    if (form == 0) {
        return CxcywhCoding{elements,
                            static_cast<Origin>(fuzz.integer(0, 1)),
                            static_cast<CentreActivation>(fuzz.integer(0, 2)),
                            2.0,
                            -0.5,
                            unit,
                            static_cast<SizeActivation>(fuzz.integer(0, 4)),
                            static_cast<Unit>(fuzz.integer(0, 3)),
                            4.0};
    }
    if (form == 2) return XyxyCoding{elements, fuzz.integer(0, 1) == 0 ? Unit::pixel : Unit::input};
    const int bins = fuzz.integer(1, 4);
    const auto activation = bins > 1 ? DistanceActivation::none : static_cast<DistanceActivation>(fuzz.integer(0, 2));
    return DistanceCoding{elements, activation, unit, bins, 4.0};
}

Scores random_scores(Fuzz& fuzz) {
    constexpr double kPowers[] = {0.0, 0.4, 1.0, 2.0};
    Scores scores;
    scores.activation = static_cast<Activation>(fuzz.integer(0, 2));
    scores.background = static_cast<Background>(fuzz.integer(0, 2));
    scores.objectness_activation = static_cast<Activation>(fuzz.integer(0, 2));
    scores.class_power = kPowers[fuzz.integer(0, 3)];
    scores.objectness_power = kPowers[fuzz.integer(0, 3)];
    return scores;
}

Selection random_selection(Fuzz& fuzz) {
    constexpr double kThresholds[] = {0.0, 1e-5, 0.05, 0.5, 0.97};
    Selection selection;
    selection.score_threshold = kThresholds[fuzz.integer(0, 4)];
    selection.best_class_only = fuzz.integer(0, 1) == 0;
    if (fuzz.integer(0, 3) == 0) selection.objectness_threshold = 0.2;
    if (fuzz.integer(0, 3) == 0) selection.top_n_objectness = fuzz.integer(1, 30);
    if (fuzz.integer(0, 3) == 0) selection.top_n_per_level = fuzz.integer(1, 20);
    if (fuzz.integer(0, 3) == 0) selection.top_n = fuzz.integer(1, 20);
    selection.clip = fuzz.integer(0, 1) == 0;
    selection.min_size = fuzz.integer(0, 1);
    selection.nms = static_cast<Suppression>(fuzz.integer(0, 3));
    selection.per_class = fuzz.integer(0, 1) == 0;
    selection.max_detections = fuzz.integer(0, 1) == 0 ? 3 : 1000;
    return selection;
}

Problem random_problem(Fuzz& fuzz) {
    Problem problem;
    OneStageSpec& spec = problem.spec;
    spec.input_size = {48, 64};
    spec.num_classes = fuzz.integer(1, 5);
    spec.scores = random_scores(fuzz);
    spec.selection = random_selection(fuzz);
    for (int i = fuzz.integer(1, 2); i > 0; --i) spec.codings.push_back(random_coding(fuzz));
    for (int i = fuzz.integer(1, 3); i > 0; --i) {
        Level level;
        level.grid = {fuzz.integer(1, 30), fuzz.integer(1, 30)};
        level.strides = {0.25 * fuzz.integer(4, 64), 0.25 * fuzz.integer(4, 64)};
        for (int a = fuzz.integer(1, 3); a > 0; --a) level.anchors.push_back({8.0 * a, 6.0 * a});
        level.offset = 0.5 * fuzz.integer(0, 1);
        level.boxes.resize(spec.codings.size());
        level.objectness.emplace();
        spec.levels.push_back(level);
    }
    problem.tables = {{spec.class_elements(), {}}, {spec.objectness_elements(), {}}};
    for (const BoxCoding& coding : spec.codings) problem.tables.push_back({elements_of(coding), {}});
    for (Table& table : problem.tables) {
        table.values.resize(static_cast<size_t>(spec.count()) * static_cast<size_t>(table.elements));
        for (float& value : table.values) {
            value = fuzz.integer(0, 9) == 0 ? fuzz.number() : 0.5f * static_cast<float>(fuzz.integer(-6, 6));
        }
    }
    return problem;
}

// The same values in layouts of their own choice: names, slots, and memory with some floats between the rows.
class Laid {
public:
    Laid(Problem problem, Fuzz& fuzz) : spec(std::move(problem.spec)) {
        size_t first_anchor = 0;
        for (Level& level : spec.levels) {
            for (size_t kind = 0; kind < problem.tables.size(); ++kind) {
                OutputField& field = kind == 0 ? level.classes : kind == 1 ? *level.objectness : level.boxes[kind - 2];
                const Table& table = problem.tables[kind];
                const bool split = kind > 1 && fuzz.integer(0, 2) == 0;
                if (kind > 1) level.sizes.emplace_back();
                if (split)
                    lay(level, level.sizes.back().emplace(), table, {table.elements / 2, table.elements}, first_anchor,
                        fuzz);
                const int end = split ? table.elements / 2 : table.elements;
                lay(level, field, table, {0, end}, first_anchor, fuzz);
            }
            if (fuzz.integer(0, 1) == 0 && !std::any_of(level.sizes.begin(), level.sizes.end(), has_value)) {
                level.sizes.clear();
            }
            first_anchor += static_cast<size_t>(level.count());
        }
    }

    std::vector<Detection> decode(OneStageWorkspace& workspace) const {
        const OneStageDecoder decoder(spec);
        CHECK(shape_error(spec, shapes_).empty());
        std::vector<OutputView> views;
        for (const std::string& name : decoder.outputs()) views.push_back(views_.at(name));
        std::vector<Detection> detections;
        decoder.decode(views, workspace, detections);
        return detections;
    }

    OneStageSpec spec;

private:
    static bool has_value(const std::optional<OutputField>& field) { return field.has_value(); }

    struct Range {
        int begin, end;
        int count() const { return end - begin; }
    };

    // Rows with anchors innermost, outermost, with rows in between, or with the anchors of a cell in one row.
    static void arrange_rows(OutputField& field, const Level& level, int count, Fuzz& fuzz) {
        const auto each = static_cast<int>(level.anchors.size());
        field.first_row = fuzz.integer(0, 2);
        field.element_step = fuzz.integer(1, 2);
        const int arrangement = fuzz.integer(0, 3);
        if (arrangement == 1) {
            field.cell_step = 1;
            field.anchor_step = static_cast<int>(level.cells());
        } else if (arrangement == 2) {
            field.cell_step = 2 * each + 1;
            field.anchor_step = 2;
        } else if (arrangement == 3) {
            field.anchor_step = 0;
            field.anchor_channels = count * field.element_step;
        }
    }

    void lay(const Level& level, OutputField& field, const Table& table, Range range, size_t first_anchor, Fuzz& fuzz) {
        const auto each = static_cast<int>(level.anchors.size());
        field = OutputField{};
        field.output = "o" + std::to_string(buffers_.size());
        field.layout = static_cast<FieldLayout>(fuzz.integer(0, 2));
        field.first = fuzz.integer(0, 1);
        const bool is_map = field.layout == FieldLayout::map;
        if (is_map) {
            const bool interleaved = fuzz.integer(0, 1) == 0;
            field.anchor_channels = interleaved ? 1 : range.count();
            field.element_step = interleaved ? each : 1;
        } else {
            arrange_rows(field, level, range.count(), fuzz);
        }
        const int64_t channels =
            field.first + (each - 1) * field.anchor_channels + (range.count() - 1) * field.element_step + 1;
        const int64_t rows =
            field.first_row + (level.cells() - 1) * level.cell_step(field) + (each - 1) * field.anchor_step + 1;
        const bool is_rows = field.layout == FieldLayout::rows;
        std::vector<int64_t>& shape = shapes_[field.output];
        shape = {channels, rows};
        if (is_map) shape = {channels, level.grid[0], level.grid[1]};
        if (is_rows) shape = {rows, channels};
        const int64_t inner = is_map ? level.cells() : shape[1];
        const int64_t outer = is_rows ? rows : channels;
        const int64_t stride = inner + fuzz.integer(0, 2);
        buffers_.push_back(fuzz.numbers(static_cast<size_t>((outer - 1) * stride + inner)));
        const OutputView view{buffers_.back().get(), stride};
        views_[field.output] = view;
        const FieldReader reader = reader_of(field, level, view);
        for (int64_t i = 0; i < level.count(); ++i) {
            for (int k = range.begin; k < range.end; ++k) {
                const float* place = reader.at(i / each, i % each) + (k - range.begin) * reader.element;
                const size_t from = (first_anchor + static_cast<size_t>(i)) * static_cast<size_t>(table.elements);
                buffers_.back()[static_cast<size_t>(place - view.data)] = table.values[from + static_cast<size_t>(k)];
            }
        }
    }

    std::vector<std::unique_ptr<float[]>> buffers_;
    std::map<std::string, OutputView> views_;
    std::map<std::string, std::vector<int64_t>> shapes_;
};

bool same(const std::vector<Detection>& a, const std::vector<Detection>& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
        if (std::memcmp(&a[i], &b[i], sizeof a[i]) != 0) return false;
    }
    return true;
}

void check_order(const std::vector<Detection>& found, const OneStageSpec& spec) {
    CHECK(found.size() <= static_cast<size_t>(spec.selection.max_detections));
    for (size_t i = 0; i < found.size(); ++i) {
        const Detection& d = found[i];
        CHECK(is_finite(d.box) && d.box.x2 > d.box.x1 && d.box.y2 > d.box.y1);
        CHECK(d.score > static_cast<float>(spec.selection.score_threshold));
        CHECK(d.label >= 0 && d.label < spec.num_classes && d.index >= 0 && d.index < spec.count());
        if (spec.selection.clip) CHECK(d.box.x1 >= 0 && d.box.y1 >= 0 && d.box.x2 <= 64 && d.box.y2 <= 48);
        if (i == 0) continue;
        const Detection& before = found[i - 1];
        CHECK(before.score >= d.score);
        if (before.score > d.score) continue;
        CHECK(before.label < d.label || (before.label == d.label && before.index < d.index));
    }
    if (spec.selection.nms != Suppression::hard) return;
    for (size_t i = 0; i < found.size(); ++i) {
        for (size_t j = 0; j < i; ++j) {
            if (spec.selection.per_class && found[i].label != found[j].label) continue;
            CHECK(iou(found[i].box, area_of(found[i].box), found[j].box, area_of(found[j].box)) <= 0.5f);
        }
    }
}

// With nothing but the threshold, what is found is what is found without it, above it.
void check_threshold(const Problem& problem, Fuzz& fuzz, OneStageWorkspace& workspace) {
    Problem bare = problem;
    bare.spec.selection = Selection{};
    bare.spec.selection.nms = Suppression::none;
    bare.spec.selection.max_detections = 10'000;
    bare.spec.selection.score_threshold = 0.0;
    const std::vector<Detection> all = Laid(bare, fuzz).decode(workspace);
    if (all.size() == 10'000) return;
    const double threshold = problem.spec.selection.score_threshold;
    bare.spec.selection.score_threshold = threshold;
    std::vector<Detection> above;
    for (const Detection& d : all) {
        if (d.score > static_cast<float>(threshold)) above.push_back(d);
    }
    CHECK(same(Laid(bare, fuzz).decode(workspace), above));
}

// Fewer detections asked for are the first of more.
void check_prefix(const Problem& problem, Fuzz& fuzz, OneStageWorkspace& workspace) {
    Problem limited = problem;
    limited.spec.selection.max_detections = 10'000;
    const std::vector<Detection> all = Laid(limited, fuzz).decode(workspace);
    if (all.empty()) return;
    const int most = fuzz.integer(1, std::min(20, static_cast<int>(all.size())));
    limited.spec.selection.max_detections = most;
    CHECK(same(Laid(limited, fuzz).decode(workspace), {all.begin(), all.begin() + most}));
}

}  // namespace
}  // namespace pocketdet

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 300;
    const unsigned seed = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
    pocketdet::Fuzz fuzz(seed);
    pocketdet::OneStageWorkspace workspace;  // kept, so that stale contents are part of the test
    size_t detections = 0;
    for (int round = 0; round < rounds; ++round) {
        const pocketdet::Problem problem = pocketdet::random_problem(fuzz);
        const std::vector<pocketdet::Detection> found = pocketdet::Laid(problem, fuzz).decode(workspace);
        pocketdet::check_order(found, problem.spec);
        CHECK(pocketdet::same(found, pocketdet::Laid(problem, fuzz).decode(workspace)));
        pocketdet::check_threshold(problem, fuzz, workspace);
        pocketdet::check_prefix(problem, fuzz, workspace);
        detections += found.size();
    }
    std::printf("one_stage_fuzz: %d rounds passed, %zu detections\n", rounds, detections);
    return detections > 0 ? 0 : 1;
}
