#include "golden.h"

#include <lodepng.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>

#include "errors.h"
#include "json_fields.h"

namespace pocketdet {

namespace {

constexpr int64_t kMaxStagesBytes = int64_t{256} << 20;
constexpr uint64_t kMaxHeaderBytes = uint64_t{1} << 20;

struct TypeInfo {
    const char* name;
    ArrayType type;
    size_t bytes;
};
constexpr TypeInfo kTypes[] = {{"F32", ArrayType::float32, 4}, {"F64", ArrayType::float64, 8},
                               {"I32", ArrayType::int32, 4},   {"I64", ArrayType::int64, 8},
                               {"U8", ArrayType::uint8, 1},    {"BOOL", ArrayType::boolean, 1}};
constexpr size_t kMaxStages = 1024;
constexpr int64_t kMaxGoldenPixels = int64_t{1} << 24;
constexpr uint8_t kPng[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr uint8_t kRgb[] = {8, 2, 0, 0, 0};  // of IHDR: bits, colour type, compression, filter, interlacing
constexpr size_t kRgbAt = 24;

const TypeInfo& info_of(ArrayType type) {
    return *std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeInfo& t) { return t.type == type; });
}

uint64_t little_endian(const uint8_t* bytes) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = (value << 8) | bytes[i];
    return value;
}

// Refuses a PNG that is larger than its header's size explains, before the rest is decompressed.
void check_file_size(const std::vector<uint8_t>& png, const std::string& label) {
    constexpr uint64_t kOverhead = 1024;  // bytes, and 1% of the pixels' bytes: what chunks and stored blocks add
    const auto side = [&png](size_t at) {
        uint64_t value = 0;
        for (size_t i = at; i < at + 4; ++i) value = (value << 8) | png[i];
        return value;
    };
    const uint64_t width = side(16), height = side(20), expected = height * (1 + 3 * width);
    if (png.size() > expected + expected / 100 + kOverhead) {
        throw ImageError(label + ": the golden image is damaged: " + std::to_string(png.size()) + " bytes for " +
                         std::to_string(width) + " x " + std::to_string(height) + " pixels");
    }
}

// The contents of a PNG's IDAT chunks; empty if there are others between header and end, or bytes after it.
std::vector<uint8_t> image_data(const std::vector<uint8_t>& png) {
    constexpr size_t kChunkBytes = 12;
    std::vector<uint8_t> data;
    for (size_t at = sizeof kPng; png.size() - at >= kChunkBytes;) {
        const uint8_t* chunk = png.data() + at;
        const auto is = [chunk](const char* name) { return lodepng_chunk_type_equals(chunk, name) != 0; };
        const size_t length = lodepng_chunk_length(chunk);
        if (length > png.size() - at - kChunkBytes) return {};
        at += kChunkBytes + length;
        if (is("IEND")) return at == png.size() ? data : std::vector<uint8_t>();
        if (is("IDAT")) {
            data.insert(data.end(), lodepng_chunk_data_const(chunk), lodepng_chunk_data_const(chunk) + length);
        } else if (!is("IHDR")) {
            return {};
        }
    }
    return {};
}

// Whether a PNG that LodePNG has decoded holds more than its pixels, which decoders differ on. LodePNG does not say
// where the pixels end: if they inflate without the last byte before the checksum, that byte is none of theirs.
bool has_surplus(const std::vector<uint8_t>& png) {
    constexpr size_t kZlibHeader = 2, kChecksum = 4;
    const std::vector<uint8_t> data = image_data(png);
    if (data.size() <= kZlibHeader + kChecksum) return true;
    LodePNGDecompressSettings settings;
    lodepng_decompress_settings_init(&settings);
    settings.max_output_size = size_t{4} * static_cast<size_t>(kMaxGoldenPixels);
    uint8_t* pixels = nullptr;
    size_t size = 0;
    const size_t shorter = data.size() - kZlibHeader - kChecksum - 1;
    const unsigned problem = lodepng_inflate(&pixels, &size, data.data() + kZlibHeader, shorter, &settings);
    std::free(pixels);
    return problem == 0;
}

// Where an array lies, from the first byte after the header.
using Span = std::pair<size_t, size_t>;

