#include "weight_file.h"

#include "graph_error.h"
#include "message_text.h"
#include "numbers.h"
#include "weight_slots.h"

namespace pocketdet::graph {

namespace {

constexpr int64_t kTagBytes = 4, kTableBytes = 256 * 4;

Storage storage_of(uint32_t tag) {
    switch (tag) {
        case 0x00000000:
            return Storage::fp32;
        case 0x0002C056:
            return Storage::fp32_scaled;
        case 0x01306B47:
            return Storage::fp16;
        case 0x01348B83:
            return Storage::bf16;
        case 0x000D4B38:
            return Storage::int8;
        default:
            return Storage::table256;
    }
}

class Reader {
public:
    Reader(const uint8_t* data, size_t size, const std::string& source)
        : data_(data), size_(static_cast<int64_t>(size)), source_(source) {}

    Weight read(const Layer& layer, const Slot& slot) {
        Weight weight;
        weight.role = slot.role;
        weight.shape = slot.shape;
        if (slot.tagged) {
            const uint8_t* tag = take(layer, slot, kTagBytes);
            weight.tag = static_cast<uint32_t>(tag[0]) | static_cast<uint32_t>(tag[1]) << 8 |
                         static_cast<uint32_t>(tag[2]) << 16 | static_cast<uint32_t>(tag[3]) << 24;
            weight.storage = storage_of(weight.tag);
            if (weight.storage == Storage::table256) weight.table = take(layer, slot, kTableBytes);
        }
        const int64_t bytes = multiply(elements_of(slot.shape), static_cast<int64_t>(bytes_of(weight.storage)));
        weight.data = take(layer, slot, add(bytes, (4 - bytes % 4) % 4));
        return weight;
    }

    void finish() const {
        if (position_ == size_) return;
        throw GraphError(source_ + ": the layers need " + std::to_string(position_) +
                         " bytes of weights and the file has " + std::to_string(size_) +
                         "; do the .param and .bin belong together?");
    }

private:
    const uint8_t* take(const Layer& layer, const Slot& slot, int64_t size) {
        if (size > size_ - position_) {
            layer.fail(source_ + " ends early: " + std::to_string(size) + " bytes of its " + slot.role + " " +
                       tuple_text(slot.shape) + " are needed at byte " + std::to_string(position_) + " and " +
                       std::to_string(size_ - position_) + " are left");
        }
        const uint8_t* start = data_ + position_;
        position_ += size;
        return start;
    }

    const uint8_t* data_;
    int64_t size_, position_ = 0;
    const std::string& source_;
};

}  // namespace

void read_weights(Graph& graph, const uint8_t* data, size_t size, const std::string& source) {
    Reader reader(data, size, source);
    for (Layer& layer : graph.layers) {
        layer.weights.clear();
        for (const Slot& slot : weight_slots(layer)) layer.weights.push_back(reader.read(layer, slot));
    }
    reader.finish();
}

}  // namespace pocketdet::graph
