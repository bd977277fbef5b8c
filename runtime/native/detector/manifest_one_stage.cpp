// The fields of a one-stage detector (runtime/bundle/one_stage.py).
#include <algorithm>
#include <initializer_list>
#include <set>
#include <stdexcept>
#include <utility>

#include "errors.h"
#include "manifest_fields.h"
#include "one_stage_load.h"
#include "one_stage_read.h"

namespace pocketdet {

namespace {

using Words = std::initializer_list<std::pair<const char*, const char*>>;  // earlier, current

void rename_fields(Json& record, Words names) {
    if (!record.is_object()) return;
    for (const auto& [earlier, current] : names) {
        if (!record.contains(earlier) || record.contains(current)) continue;
        record[current] = record[earlier];
        record.erase(earlier);
    }
}

void rename_value(Json& record, const char* name, Words words) {
    if (!record.is_object() || !record.contains(name)) return;
    for (const auto& [earlier, current] : words) {
        if (record[name] == earlier) record[name] = current;
    }
}

void rename_output_field(Json& field) {
    rename_fields(field, {{"prior_step", "anchor_channels"}});
    if (!field.is_array()) return;
    for (Json& each : field) rename_output_field(each);
}

// The words of version 4 in the decode of an earlier manifest (spec/one_stage_words.py).
Json current_words(Json decode) {
    if (!decode.is_object()) return decode;
    if (decode.contains("levels") && decode["levels"].is_array()) {
        for (Json& level : decode["levels"]) {
            rename_fields(level, {{"priors", "anchors"}});
            for (const char* name : {"classes", "objectness", "boxes", "sizes"}) {
                if (level.is_object() && level.contains(name)) rename_output_field(level[name]);
            }
        }
    }
    if (decode.contains("codings") && decode["codings"].is_array()) {
        for (Json& coding : decode["codings"]) {
            rename_fields(coding, {{"form", "encoding"}});
            rename_value(coding, "encoding", {{"centre", "cxcywh"}, {"corner", "xyxy"}});
            for (const char* name : {"origin", "centre_unit", "size_unit", "unit"}) {
                rename_value(coding, name, {{"prior", "anchor"}});
            }
        }
    }
    return decode;
}

OneStageSpec load_decode(const Field& field, const ManifestReader& reader) {
    const std::string& label = reader.label;
    const Json document = reader.version < 4 ? current_words(field.value()) : field.value();
    OneStageSpec spec = OneStageLoader<Field, Record>::load(Field(document, "decode", label));
    try {
        check_spec(spec);
    } catch (const std::invalid_argument& error) {
        throw BundleError(label + ": field 'decode': " + error.what());
    }
    return spec;
}

// Every output that a field names, whether it is read or not.
std::set<std::string> outputs_named(const OneStageSpec& spec) {
    std::set<std::string> names;
    for (const Level& level : spec.levels) {
        names.insert(level.classes.output);
        if (level.objectness) names.insert(level.objectness->output);
        for (const OutputField& field : level.boxes) names.insert(field.output);
        for (const std::optional<OutputField>& field : level.sizes) {
            if (field) names.insert(field->output);
        }
    }
    return names;
}

void check_input(const TensorSpec& input, Size size, const std::string& label) {
    const std::vector<int> expected = {3, size.height, size.width};
    if (input.role == "image" && input.shape == expected) return;
    throw BundleError(label + ": graph 'model': expected one input 'image' " + tensor_shape(expected) + ", found '" +
                      input.role + "' " + tensor_shape(input.shape));
}

void check_outputs(const OneStageParts& parts, const std::string& label) {
    const std::string graph = label + ": graph 'model': ";
    std::set<std::string> unmade = outputs_named(parts.decode);
    std::map<std::string, std::vector<int64_t>> shapes;
    for (const TensorSpec& output : parts.model.outputs) {
        if (unmade.erase(output.role) == 0) {
            throw BundleError(graph + "output '" + output.role + "' is made twice, or no field of decode names it");
        }
        if (output.shape.size() > 3 || std::count(output.shape.begin(), output.shape.end(), kAnyCount) != 0) {
            throw BundleError(graph + "output '" + output.role + "': expected one to three lengths, found " +
                              tensor_shape(output.shape));
        }
        shapes[output.role].assign(output.shape.begin(), output.shape.end());
    }
    if (!unmade.empty()) throw BundleError(graph + "has no output '" + *unmade.begin() + "', which decode names");
    const std::string problem = shape_error(parts.decode, shapes);
    if (!problem.empty()) throw BundleError(label + ": decode: " + problem);
}

}  // namespace

OneStageParts load_one_stage(Record& record, const Manifest& manifest, ManifestReader& reader) {
    OneStageParts parts;
    Record graphs(record.need("graphs"));
    parts.model = reader.graph(graphs.need("model"));
    graphs.finish();
    parts.model.has_int8 = manifest.weight_storage == "int8";
    parts.decode = load_decode(record.need("decode"), reader);
    check_input(parts.model.input, manifest.input, reader.label);
    const Size size = parts.decode.input();
    if (size.height != manifest.input.height || size.width != manifest.input.width) {
        throw BundleError(reader.label + ": field 'decode.input_size': expected " +
                          tensor_shape({manifest.input.height, manifest.input.width}) + ", found " +
                          tensor_shape({size.height, size.width}));
    }
    if (static_cast<size_t>(parts.decode.num_classes) != manifest.class_names.size()) {
        throw BundleError(reader.label + ": field 'decode.num_classes': expected " +
                          std::to_string(manifest.class_names.size()) + ", as many as class_names, found " +
                          std::to_string(parts.decode.num_classes));
    }
    check_outputs(parts, reader.label);
    return parts;
}

}  // namespace pocketdet