Array load_array(const Field& field, const uint8_t* bytes, size_t size, std::vector<Span>& spans) {
    Record record(field);
    const std::string name = record.need("dtype").one_of({"F32", "F64", "I32", "I64", "U8", "BOOL"});
    const TypeInfo& info =
        *std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeInfo& t) { return name == t.name; });
    Array array{info.type, {}, {}};
    size_t count = 1;
    for (const Field& side : record.need("shape").list(0, 8)) {
        array.shape.push_back(static_cast<size_t>(side.integer(0, kMaxStagesBytes)));
        count *= array.shape.back();
        if (count > static_cast<size_t>(kMaxStagesBytes)) side.fail("a shape that fits the file");
    }
    const Field span = record.need("data_offsets");
    const std::vector<Field> offsets = span.list(2, 2);
    record.finish();
    const size_t first = static_cast<size_t>(offsets[0].integer(0, kMaxStagesBytes));
    const size_t last = static_cast<size_t>(offsets[1].integer(0, kMaxStagesBytes));
    if (first > last || last > size || last - first != count * info.bytes) {
        span.fail("the place of this array in the file");
    }
    array.bytes.assign(bytes + first, bytes + last);
    spans.emplace_back(first, last);
    return array;
}

// Every byte must be of one array: as the safetensors library has it.
void check_spans(std::vector<Span> spans, size_t size, const std::string& label) {
    std::sort(spans.begin(), spans.end());
    size_t end = 0;
    for (const Span& span : spans) {
        if (span.first != end) {
            throw BundleError(label + ": not a readable safetensors file: its arrays overlap or leave gaps");
        }
        end = span.second;
    }
    if (end != size) {
        throw BundleError(label + ": not a readable safetensors file: its arrays end at byte " + std::to_string(end) +
                          " of " + std::to_string(size));
    }
}

void check_metadata(const Field& field) {
    if (field.is_null()) return;
    Record record(field);
    for (const auto& item : field.value().items()) record.need(item.key()).text(0, kMaxHeaderBytes);
}

template <typename Number>
void append(const std::vector<uint8_t>& bytes, std::vector<double>& values) {
    for (size_t i = 0; i + sizeof(Number) <= bytes.size(); i += sizeof(Number)) {
        Number number;
        std::memcpy(&number, bytes.data() + i, sizeof number);
        values.push_back(static_cast<double>(number));
    }
}

// An axis is a length, or a name whose first use fixes its length.
struct StageShape {
    std::string name;
    ArrayType type;
    std::vector<std::string> axes;
};

std::string axis(int length) { return std::to_string(length); }

// The arrays between the network's input and the detections, as network_stages() of runtime/bundle has them.
struct NetworkStages {
    const Manifest& manifest;

    std::vector<StageShape> operator()(const TwoStageParts& parts) const {
        const std::string y = axis(manifest.input.height / parts.anchors.stride);
        const std::string x = axis(manifest.input.width / parts.anchors.stride);
        const std::string thin = axis(parts.roi_head.channels());
        return {
            {"rpn_scores", ArrayType::float32, {axis(2 * parts.anchors.count()), y, x}},
            {"rpn_deltas", ArrayType::float32, {axis(4 * parts.anchors.count()), y, x}},
            {"sam", ArrayType::float32, {thin, y, x}},
            {"proposal_indices", ArrayType::int32, {"R"}},
            {"proposal_boxes", ArrayType::float32, {"R", "4"}},
            {"roi_features", ArrayType::float32, {"R", thin}},
            {"head", ArrayType::float32, {"R", axis(parts.head_columns)}},
        };
    }

    std::vector<StageShape> operator()(const OneStageParts& parts) const {
        std::vector<StageShape> shapes;
        for (const TensorSpec& output : parts.model.outputs) {
            shapes.push_back({kGoldenOutputs + output.role, ArrayType::float32, {}});
            for (const int side : output.shape) shapes.back().axes.push_back(axis(side));
        }
        return shapes;
    }
};

std::vector<StageShape> stage_shapes(const Manifest& manifest, const Image& image) {
    const std::string h = axis(manifest.input.height);
    const std::string w = axis(manifest.input.width);
    std::vector<StageShape> shapes = {
        {"image_rows", ArrayType::int64, {axis(image.height), "3"}},
        {"resized", ArrayType::uint8, {h, w, "3"}},
        {"normalised", ArrayType::float32, {"3", h, w}},
    };
    for (StageShape& shape : std::visit(NetworkStages{manifest}, manifest.parts)) shapes.push_back(std::move(shape));
    shapes.push_back({"boxes", ArrayType::float32, {"N", "4"}});
    shapes.push_back({"scores", ArrayType::float32, {"N"}});
    shapes.push_back({"labels", ArrayType::int32, {"N"}});
    return shapes;
}

