// The decode of one-stage detectors, from the description that pocketdet/one_stage_spec.py holds.
#include <mutex>

#include "arrays.h"
#include "one_stage.h"
#include "one_stage_load.h"

namespace pocketdet::python {

using namespace nb::literals;

namespace {

// An attribute of a Python record; for one_stage_load.h.
class Attribute {
public:
    Attribute(nb::object value, std::string path) : value_(std::move(value)), path_(std::move(path)) {}

    int64_t integer(int64_t low, int64_t high) const {
        const auto number = cast<int64_t>("an integer");
        return check_range(path_.c_str(), number, low, high);
    }
    double number(double, double) const { return cast<double>("a number"); }
    bool boolean() const { return cast<bool>("True or False"); }
    std::string text(size_t, size_t) const { return cast<std::string>("a text"); }
    bool is_null() const { return value_.is_none(); }
    bool is_list() const { return nb::isinstance<nb::tuple>(value_); }
    std::string one_of(std::initializer_list<const char*> choices) const {
        const std::string found = text(0, 0);
        std::string expected;
        for (const char* choice : choices) {
            if (found == choice) return found;
            expected += (expected.empty() ? "'" : " or '") + std::string(choice) + "'";
        }
        reject(path_.c_str(), expected, "'" + found + "'");
    }
    std::vector<Attribute> list(size_t low, size_t high) const {
        const nb::tuple items = cast<nb::tuple>("a tuple");
        if (items.size() < low || items.size() > high) {
            reject(path_.c_str(), std::to_string(low) + " to " + std::to_string(high) + " entries",
                   std::to_string(items.size()));
        }
        std::vector<Attribute> elements;
        for (size_t i = 0; i < items.size(); ++i) {
            elements.emplace_back(nb::borrow(items[i]), path_ + "[" + std::to_string(i) + "]");
        }
        return elements;
    }

    Attribute need(const char* name) const {
        const std::string path = path_ + "." + name;
        if (!nb::hasattr(value_, name)) reject(path.c_str(), "an attribute of a OneStageSpec", "none");
        return {nb::object(value_.attr(name)), path};
    }

private:
    template <class T>
    T cast(const char* expected) const {
        T result;
        if (!nb::try_cast<T>(value_, result)) reject(path_.c_str(), expected, value_);
        return result;
    }

    nb::object value_;
    std::string path_;
};

class Attributes {
public:
    explicit Attributes(const Attribute& record) : record_(record) {}
    Attribute need(const char* name) const { return record_.need(name); }
    std::optional<Attribute> maybe(const char* name) const { return record_.need(name); }
    void finish() const {}

private:
    const Attribute& record_;
};

class BoundDecoder {
public:
    explicit BoundDecoder(const nb::object& spec)
        : decoder_(OneStageLoader<Attribute, Attributes>::load(Attribute(spec, "spec"))) {}

    nb::tuple decode(const nb::dict& outputs) {
        std::map<std::string, std::vector<int64_t>> shapes;
        std::vector<ReadArray> owners;
        std::vector<OutputView> views;
        for (const std::string& name : decoder_.outputs()) {
            if (!outputs.contains(name.c_str())) continue;
            ReadArray array = load_output(outputs[name.c_str()], "outputs['" + name + "']");
            std::vector<int64_t>& shape = shapes[name];
            for (size_t axis = 0; axis < array.ndim(); ++axis) shape.push_back(static_cast<int64_t>(array.shape(axis)));
            views.push_back({floats_of(array), static_cast<std::ptrdiff_t>(array.stride(0))});
            owners.push_back(std::move(array));
        }
        const std::string problem = shape_error(decoder_.spec(), shapes);
        if (!problem.empty()) throw nb::value_error(problem.c_str());
        std::vector<Detection> found;
        {
            const nb::gil_scoped_release released;
            OneStageWorkspace workspace = borrow();
            decoder_.decode(views, workspace, found);
            give_back(std::move(workspace));
        }
        return to_tuple(found);
    }

private:
    // Every thread that decodes at the moment has a workspace of its own.
    OneStageWorkspace borrow() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (idle_.empty()) return {};
        OneStageWorkspace workspace = std::move(idle_.back());
        idle_.pop_back();
        return workspace;
    }
    void give_back(OneStageWorkspace workspace) {
        const std::lock_guard<std::mutex> lock(mutex_);
        idle_.push_back(std::move(workspace));
    }

    OneStageDecoder decoder_;
    std::mutex mutex_;
    std::vector<OneStageWorkspace> idle_;
};

}  // namespace

void bind_one_stage(nb::module_& module) {
    nb::class_<BoundDecoder>(module, "OneStageDecoder",
                             "The decode of one-stage detectors, docs/reference/one-stage.md, for a `OneStageSpec`.")
        .def(nb::init<const nb::object&>(), "spec"_a.none())
        .def("decode", &BoundDecoder::decode, "outputs"_a,
             "Detections from float32 outputs of one image by name, without batch dimension; all but their first axis\n"
             "in C order.\n\n"
             "Returns boxes (D, 4) in network pixels, scores (D,), int32 labels (D,), int32 anchor indices (D,); by\n"
             "score, then label, then anchor. Threads may share a decoder.");
}

}  // namespace pocketdet::python