// `named`: the lengths of the axes that have names, so far.
bool fits(const Array& array, const StageShape& expected, std::map<std::string, std::string>& named) {
    if (array.type != expected.type || array.shape.size() != expected.axes.size()) return false;
    for (size_t i = 0; i < array.shape.size(); ++i) {
        const std::string& axis = expected.axes[i];
        const std::string length = std::to_string(array.shape[i]);
        const bool is_name = std::isdigit(static_cast<unsigned char>(axis[0])) == 0;
        if ((is_name ? named.emplace(axis, length).first->second : axis) != length) return false;
    }
    return true;
}

std::string describe(const StageShape& expected, const std::map<std::string, std::string>& named) {
    std::string text = info_of(expected.type).name;
    for (const std::string& axis : expected.axes) text += " " + (named.count(axis) ? named.at(axis) : axis);
    return text;
}

}  // namespace

size_t Array::size() const {
    size_t count = 1;
    for (const size_t side : shape) count *= side;
    return count;
}

std::vector<double> Array::values() const {
    std::vector<double> values;
    values.reserve(size());
    switch (type) {
        case ArrayType::float32:
            append<float>(bytes, values);
            break;
        case ArrayType::int32:
            append<int32_t>(bytes, values);
            break;
        case ArrayType::int64:
            append<int64_t>(bytes, values);
            break;
        case ArrayType::float64:
            append<double>(bytes, values);
            break;
        case ArrayType::uint8:
        case ArrayType::boolean:
            append<uint8_t>(bytes, values);
            break;
    }
    return values;
}

std::map<std::string, Array> parse_safetensors(const std::vector<uint8_t>& data, const std::string& label) {
    if (data.size() < 8) {
        throw BundleError(label + ": expected a safetensors file, found " + std::to_string(data.size()) + " bytes");
    }
    const uint64_t length = little_endian(data.data());
    if (length > kMaxHeaderBytes || length > data.size() - 8) {
        throw BundleError(label + ": a safetensors header of " + std::to_string(length) +
                          " bytes does not fit; the file is damaged");
    }
    const auto start = data.begin() + 8;
    const Json header = parse_json({start, start + static_cast<std::ptrdiff_t>(length)}, label);
    Record record(Field(header, "", label));
    std::map<std::string, Array> arrays;
    const uint8_t* bytes = data.data() + 8 + length;
    const size_t size = data.size() - 8 - static_cast<size_t>(length);
    std::vector<Span> spans;
    for (const auto& item : header.items()) {
        const Field field = record.need(item.key());
        if (item.key() == "__metadata__") {
            check_metadata(field);
        } else {
            arrays.emplace(item.key(), load_array(field, bytes, size, spans));
        }
    }
    if (arrays.size() > kMaxStages) {
        throw BundleError(label + ": expected at most " + std::to_string(kMaxStages) + " golden stages, found " +
                          std::to_string(arrays.size()));
    }
    check_spans(std::move(spans), size, label);
    return arrays;
}

Golden load_golden(const Bundle& bundle) {
    const Manifest& m = bundle.manifest;
    const FileEntry& entry = m.files.at(m.golden_stages);
    const std::string label = bundle.folder.path() + "/" + m.golden_stages;
    if (entry.size > static_cast<uint64_t>(kMaxStagesBytes)) {
        throw BundleError(label + ": expected at most " + std::to_string(kMaxStagesBytes) + " bytes of golden stages");
    }
    const std::vector<uint8_t> image = bundle.folder.read_listed(m.golden_image, m.files.at(m.golden_image));
    const std::string image_label = bundle.folder.path() + "/" + m.golden_image;
    if (image.size() < kRgbAt + sizeof kRgb || !std::equal(std::begin(kPng), std::end(kPng), image.begin()) ||
        !std::equal(std::begin(kRgb), std::end(kRgb), image.begin() + kRgbAt)) {
        throw ImageError(image_label + ": the golden image is no PNG of 8-bit RGB pixels; export the bundle again");
    }
    check_file_size(image, image_label);
    Golden golden;
    golden.image = decode_image(image, image_label, kMaxGoldenPixels);
    if (has_surplus(image)) {
        throw ImageError(image_label + ": the golden image is damaged: it holds more than its pixels");
    }
    golden.stages = parse_safetensors(bundle.folder.read_listed(m.golden_stages, entry), label);
    std::map<std::string, std::string> named;
    for (const StageShape& expected : stage_shapes(m, golden.image)) {
        const auto found = golden.stages.find(expected.name);
        if (found == golden.stages.end() || !fits(found->second, expected, named)) {
            throw BundleError(label + ": golden stage '" + expected.name + "': expected " + describe(expected, named) +
                              ", found " + (found == golden.stages.end() ? "nothing" : "another type or shape"));
        }
    }
    return golden;
}

}  // namespace pocketdet
